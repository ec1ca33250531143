"""SageMaker Metrics: points of components' metrics, and curves of them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from clary.experiments.jobs import component_of
from clary.experiments.metrics import CurveQuery
from clary.experiments.model import COMPONENT, named
from clary.experiments.ports import Point
from clary.jobs.model import KINDS
from clary.kernel.errors import ClaryError, Forbidden, InvalidInput, LimitExceeded
from clary.kernel.names import Ref, parse_arn

if TYPE_CHECKING:
    from clary.doors.wire.call import Call
    from clary.kernel.ports import JsonObject

_PERIODS = {"OneMinute": 60, "FiveMinute": 300, "OneHour": 3600, "IterationNumber": None}


def batch_put_metrics(call: Call) -> JsonObject:
    """Add points to a component's metrics; a point that cannot be kept fails alone."""
    given = call.params["MetricData"]
    component = named(Ref(call.account, call.region, "", ""), COMPONENT, _name(call))
    errors = [
        {"Code": "VALIDATION_ERROR", "MetricIndex": index}
        for index, one in enumerate(given)
        if not math.isfinite(one["Value"])
    ]
    points = [
        Point(one["MetricName"], one["Value"], one["Timestamp"], one.get("Step"))
        for one in given
        if math.isfinite(one["Value"])
    ]
    try:
        call.platform.experiments.metrics.log(component, points)
    except LimitExceeded:
        errors = [
            {"Code": "METRIC_LIMIT_EXCEEDED", "MetricIndex": index} for index in range(len(given))
        ]
    return {"Errors": errors} if errors else {}


def batch_get_metrics(call: Call) -> JsonObject:
    """Read curves; a question that cannot be answered fails alone."""
    return {"MetricQueryResults": [_answer(call, asked) for asked in call.params["MetricQueries"]]}


def _name(call: Call) -> str:
    name: str = call.params["TrialComponentName"]
    return name


def _answer(call: Call, asked: dict[str, Any]) -> JsonObject:
    try:
        component = _component(call, asked["ResourceArn"])
        query = CurveQuery(
            statistic=asked["MetricStat"],
            period_s=_PERIODS[asked["Period"]],
            by_step=asked["XAxisType"] == "IterationNumber",
            start=asked.get("Start"),
            end=asked.get("End"),
        )
        curve = call.platform.experiments.metrics.curve(component, asked["MetricName"], query)
    except ClaryError as error:
        return {
            "Status": "ValidationError",
            "Message": error.message[:2048],
            "XAxisValues": [],
            "MetricValues": [],
        }
    return {
        "Status": "Truncated" if curve.truncated else "Complete",
        "XAxisValues": list(curve.axis),
        "MetricValues": list(curve.values),
    }


def _component(call: Call, text: str) -> Ref:
    ref = parse_arn(text, field="ResourceArn")
    if ref.account != call.account:
        raise Forbidden(call.actor, "read the metrics of", ref)
    if ref.kind in KINDS:
        return component_of(ref)
    if ref.kind != COMPONENT:
        legal = ", ".join((COMPONENT, *KINDS))
        raise InvalidInput("ResourceArn", f"a {ref.kind} has no metrics", legal=legal)
    return named(ref, COMPONENT, ref.name)
