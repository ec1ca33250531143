"""Results of steps by the key of everything they depend on: kept, found again, compared."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from clary.kernel.clock import now
from clary.kernel.codec import digest, to_json
from clary.kernel.errors import NotFound
from clary.kernel.resource import Query, Resource
from clary.lineage.model import FileEntry, of_tree

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from clary.kernel.names import Ref
    from clary.kernel.ports import JsonObject, MetadataStore, ObjectStore, Transaction

RESULT = "step-result"
"""The kind of kept results; named ``<pipeline>/<step>/<digest of the key>``."""
_KEPT = ("properties", "files", "metadata", "branch", "ended_at")
_DURATION = re.compile(
    r"P?(?:(\d{1,6})Y)?(?:(\d{1,6})M)?(?:(\d{1,6})W)?(?:(\d{1,6})D)?"
    r"(?:T(?:(\d{1,6})H)?(?:(\d{1,6})M)?(?:(\d{1,6})S)?)?",
    re.IGNORECASE,
)
_SECONDS = (31_536_000, 2_592_000, 604_800, 86_400, 3600, 60, 1)
_SHOWN = 60
_NO_RESULT = "no earlier success has the same key"
_PLAIN = re.compile(r'[^.\["]+')
"""A name that can stand in a path as it is."""
_DIGEST = re.compile(r"(sha256:[0-9a-f]{12})[0-9a-f]{52}")


def duration(text: str) -> timedelta:
    """Read an ISO 8601 duration; a month counts 30 days, a year 365. ``P`` may be left out.

    Raises
    ------
    ValueError
        It is none.

    Examples
    --------
    >>> duration("P30D").days, duration("30dT5h").total_seconds(), duration("T16m").seconds
    (30, 2610000.0, 960)
    """
    match = _DURATION.fullmatch(text)
    counts = [int(count or 0) for count in match.groups()] if match else []
    if not any(counts) and not re.search(r"\d", text if match else ""):
        raise ValueError(f"{text!r} is no duration like P30D or PT12H")
    seconds = sum(count * unit for count, unit in zip(counts, _SECONDS, strict=True))
    return timedelta(seconds=seconds)


class CacheConfig(msgspec.Struct, frozen=True, rename="pascal"):
    """A step's CacheConfig; without ``expire_after`` a result never grows too old."""

    enabled: bool = False
    expire_after: str | None = None

    def __post_init__(self) -> None:
        """Refuse what is no duration."""
        if self.expire_after is not None:
            duration(self.expire_after)

    def has_expired(self, age: timedelta) -> bool:
        """Whether a result of this age may no longer be reused."""
        return self.expire_after is not None and age > duration(self.expire_after)


@dataclass(frozen=True, slots=True)
class Found:
    """What a look-up found: the result to reuse, or None, and why in words."""

    result: Mapping[str, Any] | None
    words: str


class Results:
    """Kept results of steps.

    Parameters
    ----------
    store, objects
        Where they are, and where the objects are that they refer to.
    """

    def __init__(self, store: MetadataStore, objects: ObjectStore) -> None:
        self._store = store
        self._objects = objects

    @staticmethod
    def ref(execution: Ref, step: str, key: Mapping[str, Any]) -> Ref:
        """Name the result of a step of an execution's pipeline."""
        pipeline = execution.name.partition("/")[0]
        return execution.sibling(RESULT, f"{pipeline}/{step}/{digest(key)}")

    def look_up(self, ref: Ref, config: CacheConfig) -> Found:
        """Find the result, if it is not too old and all it refers to is as it was."""
        found = self._store.get(ref)
        if found is None:
            return Found(None, _NO_RESULT)
        source = f"execution {_id(found.body['execution'])}"
        age = now() - datetime.fromisoformat(found.body["ended_at"])
        if config.has_expired(age):
            return Found(
                None, f"the result of {source} is {_words(age)} old, over {config.expire_after}"
            )
        for uri, expected in found.body["made"].items():
            if self._digest(uri) != expected:
                return Found(None, f"{uri}, which {source} made, has changed since or is gone")
        return Found(found.body, f"the result of {source} was reused")

    @staticmethod
    def keep(transaction: Transaction, ref: Ref, step: Resource, made: Mapping[str, str]) -> None:
        """Keep a succeeded step's result, instead of an older one of the same key."""
        execution: Ref = step.parent  # type: ignore[assignment]  # every step has one
        body = {
            **{member: step.body[member] for member in _KEPT},
            "key": step.body["key"],
            "execution": execution.name,
            "made": dict(made),
        }
        present = transaction.get(ref)
        if present is not None:
            transaction.update(replace(present, body=body))
            return
        at = now()
        pipeline = ref.sibling("pipeline", ref.name.partition("/")[0])
        transaction.insert(Resource(ref, body, at, at, "", pipeline))

    def newest(self, execution: Ref, step: str, before: datetime) -> JsonObject | None:
        """Find the newest kept result of a step that ended before a moment."""
        pipeline = execution.name.partition("/")[0]
        query = Query(
            RESULT,
            execution.account,
            execution.region,
            execution.sibling("pipeline", pipeline),
            name_prefix=f"{pipeline}/{step}/",
            sort_by="modified",
        )
        while True:
            page = self._store.select(query)
            for found in page.items:
                if datetime.fromisoformat(found.body["ended_at"]) < before:
                    return dict(found.body)
            if not page.token:
                return None
            query = replace(query, token=page.token)

    def _digest(self, uri: str) -> str:
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        try:
            if not uri.endswith("/"):
                return self._objects.stat(bucket, key).sha256
            return of_tree(uri, self._entries(bucket, key)).digest
        except NotFound:
            return ""

    def _entries(self, bucket: str, prefix: str) -> Iterator[FileEntry]:
        after = ""
        while True:
            page = self._objects.list(bucket, prefix=prefix, after=after)
            for info in page.objects:
                known = info if info.sha256 else self._objects.stat(bucket, info.key)
                yield FileEntry(info.key.removeprefix(prefix), known.sha256, known.size_bytes)
            after = page.next_after
            if not after:
                return


