"""Violations in plain words, for people who do not read constraints.json."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from clary.analysis.violations import Violation

_MOST_NAMES = 10


def words(violation: Violation) -> str:
    """Say what is wrong; in the report's own words where its numbers are not known.

    Examples
    --------
    >>> from clary.analysis.violations import Violation
    >>> words(
    ...     Violation(
    ...         feature_name="age",
    ...         constraint_check_type="completeness_check",
    ...         description="…",
    ...         clary={"observed": 0.75, "required": 1.0},
    ...     )
    ... )
    'only 75 % of rows have a value, where 100 % should'
    """
    say = _SAID.get(violation.constraint_check_type)
    said = say(violation.clary) if say and violation.clary else ""
    return said or violation.description


def subject(violation: Violation) -> str:
    """Name what a violation is about: a column, or a metric and its group."""
    names = (
        violation.feature_name,
        violation.metric_name,
        violation.facet,
        violation.facet_value,
    )
    return " ".join(name for name in names if name)


def percent(share: float) -> str:
    """Write a share; what is not quite all or none does not look like it.

    >>> percent(1.0), percent(0.99999), percent(0.123), percent(0.00001)
    ('100 %', '> 99.9 %', '12.3 %', '< 0.1 %')
    """
    if 0.999 < share < 1:
        return "> 99.9 %"
    return "< 0.1 %" if 0 < share < 0.001 else f"{share * 100:.3g} %"


def number(value: float) -> str:
    """Write a number with four digits or so, without an exponent where that is short.

    >>> number(51220.3), number(2.5), number(1e9), number(0.0)
    ('51,220', '2.5', '1e+09', '0')
    """
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e7 else f"{value:.4g}"


def _shares(what: str) -> Callable[[Mapping[str, Any]], str]:
    def say(known: Mapping[str, Any]) -> str:
        observed, required = _number(known, "observed"), _number(known, "required")
        if observed is None or required is None:
            return ""
        return f"only {percent(observed)} of {what}, where {percent(required)} should"

    return say


def _moved(known: Mapping[str, Any]) -> str:
    observed, required = _number(known, "observed"), _number(known, "required")
    if observed is None or required is None or known.get("metric"):
        return ""
    if observed < required:
        least = f"chance explains it with a probability of {observed:.2g}"
        return f"its distribution has changed: {least}, where {required:.2g} is the least allowed"
    far = f"by {observed:.3g}, where {required:.3g} is allowed"
    return f"its distribution has moved {far}"


def _columns(what: str) -> Callable[[Mapping[str, Any]], str]:
    def say(known: Mapping[str, Any]) -> str:
        names = known.get("columns")
        if not isinstance(names, list):
            return ""
        rest = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
        return f"{what}: {', '.join(map(str, names[:_MOST_NAMES]))}{rest}"

    return say


def _number(known: Mapping[str, Any], name: str) -> float | None:
    value = known.get(name)
    return float(value) if isinstance(value, int | float) else None


_SAID: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "data_type_check": _shares("values have the type of the baseline"),
    "completeness_check": _shares("rows have a value"),
    "categorical_values_check": _shares("values are known from the baseline"),
    "non_negative_check": _shares("values are not negative"),
    "baseline_drift_check": _moved,
    "missing_column_check": _columns("columns of the baseline are missing"),
    "extra_column_check": _columns("there are columns that the baseline does not know"),
}
