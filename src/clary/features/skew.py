"""The proof that what was served is what batch computes: each cell, or why it differs.

Every served feature is compared with what the current definition makes, in batch, of the facts
that were logged with it. Where the facts have a source, its history is asked too: what was true at
the time of the request, as it is known now.
"""

from __future__ import annotations

import struct
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol

from clary.features.fact_queries import Wanted
from clary.features.replay import chunks
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from clary.features.fact_queries import FactQueries
    from clary.features.facts import Fact
    from clary.features.replay import Batch, Definition, Row
    from clary.kernel.names import Ref

Cause = Literal["code", "type", "late", "expired", "source", "engine"]
MOST = 1_000
"""Differences that a report tells one by one; all are counted."""


@dataclass(frozen=True, slots=True)
class Truth:
    """What the source says of one column at the time of a request.

    Parameters
    ----------
    now
        As is known now.
    then
        As was known when the request was logged.
    ageless
        As is known now, of any age.
    settled
        As was known ten seconds earlier still: aggregates follow rows within moments, so that what
        was written since may not have counted yet.
    """

    now: Any
    then: Any
    ageless: Any
    settled: Any

    @property
    def is_late(self) -> bool:
        """Whether something was written after the request, or so shortly before."""
        return not (same(self.now, self.then) and same(self.now, self.settled))


class Source(Protocol):
    """The history that facts came from."""

    @property
    def columns(self) -> Sequence[str]:
        """The facts that it holds."""

    def known(self, facts: Sequence[Fact]) -> Sequence[Mapping[str, Truth]]:
        """Say what is true of each fact's entity at its ``event_us``, by column."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One cell that is not what was served.

    Parameters
    ----------
    cause
        ``code``: the definition is another one; ``type``: a value is of another type; ``late``:
        something that was true then was written only afterwards, or so shortly before that it did
        not count yet; ``expired``: it was older than its TTL; ``source``: the source never said
        what was used, or has lost it; ``engine``: the same definition makes something else of the
        same facts.
    """

    request_id: str
    entity: str
    at_us: int
    feature: str
    served: Any
    replayed: Any
    cause: Cause
    detail: str


@dataclass(slots=True)
class Report:
    """What a comparison found.

    Parameters
    ----------
    requests, cells
        How many were compared.
    differences
        The first thousand.
    causes, features
        How many cells differ, by cause and by feature.
    added
        Features that are new since they were served, and so were not compared.
    from_source
        Whether the facts' own source was asked too.
    """

    requests: int = 0
    cells: int = 0
    differences: list[Difference] = field(default_factory=list)
    causes: Counter[str] = field(default_factory=Counter)
    features: Counter[str] = field(default_factory=Counter)
    added: set[str] = field(default_factory=set)
    from_source: bool = False

    @property
    def is_equal(self) -> bool:
        """Whether every cell is what was served."""
        return not self.causes

    def add(self, one: Difference) -> None:
        """Count a difference."""
        self.causes[one.cause] += 1
        self.features[one.feature] += 1
        if len(self.differences) < MOST:
            self.differences.append(one)

    def merge(self, other: Report) -> None:
        """Count what another comparison found, of other requests."""
        self.requests += other.requests
        self.cells += other.cells
        self.differences += other.differences[: MOST - len(self.differences)]
        self.causes += other.causes
        self.features += other.features
        self.added |= other.added
        self.from_source |= other.from_source


class Skew:
    """Compares what was served with what batch computes.

    Parameters
    ----------
    queries
        Where served requests are read.
    batch
        What computes.
    """

    def __init__(self, queries: FactQueries, batch: Batch) -> None:
        self._queries = queries
        self._batch = batch

    def compare(
        self,
        of: Ref,
        definition: Definition,
        wanted: Wanted | None = None,
        *,
        source: Source | None = None,
    ) -> Report:
        """Replay the requests of a view, those that are wanted, by a definition.

        Parameters
        ----------
        source
            Asked for what is true at the times of requests; without one the logged facts count.
        """
        served = self._queries.each(of, replace(wanted or Wanted(), is_served=True))
        report = Report(from_source=source is not None)
        for some in chunks(served):
            report.requests += len(some)
            self._compare(definition, some, source, report)
        return report

    def _compare(
        self, definition: Definition, facts: Sequence[Fact], source: Source | None, report: Report
    ) -> None:
        readings = [_Reading(definition, fact) for fact in facts]
        rows = self._batch.compute(definition, [one.row for one in readings])
        agreed: list[set[str]] = []
        for one, row in zip(readings, rows, strict=True):
            agreed.append(one.compare(dict(zip(definition.features, row, strict=True)), report))
        if source is None:
            return
        truths = source.known(facts)
        believed = [one.believed(truth) for one, truth in zip(readings, truths, strict=True)]
        again = self._batch.compute(definition, believed)
        found = zip(readings, rows, again, truths, agreed, strict=True)
        for one, row, other, truth, names in found:
            cells = zip(definition.features, row, other, strict=True)
            for name, logged, true in cells:
                if name in names and not same(logged, true):
                    report.add(one.misled(name, true, truth))