@dataclass(frozen=True, slots=True)
class Why:
    """Why a step was run, or was not.

    Parameters
    ----------
    reason
        In one sentence.
    against
        The execution with the newest earlier success, if the step was run for want of a result
        with the same key.
    differences
        How the key differs from that one's, part by part.
    """

    reason: str
    against: str = ""
    differences: Sequence[str] = ()


def why(results: Results, step: Resource) -> Why:
    """Say why a step was run, or was not."""
    if source := step.body.get("selected_from"):
        return Why(f"it was not selected; its result is that of execution {_id(source)}")
    key = step.body.get("key")
    words = step.body.get("words", "its results are never reused: caching is not enabled for it")
    if key is None:
        return Why(words)
    execution: Ref = step.parent  # type: ignore[assignment]  # every step has one
    name = step.ref.name.rpartition("/")[2]
    if words != _NO_RESULT:
        return Why(words)
    other = results.newest(execution, name, step.created_at)
    if other is None:
        return Why(f"{words}: it has not succeeded before")
    return Why(words, other["execution"], differences(other["key"], key))


def _id(execution: str) -> str:
    return execution.rpartition("/")[2]


def differences(before: Any, after: Any) -> list[str]:
    """Compare two keys part by part, in words.

    Examples
    --------
    >>> differences({"code": {"a": 1}, "b": [1]}, {"code": {"a": 2}, "c": "x"})
    ['b[0] is gone; it was 1', 'c is new: "x"', 'code.a was 1 and is 2']
    """
    old, new = dict(_parts(before, "")), dict(_parts(after, ""))
    lines = []
    for place in sorted(old.keys() | new.keys()):
        if _holds_parts(place, old) or _holds_parts(place, new):
            continue
        if place not in new:
            lines.append(f"{place} is gone; it was {_shown(old[place])}")
        elif place not in old:
            lines.append(f"{place} is new: {_shown(new[place])}")
        elif old[place] != new[place]:
            lines.append(f"{place} was {_shown(old[place])} and is {_shown(new[place])}")
    return lines


def _holds_parts(place: str, parts: Mapping[str, Any]) -> bool:
    """Whether what is empty in one key has parts in the other, which are compared themselves."""
    below = (f"{place}.", f"{place}[")
    return place not in parts and any(not place or one.startswith(below) for one in parts)


def _parts(value: Any, place: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for key, item in value.items():
            name = key if _PLAIN.fullmatch(key) else to_json(key).decode()
            yield from _parts(item, f"{place}.{name}" if place else name)
    elif isinstance(value, list) and value:
        for index, item in enumerate(value):
            yield from _parts(item, f"{place}[{index}]")
    else:
        yield place, value


def _shown(value: Any) -> str:
    text = _DIGEST.sub(r"\1…", to_json(value).decode())
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _words(age: timedelta) -> str:
    for unit, seconds in (("days", 86_400), ("hours", 3600), ("minutes", 60)):
        if age.total_seconds() >= 2 * seconds:
            return f"{int(age.total_seconds() // seconds)} {unit}"
    return f"{int(age.total_seconds())} seconds"
