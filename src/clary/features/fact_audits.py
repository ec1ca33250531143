"""Audits of what was logged: summed up over time, and a sample held against its source."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from msgspec import Struct

from clary.features.audits import Comparison, aggregates, compare, consistent, drawn
from clary.features.facts import NAMESPACE
from clary.features.replay import chunks
from clary.features.view_log import unversioned
from clary.features.views import VIEW
from clary.kernel.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clary.features.audits import Aggregate
    from clary.features.fact_queries import FactQueries, Wanted
    from clary.features.facts import Fact
    from clary.features.skew import Source
    from clary.features.view_log import ViewLog
    from clary.kernel.names import Ref
    from clary.metrics.recorder import Recorder

COUNTED, MISSING, DIFFERENT, LATE = "Facts", "FactsMissing", "FactsDifferent", "FactsLate"
"""Metrics of scheduled audits, by ``Name`` and ``Fact``: a count, and shares in percent."""
MEAN = "FactsMean"
_HOUR_US = 3_600_000_000
_MOST_SAMPLED = 100_000


class Sampled(Struct, frozen=True, forbid_unknown_fields=True):
    """How an audit goes about it.

    Parameters
    ----------
    every_h
        Hours that are summed up together.
    sample
        How many facts are compared with their source.
    share
        Above 0: those of a share of the entities, the same ones at every audit; else any.
    seed
        Chooses among any.
    """

    every_h: float = 24.0
    sample: int = 1_000
    share: float = 0.0
    seed: int = 0

    def check(self) -> None:
        """Raise InvalidInput for what is out of bounds."""
        bounds = (
            ("every_h", self.every_h, 1 / 60, 24 * 366),
            ("sample", self.sample, 0, _MOST_SAMPLED),
            ("share", self.share, 0, 1),
        )
        for name, value, least, most in bounds:
            if not least <= value <= most:
                raise InvalidInput(name, f"{value} is out of bounds", legal=f"{least:g} to {most}")


@dataclass(frozen=True, slots=True)
class Audit:
    """What an audit found.

    Parameters
    ----------
    facts
        How many there were.
    aggregates
        What they are, by time and name.
    sampled
        How many were compared with their source.
    comparisons
        How far they are what it says, by name; none where they have no source.
    """

    facts: int
    aggregates: Sequence[Aggregate]
    sampled: int
    comparisons: Sequence[Comparison]

    @property
    def is_sound(self) -> bool:
        """Whether every fact that was compared is what its source said."""
        return not any(one.different for one in self.comparisons)


class Audits:
    """Audits facts of views, whose sources are their groups, and other facts, which have none.

    Parameters
    ----------
    log, queries
        What was logged.
    recorder
        Measures what scheduled audits find.
    """

    def __init__(self, log: ViewLog, queries: FactQueries, recorder: Recorder) -> None:
        self._log = log
        self._queries = queries
        self._recorder = recorder

    def run(self, of: Ref, wanted: Wanted, how: Sampled) -> Audit:
        """Audit facts of a view or kind, those that are wanted.

        Raises
        ------
        InvalidInput
            An option is out of bounds, or makes more than 100,000 aggregates.
        NotFound
            Nothing was logged that is wanted.
        """
        how.check()
        name = unversioned(of)
        summed = aggregates(self._queries.each(name, wanted), every_us=int(how.every_h * _HOUR_US))
        starts = {one.start_us: one.count for one in summed}
        if not starts:
            raise NotFound(f"a logged fact of {of.name} that is wanted")
        source = self._log.source(of) if of.kind == VIEW else None
        sample = self._sample(name, wanted, how) if source else ()
        return Audit(sum(starts.values()), summed, len(sample), _compared(sample, source))

    def measure(self, of: Ref, found: Audit) -> None:
        """Record what an audit found as metrics, so that they are seen over time and alarm."""
        for one in found.aggregates:
            self._add(of, one.name, COUNTED, "Count", one.count)
            self._add(of, one.name, MISSING, "Percent", 100 * one.missing / one.count)
            if one.mean is not None:
                self._add(of, one.name, MEAN, "None", one.mean)
        for other in found.comparisons:
            if other.compared:
                different, late = other.different, other.late
                self._add(of, other.name, DIFFERENT, "Percent", 100 * different / other.compared)
                self._add(of, other.name, LATE, "Percent", 100 * late / other.compared)

    def _sample(self, of: Ref, wanted: Wanted, how: Sampled) -> Sequence[Fact]:
        facts = self._queries.each(of, wanted)
        if not how.sample:
            return ()
        if how.share:
            return list(islice(consistent(facts, how.share), how.sample))
        return drawn(facts, how.sample, seed=how.seed)

    def _add(self, of: Ref, fact: str, metric: str, unit: str, value: float) -> None:
        where = {"Name": of.name, "Fact": fact}
        self._recorder.series(NAMESPACE, metric, where, unit, near=of).add(float(value))


def _compared(sample: Sequence[Fact], source: Source | None) -> Sequence[Comparison]:
    if source is None:
        return ()
    found: dict[str, Comparison] = {}
    for some in chunks(sample):
        for one in compare(some, source):
            held = found.get(one.name, Comparison(one.name, 0, 0, 0))
            found[one.name] = Comparison(
                one.name,
                held.compared + one.compared,
                held.different + one.different,
                held.late + one.late,
            )
    return list(found.values())
