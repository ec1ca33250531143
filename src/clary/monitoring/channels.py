"""Channels: who is told of violations, and how; and what is muted for a while."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from msgspec import Struct, structs

from clary.kernel.clock import now
from clary.kernel.codec import build, plain
from clary.kernel.errors import AlreadyExists, InvalidInput, NotFound
from clary.kernel.resource import Event, Query, Resource

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from clary.kernel.names import Ref
    from clary.kernel.ports import MetadataStore

CHANNEL = "monitoring-channel"
FINDINGS = "monitoring-findings"
"""One resource a schedule, of its name: what it has found that lasts, and what is muted."""
Kind = Literal["webhook", "email", "pipeline"]
_MOST = 100
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,62}")
_ADDRESS = re.compile(r"[^@\s,;<>\"]{1,64}@[A-Za-z0-9.-]{1,255}")


class Channel(Struct, frozen=True, omit_defaults=True):
    """The body of a channel.

    Parameters
    ----------
    kind
        ``webhook``, ``email`` or ``pipeline``.
    target
        A URL, an address, or the ARN of a pipeline, which is started.
    schedules
        The names of the schedules it is about, as a shell's pattern.
    secret
        What webhooks are signed with; never shown.
    actor
        Who made it.
    """

    kind: Kind
    target: str
    schedules: str = "*"
    secret: str = ""
    actor: str = ""


class Finding(Struct, frozen=True, omit_defaults=True):
    """A violation that lasts: found by one execution, and by each since.

    Parameters
    ----------
    violation
        As the report has it.
    first_at, last_at
        When it was found first and last.
    times
        By how many executions.
    execution
        The last one's name.
    """

    violation: dict[str, Any]
    first_at: datetime
    last_at: datetime
    times: int = 1
    execution: str = ""


class Findings(Struct, frozen=True, omit_defaults=True):
    """The body of a schedule's findings.

    Parameters
    ----------
    open
        Those that last, by key.
    muted
        By a feature's name, or ``*`` for all, until when nobody is told.
    """

    open: dict[str, Finding] = {}
    muted: dict[str, datetime] = {}

    def is_muted(self, violation: dict[str, Any], at: datetime) -> bool:
        """Say whether nobody is to be told of a violation now."""
        names = ("*", str(violation.get("feature_name") or violation.get("metric_name") or ""))
        return any(name in self.muted and self.muted[name] > at for name in names)


def channel(resource: Resource) -> Channel:
    """Read a channel's body."""
    return build(Channel, resource.body)


def findings(resource: Resource | None) -> Findings:
    """Read what a schedule has found that lasts."""
    return Findings() if resource is None else build(Findings, resource.body)


def _is_webhook(url: str) -> bool:
    try:
        parts = urlsplit(url)
        is_http = parts.scheme in ("http", "https") and parts.port != 0
    except ValueError:  # of a port or an address that is none
        return False
    return is_http and bool(parts.hostname) and not parts.username


class Channels:
    """Who is told, and what is muted."""

    def __init__(self, store: MetadataStore) -> None:
        self._store = store

    def add(self, ref: Ref, given: Channel) -> Resource:
        """Make a channel.

        Raises
        ------
        InvalidInput
            Its name or target is not legal, or there are 100 of them.
        NotFound
            Its pipeline does not exist.
        AlreadyExists
            There is one of this name.
        """
        if not _NAME.fullmatch(ref.name):
            raise InvalidInput("name", repr(ref.name), legal="letters, digits and dashes, up to 63")
        self._check(ref, given)
        if len(self.list(ref)) >= _MOST:
            raise InvalidInput("name", f"there are {_MOST} channels", legal="fewer")
        at = now()
        with self._store.begin() as change:
            if change.get(ref) is not None:
                raise AlreadyExists(ref)
            made = change.insert(Resource(ref, plain(given), at, at))
            change.append(Event(at, given.actor, f"{CHANNEL}.created", ref, {"kind": given.kind}))
        return made

    def _check(self, ref: Ref, given: Channel) -> None:
        if given.kind == "webhook":
            if not _is_webhook(given.target):
                raise InvalidInput("webhook", repr(given.target), legal="http://… or https://…")
        elif given.kind == "email":
            if not _ADDRESS.fullmatch(given.target):
                raise InvalidInput("email", repr(given.target), legal="one address")
        elif self._store.get(ref.sibling("pipeline", given.target)) is None:
            raise NotFound(ref.sibling("pipeline", given.target))

    def remove(self, ref: Ref, *, actor: str) -> None:
        """Remove a channel; what is on its way to it is dropped. Raises NotFound."""
        with self._store.begin() as change:
            if change.get(ref) is None:
                raise NotFound(ref)
            change.delete(ref)
            change.append(Event(now(), actor, f"{CHANNEL}.deleted", ref))

    def list(self, near: Ref) -> Sequence[Resource]:
        """List the channels of an account and region."""
        query = Query(CHANNEL, account=near.account, region=near.region, limit=_MOST)
        return self._store.select(query).items

    def of(self, near: Ref, schedule: str) -> Sequence[Resource]:
        """List those that are told of a schedule."""
        return [one for one in self.list(near) if fnmatchcase(schedule, channel(one).schedules)]

    def findings(self, schedule: Ref) -> Findings:
        """Read what a schedule has found that lasts."""
        return findings(self._store.get(schedule.sibling(FINDINGS, schedule.name)))

    def mute(
        self, schedule: Ref, until: datetime | None, *, features: Iterable[str] = (), actor: str
    ) -> None:
        """Tell nobody of a schedule, or of some of its features, until then; None: tell again.

        Raises
        ------
        NotFound
            There is no such schedule.
        """
        ref = schedule.sibling(FINDINGS, schedule.name)
        at = now()
        with self._store.begin() as change:
            if change.get(schedule) is None:
                raise NotFound(schedule)
            found = change.get(ref)
            value = findings(found)
            muted = {name: one for name, one in value.muted.items() if one > at}
            for name in list(features) or ["*"]:
                muted.pop(name, None)
                if until is not None:
                    muted[name] = until
            body = plain(structs.replace(value, muted=muted))
            if found is None:
                change.insert(Resource(ref, body, at, at))
            else:
                change.update(replace(found, body=body))
            detail = {"until": until.isoformat()} if until else {}
            change.append(Event(at, actor, f"{schedule.kind}.muted", schedule, detail))
