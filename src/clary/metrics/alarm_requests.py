"""What PutMetricAlarm carries, read and checked."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from clary.kernel.codec import build
from clary.kernel.errors import InvalidInput, NotSupported
from clary.metrics.expressions import Expression
from clary.metrics.judging import Comparison, Criterion, Missing
from clary.metrics.queries import read_queries
from clary.metrics.windows import MOST_POINTS, check_period

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clary.metrics.queries import DataQuery

_NOT_KEPT = ("AlarmName", "Tags")
_NOT_OFFERED = (
    "ThresholdMetricId",
    "EvaluationCriteria",
    "EvaluationWindow",
    "EvaluationInterval",
    "WarmUpConfiguration",
    "ActionConfiguration",
)
_ONE_METRIC = ("MetricName", "Namespace", "Statistic", "ExtendedStatistic", "Period", "Dimensions")
_DAY_S, _WEEK_S = 86_400, 7 * 86_400


class AlarmRequest(Struct, frozen=True, rename="pascal"):
    """An alarm on one metric, or on the one of ``metrics`` that returns data."""

    evaluation_periods: int
    comparison_operator: Comparison
    threshold: float
    alarm_description: str = ""
    actions_enabled: bool = True
    metric_name: str = ""
    namespace: str = ""
    statistic: str = ""
    extended_statistic: str = ""
    dimensions: tuple[dict[str, str], ...] = ()
    period: int = 0
    unit: str = ""
    datapoints_to_alarm: int = 0
    treat_missing_data: Missing = "missing"
    evaluate_low_sample_count_percentile: str = ""
    metrics: tuple[dict[str, Any], ...] = ()

    @property
    def criterion(self) -> Criterion:
        """What it goes by."""
        return Criterion(
            self.comparison_operator,
            self.threshold,
            self.evaluation_periods,
            self.datapoints_to_alarm or self.evaluation_periods,
            self.treat_missing_data,
        )

    @property
    def queries(self) -> tuple[dict[str, Any], ...]:
        """What it watches, as MetricDataQueries."""
        if self.metrics:
            return self.metrics
        metric = {
            "Namespace": self.namespace,
            "MetricName": self.metric_name,
            "Dimensions": list(self.dimensions),
        }
        stat: dict[str, Any] = {
            "Metric": metric,
            "Period": self.period,
            "Stat": self.statistic or self.extended_statistic,
        }
        if self.unit:
            stat["Unit"] = self.unit
        return ({"Id": "m1", "MetricStat": stat, "ReturnData": True},)

    @property
    def period_s(self) -> int:
        """How long its periods are: the longest of what it watches."""
        return max(int(one["MetricStat"]["Period"]) for one in self.queries if "MetricStat" in one)


def read_request(request: Mapping[str, Any]) -> dict[str, Any]:
    """Check a request, and return what of it is kept.

    Raises
    ------
    InvalidInput, NotSupported
        It is not legal, or asks for what clary has not.
    """
    for member in _NOT_OFFERED:
        if request.get(member):
            raise NotSupported(f"{member}: clary has no alarms of this sort")
    if request.get("EvaluateLowSampleCountPercentile", "evaluate") != "evaluate":
        raise NotSupported("EvaluateLowSampleCountPercentile: clary always evaluates")
    kept = {name: value for name, value in request.items() if name not in _NOT_KEPT}
    view = build(AlarmRequest, kept)
    _check_watched(view, kept)
    criterion = view.criterion
    if not math.isfinite(view.threshold):
        raise InvalidInput("Threshold", f"{view.threshold}", legal="a number")
    if not 1 <= criterion.datapoints <= criterion.periods:
        raise InvalidInput(
            "DatapointsToAlarm", f"{criterion.datapoints}", legal=f"1 to {criterion.periods}"
        )
    _check_length(view.period_s, criterion.periods)
    return kept


def _check_watched(view: AlarmRequest, kept: Mapping[str, Any]) -> None:
    if not view.metrics:
        if bool(view.statistic) == bool(view.extended_statistic):
            raise InvalidInput("Statistic", "needs either this or ExtendedStatistic")
        if not (view.metric_name and view.namespace):
            raise InvalidInput("MetricName", "needs MetricName and Namespace, or Metrics")
        check_period(view.period)
    elif both := [name for name in _ONE_METRIC if kept.get(name)]:
        raise InvalidInput("Metrics", f"is given beside {', '.join(both)}")
    _check_queries(read_queries(view.queries, field="Metrics"))


def _check_queries(queries: Mapping[str, DataQuery]) -> None:
    if sum(query.return_data for query in queries.values()) != 1:
        raise InvalidInput("Metrics", "not exactly one has ReturnData true")
    periods = {one.metric_stat.period for one in queries.values() if one.metric_stat}
    if len(periods) != 1:
        raise InvalidInput("Metrics", f"has periods of {sorted(periods)} seconds", legal="one")
    nothing: dict[str, dict[int, float]] = {name: {} for name in queries}
    for query in queries.values():
        if query.expression:
            Expression(query.expression, field=f"Metrics.{query.id}").points(nothing)


def _check_length(period_s: int, periods: int) -> None:
    longest_s = _WEEK_S if period_s >= 3600 else _DAY_S
    if period_s * periods > longest_s or periods > MOST_POINTS:
        problem = f"{periods} periods of {period_s} seconds"
        raise InvalidInput("EvaluationPeriods", problem, legal=f"at most {longest_s} seconds")
