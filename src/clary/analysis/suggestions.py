"""From a profile to the constraints that its rows fulfil, by Deequ's default rules."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal, cast

from clary.analysis.constraints import (
    Configuration,
    Constraints,
    Distributions,
    Extra,
    Feature,
    Numbers,
    Strings,
)
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from clary.analysis.constraints import Type
    from clary.analysis.frequencies import Frequencies
    from clary.analysis.profiles import ColumnProfile, Profile

_HISTOGRAM = 120
"""A column of more different values is no categorical one."""
_SINGLES, _MOST_SINGLES = 0.1, 0.4
"""The greatest shares of categories that occur once: of a closed range, and of one that covers."""
_COVERAGE = 0.9
_LEAST_COMPLETENESS = 0.2
_NORMAL_95 = 1.96


def suggest(
    profile: Profile,
    *,
    categorical_drift_method: Literal["LInfinity", "ChiSquared"] = "LInfinity",
) -> Constraints:
    """Suggest the constraints of a baseline.

    Complete columns stay complete, others keep the lower end of their completeness's confidence
    interval; types are kept; texts of few categories keep to them; what is never negative stays so.

    Raises
    ------
    InvalidInput
        The profile is of no rows: nothing can be learned of it.
    """
    if not profile.rows:
        raise InvalidInput("baseline", "has no rows", legal="at least 1 row")
    return Constraints(
        features=tuple(map(_feature, profile.columns)),
        monitoring_config=Configuration(
            evaluate_constraints="Enabled",
            emit_metrics="Enabled",
            datatype_check_threshold=1.0,
            domain_content_threshold=1.0,
            distribution_constraints=Distributions(
                perform_comparison="Enabled",
                comparison_threshold=0.1,
                comparison_method="Robust",
                categorical_comparison_threshold=0.1,
                categorical_drift_method=categorical_drift_method,
            ),
        ),
        clary=Extra(),
    )


def _feature(column: ColumnProfile) -> Feature:
    numbers, strings = None, None
    if column.is_numeric:
        moments = column.numbers
        lowest = -math.inf if moments.negative_infinities else moments.minimum
        numbers = Numbers(is_non_negative=lowest >= 0)
    elif column.present:
        strings = _range(column)
    return Feature(
        name=column.name,
        inferred_type=cast("Type", column.kind),
        completeness=_completeness(column),
        num_constraints=numbers,
        string_constraints=strings,
    )


def _completeness(column: ColumnProfile) -> float:
    share = column.completeness
    if share == 1:
        return 1.0
    return _lower_bound(share, column.rows) if share > _LEAST_COMPLETENESS else 0.0


def _lower_bound(share: float, rows: int) -> float:
    """Say what a share is with 95 % confidence at the least, rounded down to two decimals."""
    bound = share - _NORMAL_95 * math.sqrt(share * (1 - share) / rows)
    return max(0.0, math.floor(bound * 100 + 1e-9) / 100)


def _range(column: ColumnProfile) -> Strings | None:
    """Say which categories a text keeps to; None where it has no such range."""
    often = column.frequencies
    if not often.is_exact or not 0 < len(often.counts) <= _HISTOGRAM:
        return None
    singles = float((often.counts == 1).mean())
    if singles <= _SINGLES:
        return Strings(domains=tuple(often.texts()))
    return _covering(often, column.present) if singles <= _MOST_SINGLES else None


def _covering(often: Frequencies, present: int) -> Strings | None:
    """Take the most frequent categories that together cover 90 % of the rows."""
    kept: list[str] = []
    covered = 0
    for text, count in often.by_text().items():
        if covered / present >= _COVERAGE:
            break
        kept.append(text)
        covered += count
    if covered == present:
        return None
    least = _lower_bound(covered / present, present)
    overrides: dict[str, Any] = {"domain_content_threshold": least}
    return Strings(domains=tuple(kept), monitoring_config_overrides=Configuration(**overrides))
