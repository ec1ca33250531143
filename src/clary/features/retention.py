"""Retention: rows of groups that are older than their owners want to keep are removed."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from clary.features.model import RETENTION
from clary.features.statistics import offline
from clary.kernel.clock import now, now_us
from clary.kernel.codec import build, plain
from clary.kernel.errors import InvalidInput
from clary.kernel.resource import Event, Resource

if TYPE_CHECKING:
    from collections.abc import Callable

    from clary.features.ports import OfflineStore
    from clary.features.records import Group
    from clary.features.service import Features
    from clary.features.statistics import StatisticsEngine
    from clary.kernel.names import Ref
    from clary.kernel.ports import MetadataStore

_DAY_US = 86_400_000_000
_LONGEST_US = 36_525 * _DAY_US
_OFTEN = 20
"""Rows stay up to a twentieth of the age longer, so that tables are not rewritten all the time."""


class Kept(Struct, frozen=True):
    """How long the rows of a group are kept, and what was removed because of it.

    Parameters
    ----------
    age_us
        Rows whose event time is longer ago are removed; None: none are.
    removed_before_us
        Rows of event times before this were removed, or are being; None: none ever were.
    version
        The version of the table from which on they are not there.
    rows
        How many were removed in all.
    """

    age_us: int | None = None
    removed_before_us: int | None = None
    version: int = 0
    rows: int = 0


class Retention:
    """Keeps how long rows of groups stay, and removes those that are older.

    Versions of a table that training sets hold stay as they are, so that the sets can be made
    again; the files of other versions go a week later.

    Parameters
    ----------
    store
        Where it is kept.
    features, offline, engine
        The groups, their rows, and what says how old those are.
    """

    def __init__(
        self,
        store: MetadataStore,
        features: Features,
        offline: OfflineStore,
        engine: StatisticsEngine,
    ) -> None:
        self._store = store
        self._features = features
        self._offline = offline
        self._engine = engine

    def of(self, group: Group) -> Kept:
        """Say how long the rows of a group are kept, and what was removed."""
        found = self._store.get(_place(group))
        return Kept() if found is None else build(Kept, found.body)

    def keep(self, ref: Ref, age_us: int | None, *, actor: str) -> Kept:
        """Set how long rows stay from their event times on; None: for ever.

        Raises
        ------
        NotFound
            There is no such group.
        InvalidInput
            It has no offline store, or the age is under a day or over a century.
        """
        group = offline(self._features.group(ref))
        if age_us is not None and not _DAY_US <= age_us <= _LONGEST_US:
            raise InvalidInput(
                "retention", f"{age_us / _DAY_US:g} days", legal="1 to 36525 days, or for ever"
            )
        detail = {"age_s": None if age_us is None else age_us // 1_000_000}
        event = Event(now(), actor, f"{ref.kind}.retention-set", ref, detail)
        return self._write(group, lambda kept: replace(kept, age_us=age_us), event)

    def remove(self, group: Group) -> int:
        """Remove what is too old, if there is enough of it; say how many rows."""
        kept, ref = self.of(group), group.ref
        if kept.age_us is None or not group.is_offline:
            return 0
        before_us, table = now_us() - kept.age_us, group.offline_table
        span = self._engine.span(self._offline.files(table, self._offline.flush(table)))
        oldest_us = span.oldest_event_us
        if oldest_us is None or oldest_us >= before_us - kept.age_us // _OFTEN:
            return 0
        self._write(group, lambda kept: replace(kept, removed_before_us=before_us))
        version = self._offline.compact(table, before_us=before_us)
        gone = span.rows - self._engine.span(self._offline.files(table, version)).rows
        detail = {"before_us": before_us, "rows": gone, "version": version}
        event = Event(now(), "retention", f"{ref.kind}.rows-removed", ref, detail)
        self._write(
            group, lambda kept: replace(kept, version=version, rows=kept.rows + gone), event
        )
        return gone

    def _write(
        self, group: Group, changed: Callable[[Kept], Kept], event: Event | None = None
    ) -> Kept:
        place, at = _place(group), now()
        with self._store.begin() as change:
            found = change.get(place)
            kept = changed(Kept() if found is None else build(Kept, found.body))
            if found is None:
                change.insert(Resource(place, plain(kept), at, at, parent=group.ref))
            else:
                change.update(dataclasses.replace(found, body=plain(kept)))
            if event is not None:
                change.append(event)
        return kept


def _place(group: Group) -> Ref:
    return group.ref.sibling(RETENTION, f"{group.ref.name}/{group.uid}")
