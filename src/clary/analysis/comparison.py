"""Data held against a baseline, in one call: what Model Monitor's files say, and drift."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from clary.analysis import (
    baselines,
    checks,
    constraints,
    correlations,
    drift,
    samples,
    statistics,
    suggestions,
)
from clary.analysis.constraints import Constraints, Drift
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from clary.analysis.checks import Observation
    from clary.analysis.correlations import Changes
    from clary.analysis.drift import ColumnDrift
    from clary.analysis.profiles import Profile
    from clary.analysis.samples import Sample
    from clary.analysis.statistics import Statistics
    from clary.analysis.violations import Violation

STATISTICS, CONSTRAINTS = "statistics.json", "constraints.json"
_MOST_BYTES = 256 << 20
_LEVEL = Drift().significance_level


@dataclass(frozen=True, slots=True)
class Baseline:
    """How data usually is: the two documents of Model Monitor.

    Parameters
    ----------
    statistics
        What its columns hold, with the profile that drift is measured from.
    constraints
        What is required of data: suggested, or as somebody changed them.
    """

    statistics: Statistics
    constraints: Constraints

    def files(self) -> Mapping[str, bytes]:
        """Write both documents, by file name."""
        return {
            STATISTICS: statistics.write(self.statistics),
            CONSTRAINTS: constraints.write(self.constraints),
        }


@dataclass(frozen=True, slots=True)
class Comparison:
    """What was found of data.

    Parameters
    ----------
    profile
        Of the data: its columns by the baseline's names, without those that are left out.
    violations
        Constraints that are not fulfilled.
    drifts
        How far the columns' distributions moved, whether or not that is a violation.
    observed
        What was seen of each feature that has constraints.
    before, now
        The columns' distributions in the baseline and in the data.
    correlations
        Pairs of columns that no longer go together as they did; None where either is not known.
    """

    profile: Profile
    violations: tuple[Violation, ...] = ()
    drifts: tuple[ColumnDrift, ...] = ()
    observed: tuple[Observation, ...] = ()
    before: Mapping[str, Sample] = field(default_factory=dict)
    now: Mapping[str, Sample] = field(default_factory=dict)
    correlations: Changes | None = None

    @property
    def rows(self) -> int:
        """How many rows the data has."""
        return self.profile.rows

    def block(self) -> dict[str, Any]:
        """Write what the ``clary`` block of constraint_violations.json has, as plain JSON values.

        Of no rows that there are none; correlations where they were compared.
        """
        if not self.rows:
            return {"rows": 0}
        block = {"rows": self.rows, "drift": [one.to_document() for one in self.drifts]}
        if self.correlations is None:
            return block
        return {**block, "correlations": self.correlations.to_document()}


def of_profile(profile: Profile) -> Baseline:
    """Suggest a baseline from a profile.

    Raises
    ------
    InvalidInput
        The profile is of no row.
    """
    if not profile.rows:
        raise InvalidInput("data", "has no row, and so cannot be a baseline")
    return Baseline(baselines.baseline(profile), suggestions.suggest(profile))


def read(folder: Path) -> Baseline:
    """Read a baseline from the two files in a folder, whoever wrote them.

    Raises
    ------
    InvalidInput
        One is missing, over 256 MiB, or no such document; names it.
    """
    found = {}
    for name in (STATISTICS, CONSTRAINTS):
        file = folder / name
        if not file.is_file():
            raise InvalidInput("baseline", f"{folder} has no {name}")
        if file.stat().st_size > _MOST_BYTES:
            raise InvalidInput("baseline", f"{file} is too large", legal="at most 256 MiB")
        found[name] = file.read_bytes()
    return Baseline(statistics.read(found[STATISTICS]), constraints.read(found[CONSTRAINTS]))


def compare(
    profile: Profile,
    baseline: Baseline,
    *,
    excluded: Collection[str] = (),
    is_deequ: bool = False,
) -> Comparison:
    """Hold a profile against a baseline; columns of none are compared by their place.

    Parameters
    ----------
    excluded
        Columns that are left out, by their names or their places (``_c0``, …).
    is_deequ
        Measure drift of numbers as Deequ 2.0 does; see ``checks.observe``.

    Raises
    ------
    InvalidInput
        The baseline is damaged.
    """
    named = checks.named(profile, baseline.constraints)
    now, required = checks.without(named, baseline.constraints, excluded)
    if not now.rows:
        return Comparison(now)
    held = baselines.profile_of(baseline.statistics)
    before = baselines.samples_in(baseline.statistics, held)
    level = required.clary.drift.significance_level if required.clary else _LEVEL
    seen = samples.of_profile(now, before)
    drifts = drift.drift(before, seen, level=level)
    observed = checks.observe(now, required, before, is_deequ=is_deequ)
    found = (
        *checks.columns_off(now, required),
        *checks.violated(observed),
        *checks.drifted(drifts, required),
    )
    together = _correlations(held, now, level)
    return Comparison(now, found, drifts, observed, before, seen, together)


def _correlations(before: Profile | None, now: Profile, level: float) -> Changes | None:
    held, seen = before.correlations if before else None, now.correlations
    return correlations.changes(held, seen, now.by_name, level=level) if held and seen else None
