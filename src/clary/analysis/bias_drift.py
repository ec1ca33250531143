"""Whether bias has grown: metrics of now against those of a baseline."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import msgspec

from clary.analysis.bias_metrics import ideal
from clary.analysis.bias_report import document, place
from clary.analysis.violations import Violation
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from clary.analysis.bias_report import Analysis, MetricValue

CHECK = "bias_drift_check"
FALSE_ALARMS = 0.01
"""The share of analyses of unchanged data that may have violations."""
_NORMAL = NormalDist().inv_cdf(0.975)


def drift(
    baseline: Analysis, current: Analysis, *, needs_certainty: bool = False
) -> tuple[Violation, ...]:
    """Name the metrics that are farther from their ideal than in the baseline.

    The ideal is 1 for DI and 0 for all others. What has no value on either side is passed over:
    ``unchecked`` names it.

    Parameters
    ----------
    needs_certainty
        A metric counts only where all of its interval is farther away; for small samples, as live
        data are. The intervals are made as wide as it takes that of a hundred analyses of data
        that have not changed one has violations: for as many metrics as are compared, and for
        what chance did to the baseline, where that has intervals. Metrics without an interval
        count by their value.

    Raises
    ------
    InvalidInput
        The two call other labels positive.
    """
    _check_labels(baseline, current)
    now = _by_place(current)
    pairs = [
        (where, before, now[where])
        for where, before in _by_place(baseline).items()
        if where in now and None not in (before.number, now[where].number)
    ]
    certainty = 1.0 - FALSE_ALARMS / max(1, len(pairs))
    wider = NormalDist().inv_cdf(certainty) / _NORMAL if needs_certainty else 0.0
    return tuple(
        _violation(where, metric, before)
        for where, before, metric in pairs
        if _is_farther(before, metric, wider)
    )


def _is_farther(before: MetricValue, metric: MetricValue, wider: float) -> bool:
    value, required = metric.number, before.number
    if value is None or required is None:
        return False
    target = ideal(before.name)
    allowed = abs(required - target)
    if abs(value - target) <= allowed:
        return False
    between = _between(before, metric, wider) if wider else None
    return not between or between[0] > target + allowed or between[1] < target - allowed


def _between(before: MetricValue, metric: MetricValue, wider: float) -> tuple[float, float] | None:
    """Return a metric's interval, made wider, and by that of the baseline."""
    value, between = metric.number, metric.interval
    if value is None or between is None or not math.isfinite(value):
        return between
    low, high = before.interval or (0.0, 0.0)
    of_baseline = (high - low) / 2.0 if math.isfinite(high - low) else 0.0
    down, up = (math.hypot(one, of_baseline) for one in (value - between[0], between[1] - value))
    return value - wider * down, value + wider * up


def unchecked(baseline: Analysis, current: Analysis) -> list[str]:
    """Say which of the baseline's metrics could not be compared, and why."""
    now = _by_place(current)
    said = []
    for (stage, facet, value, name), before in _by_place(baseline).items():
        metric = now.get((stage, facet, value, name))
        if before.number is None:
            reason = "has no value in the baseline"
        elif metric is None:
            reason = "was not measured"
        elif metric.number is None:
            reason = "has no value" if metric.error is msgspec.UNSET else metric.error
        else:
            continue
        said.append(f"{name} of {facet} {value}: {reason}")
    return said


def _check_labels(baseline: Analysis, current: Analysis) -> None:
    now = current.stages
    for name, before in baseline.stages.items():
        titles = [place(one.label_value_or_threshold) for one in (before, now.get(name, before))]
        if all(titles) and titles[0] != titles[1]:
            problem = f"calls the label {titles[0]!r} positive, and the analysis {titles[1]!r}"
            raise InvalidInput("baseline", problem, legal="the same label_values_or_threshold")


Place = tuple[str, str, str, str]
"""Stage, facet, facet value and metric."""


def _by_place(analysis: Analysis) -> dict[Place, MetricValue]:
    """Find metrics by what they are of.

    The upper end of an interval is the largest value of its data, so that the lower names it.
    """
    return {
        (stage, facet, place(one.value_or_threshold), metric.name): metric
        for stage, metrics in analysis.stages.items()
        for facet, values in metrics.facets.items()
        for one in values
        for metric in one.metrics
    }


def _violation(where: Place, metric: MetricValue, before: MetricValue) -> Violation:
    stage, facet, value, name = where
    facts: dict[str, Any] = {
        "stage": stage,
        "value": document(metric.number),
        "baseline": document(before.number),
    }
    if metric.interval:
        facts["confidence_interval"] = [document(one) for one in metric.interval]
    return Violation(
        facet=facet,
        facet_value=value.removeprefix("> "),
        metric_name=name,
        constraint_check_type=CHECK,
        description=(
            f"Metric value {metric.value} doesn't meet the baseline constraint requirement "
            f"{before.value}"
        ),
        clary=facts,
    )
