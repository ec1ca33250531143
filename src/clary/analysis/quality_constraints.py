"""Bounds of a model's metrics: suggested from a baseline, read, written, and checked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import msgspec

from clary.analysis.quality import KINDS, Kind, Metric, Quality
from clary.analysis.quality_regression import THEIRS
from clary.analysis.violations import Violation
from clary.kernel.codec import build, from_json
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clary.analysis.estimates import Estimates

Operator: TypeAlias = Literal["GreaterThanThreshold", "LessThanThreshold"]
_HIGH_IS_BAD: Final = ("mae", "mse", "rmse", "false_positive_rate", "false_negative_rate")
_UNBOUND: Final = "_best_constant_classifier"
_ROUNDING: Final = 1e-9
_OURS: Final = {"r2": "labels"}
"""In the ``clary`` block of constraints: what their ``r2`` is measured against."""


class Bound(msgspec.Struct, frozen=True):
    """A metric's worst value, and on which side of it a violation lies."""

    threshold: float
    comparison_operator: Operator

    def is_broken_by(self, value: float) -> bool:
        """Say whether a value lies beyond the threshold by more than rounding."""
        beyond = value - self.threshold
        if self.comparison_operator == "LessThanThreshold":
            beyond = -beyond
        return beyond > _ROUNDING * max(1.0, abs(self.threshold))


@dataclass(frozen=True, slots=True)
class QualityConstraints:
    """What a constraints document of model quality says.

    Parameters
    ----------
    kind
        Which of the three it is.
    bounds
        By the metric's name.
    extra
        The ``clary`` block: what performance without labels needs of the baseline.
    """

    kind: Kind
    bounds: Mapping[str, Bound]
    extra: Mapping[str, Any] = field(default_factory=dict)

    def to_document(self) -> dict[str, Any]:
        """Write the document."""
        bounds = {name: msgspec.to_builtins(bound) for name, bound in self.bounds.items()}
        document: dict[str, Any] = {"version": 0.0, f"{self.kind}_constraints": bounds}
        return {**document, "clary": dict(self.extra)} if self.extra else document


def suggest(quality: Quality) -> QualityConstraints:
    """Take the baseline's own values as bounds; metrics without a value get none."""
    return QualityConstraints(
        quality.kind,
        {
            name: Bound(metric.value, operator(name))
            for name, metric in quality.metrics.items()
            if metric.value is not None and not name.endswith(_UNBOUND)
        },
        _OURS if quality.kind == "regression" else {},
    )


def operator(metric: str) -> Operator:
    """Say on which side of its bound a metric is bad.

    Examples
    --------
    >>> operator("mae"), operator("auc")
    ('GreaterThanThreshold', 'LessThanThreshold')
    """
    return "GreaterThanThreshold" if metric in _HIGH_IS_BAD else "LessThanThreshold"


def read_quality_constraints(
    data: bytes | str, *, field: str = "constraints.json"
) -> QualityConstraints:
    """Read a constraints document of model quality.

    Raises
    ------
    InvalidInput
        It is no JSON, of another analysis, or a bound is not legal; names its place.
    """
    document = build(dict[str, Any], from_json(data, field=field), field=field)
    kind = next((one for one in KINDS.values() if f"{one}_constraints" in document), None)
    if kind is None:
        legal = ", ".join(f"{one}_constraints" for one in KINDS.values())
        raise InvalidInput(field, "holds no constraints of model quality", legal=legal)
    name = f"{kind}_constraints"
    bounds = build(dict[str, Bound], document[name], field=f"{field}.{name}")
    return QualityConstraints(kind, bounds, document.get("clary", {}))


def broken(quality: Quality, constraints: QualityConstraints) -> list[Violation]:
    """List the metrics beyond their bounds.

    A bound whose metric is not there or undefined is not broken; ``unchecked`` lists it. A bound of
    ``r2`` that Model Monitor suggested is held against ``r2`` as Model Monitor computes it.

    Raises
    ------
    InvalidInput
        The constraints are those of another kind of problem.
    """
    if quality.kind != constraints.kind:
        raise InvalidInput(
            "baseline_constraints",
            f"bounds {constraints.kind}_metrics, but the problem type gives {quality.kind}_metrics",
        )
    found = []
    for name, bound in constraints.bounds.items():
        metric = _held(name, quality, constraints)
        if metric and metric.value is not None and bound.is_broken_by(metric.value):
            known = {"value": metric.value, "standard_deviation": metric.standard_deviation}
            found.append(violation(name, bound, _said(metric), known))
    return found


def _held(name: str, quality: Quality, constraints: QualityConstraints) -> Metric | None:
    theirs = quality.extra.get(THEIRS)
    if name == "r2" and theirs is not None and "r2" not in constraints.extra:
        return Metric(theirs)
    return quality.metrics.get(name)


def violation(name: str, bound: Bound, said: str, known: dict[str, Any]) -> Violation:
    """Write one violation; ``said`` is what was found, and ``known`` the same as plain values."""
    return Violation(
        metric_name=name,
        constraint_check_type=bound.comparison_operator,
        description=f"Metric {name} with {said} was {bound.comparison_operator} {bound.threshold}",
        clary={**known, "threshold": bound.threshold},
    )


def broken_estimates(estimates: Estimates, constraints: QualityConstraints) -> list[Violation]:
    """List the metrics that are beyond their bounds although their labels have not come.

    An alarm needs the whole interval beyond the bound: what may still be in order is in order.
    """
    found = []
    for name, bound in constraints.bounds.items():
        one = estimates.metrics.get(name)
        if one is None or not all(bound.is_broken_by(end) for end in (one.lower, one.upper)):
            continue
        said = (
            f"{one.value} ({one.lower} to {one.upper}), estimated for {estimates.rows} answers "
            "without labels,"
        )
        known = {"estimated": one.to_document() | {"rows": estimates.rows}}
        found.append(violation(name, bound, said, known))
    return found


def _said(metric: Metric) -> str:
    if metric.standard_deviation is None:
        return f"{metric.value}"
    return f"{metric.value} +/- {metric.standard_deviation}"


def unchecked(quality: Quality, constraints: QualityConstraints) -> dict[str, str]:
    """Name the bounds that nothing could be held against, and why."""
    reasons = {}
    for name in constraints.bounds:
        metric = quality.metrics.get(name)
        if metric is None:
            reasons[name] = "is not measured"
        elif metric.value is None:
            reasons[name] = metric.error
    return reasons