class _Reading:
    """One served request as a definition reads it."""

    def __init__(self, definition: Definition, fact: Fact) -> None:
        self._definition = definition
        self._fact = fact
        self._wrong: dict[str, str] = {}
        self.row = tuple(map(self._read, definition.columns))

    def compare(self, replayed: Mapping[str, Any], report: Report) -> set[str]:
        """Compare what the logged facts make; return the features that are as served."""
        fact, equal = self._fact, set()
        served = fact.served or {}
        is_current = fact.digest == self._definition.digest
        names = {**served, **replayed} if is_current else served
        if not is_current:
            report.added.update(replayed.keys() - served.keys())
        for name in names:
            report.cells += 1
            before, after = served.get(name), replayed.get(name)
            if name in replayed and same(before, after):
                equal.add(name)
            else:
                report.add(self._difference(name, after, *self._cause(name, before, after)))
        return equal

    def believed(self, truth: Mapping[str, Truth]) -> Row:
        """Give the facts as the source has them now, by columns of the definition."""
        columns = zip(self._definition.columns, self.row, strict=True)
        return tuple(truth[name].now if name in truth else value for name, value in columns)

    def misled(self, feature: str, true: Any, truth: Mapping[str, Truth]) -> Difference:
        """Say why the source makes something else of a feature that was served as logged."""
        logged = dict(zip(self._definition.columns, self.row, strict=True))
        reads = self._definition.features[feature].columns
        other = [
            name for name in logged if name in reads & truth.keys()
            and not same(logged[name], truth[name].now)
        ]  # fmt: skip
        causes = {_blame(logged[name], truth[name]): name for name in reversed(other)}
        for cause in ("late", "expired", "source"):
            if cause in causes:
                name = causes[cause]
                detail = f"{name} was {logged[name]!r:.80}, is {truth[name].now!r:.80}"
                return self._difference(feature, true, cause, f"{detail}: {_WHY[cause]}")
        raise AssertionError(feature)  # it differs, so something that it reads does

    def _read(self, name: str) -> Any:
        value = self._fact.facts.get(name)
        try:
            return self._definition.readers[name](value)
        except InvalidInput as error:
            self._wrong[name] = error.problem
            return None

    def _cause(self, name: str, before: Any, after: Any) -> tuple[Cause, str]:
        features, served_by = self._definition.features, self._fact.digest
        if name not in features:
            return "code", f"is no feature any more; served by {served_by[:12]}"
        reads = features[name].columns
        wrong = [problem for column, problem in self._wrong.items() if column in reads]
        if wrong:
            return "type", "; ".join(wrong)
        if served_by != self._definition.digest:
            return "code", f"served by {served_by[:12]}, now {features[name].text!r:.200}"
        if _is_equal(before, after):
            return "type", f"was a {type(before).__name__}, is a {type(after).__name__}"
        return "engine", "the same definition makes something else of the same facts"

    def _difference(self, feature: str, after: Any, cause: Cause, detail: str) -> Difference:
        fact = self._fact
        before = (fact.served or {}).get(feature)
        return Difference(
            fact.request_id, fact.entity, fact.event_us, feature, before, after, cause, detail
        )


_WHY = {
    "late": "late data: written after it was used, or too shortly before to count",
    "expired": "older than its TTL when it was used",
    "source": "the source did not say so then, or has lost it",
}


def _blame(logged: Any, truth: Truth) -> Cause:
    if truth.is_late:
        return "late"
    if truth.now is None and same(truth.ageless, logged):
        return "expired"
    return "source"


def same(one: Any, other: Any) -> bool:
    """Tell whether two cells are the same: type and bits, where every NaN is the same.

    Examples
    --------
    >>> (
    ...     same(float("nan"), float("nan")),
    ...     same(0.0, -0.0),
    ...     same(1, 1.0),
    ...     same([1.5, None], [1.5, None]),
    ... )
    (True, False, False, True)
    """
    if type(one) is not type(other):
        return False
    if isinstance(one, float):
        if one != one or other != other:  # noqa: PLR0124 - tells NaN
            return one != one and other != other  # noqa: PLR0124 - tells NaN
        return struct.pack("d", one) == struct.pack("d", other)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    return bool(one == other)


def _is_equal(one: Any, other: Any) -> bool:
    """Tell whether values of two types mean the same."""
    if None in (one, other) or type(one) is type(other):
        return False
    return bool(one == other or str(one) == str(other))
