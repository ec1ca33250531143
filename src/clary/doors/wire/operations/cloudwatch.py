"""Metrics: values put and read, and which there are."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from clary.doors.wire.errors import WireError
from clary.kernel.clock import now
from clary.kernel.errors import InvalidInput, NotSupported
from clary.kernel.names import Ref
from clary.kernel.paging import decode_token, encode_token
from clary.metrics.model import Metric
from clary.metrics.ports import Selection

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clary.doors.wire.call import Call
    from clary.kernel.ports import JsonObject
    from clary.metrics.service import Outcome

_PAGE = 500
_MOST_DATAPOINTS = 100_800
_LISTED_S = 14 * 86_400
_ACTIVE_S = 3 * 3600


def put_metric_data(call: Call) -> None:
    """Add values to metrics."""
    if call.params.get("EntityMetricData"):
        raise NotSupported("EntityMetricData: clary has no entities")
    data = call.params.get("MetricData", ())
    call.platform.metrics.put(call.params["Namespace"], data, near=_near(call))


def get_metric_statistics(call: Call) -> JsonObject:
    """Read statistics of one metric."""
    points = call.platform.metrics.statistics(call.params, near=_near(call))
    return {"Label": call.params["MetricName"], "Datapoints": list(points)}


def get_metric_data(call: Call) -> JsonObject:
    """Read statistics of several metrics, and compute with them."""
    params = call.params
    outcomes = call.platform.metrics.data(
        params["MetricDataQueries"],
        start=params["StartTime"],
        end=params["EndTime"],
        near=_near(call),
    )
    skipped = position(params.get("NextToken", ""))
    most = params.get("MaxDatapoints", _MOST_DATAPOINTS)
    if not 1 <= most <= _MOST_DATAPOINTS:
        raise InvalidInput("MaxDatapoints", f"{most}", legal=f"1 to {_MOST_DATAPOINTS}")
    ascending = params.get("ScanBy") == "TimestampAscending"
    results = _page(outcomes, skipped, most, ascending=ascending)
    total = sum(len(outcome.points) for outcome in outcomes)
    more = skipped + most < total
    token = {"NextToken": encode_token(skipped + most)} if more else {}
    return {"MetricDataResults": results, "Messages": [], **token}


def list_metrics(call: Call) -> JsonObject:
    """List metrics that had values lately."""
    params = call.params
    if params.get("IncludeLinkedAccounts") or params.get("OwningAccount", call.account) != (
        call.account
    ):
        raise NotSupported("IncludeLinkedAccounts: clary links no accounts")
    age_s = _ACTIVE_S if params.get("RecentlyActive") else _LISTED_S
    token = params.get("NextToken", "")
    selection = Selection(
        call.account,
        call.region,
        params.get("Namespace"),
        params.get("MetricName"),
        {one["Name"]: one.get("Value") for one in params.get("Dimensions", ())},
        int(now().timestamp()) - age_s,
        _after(call, token) if token else None,
        _PAGE,
    )
    found: dict[object, Metric] = {}
    while len(found) <= _PAGE:  # units are series of their own, and not listed
        more = call.platform.metrics.list(selection)
        for one in more:
            found.setdefault(_name(one), one)
        if len(more) < _PAGE:
            break
        selection = replace(selection, after=more[-1])
    metrics = list(found.values())
    answer: JsonObject = {"Metrics": [_document(one) for one in metrics[:_PAGE]]}
    if len(metrics) > _PAGE:
        answer["NextToken"] = encode_token(_name(metrics[_PAGE - 1]))
    return answer


def _after(call: Call, token: str) -> Metric:
    """Go on behind every unit of the metric that ended the page before."""
    match _decode(token):
        case [str(namespace), str(name), list(dimensions)]:
            pairs = tuple((str(pair[0]), str(pair[1])) for pair in dimensions)
            return Metric(call.account, call.region, namespace, name, pairs, "\U0010ffff")
    raise _bad_token(token)


def _name(metric: Metric) -> tuple[str, str, tuple[tuple[str, str], ...]]:
    return metric.namespace, metric.name, metric.dimensions


def _document(metric: Metric) -> JsonObject:
    return {
        "Namespace": metric.namespace,
        "MetricName": metric.name,
        "Dimensions": [{"Name": name, "Value": value} for name, value in metric.dimensions],
    }


def _page(
    outcomes: Sequence[Outcome], skipped: int, most: int, *, ascending: bool
) -> list[JsonObject]:
    """Write the data points that a page has room for, and every query in it."""
    results = []
    for outcome in outcomes:
        every = sorted(outcome.points.items(), reverse=not ascending)
        points = every[skipped : skipped + most] if skipped < len(every) else []
        cut = len(every) > skipped + most
        skipped, most = max(0, skipped - len(every)), most - len(points)
        results.append(
            {
                "Id": outcome.query.id,
                "Label": outcome.query.title,
                "Timestamps": [datetime.fromtimestamp(at, UTC) for at, _ in points],
                "Values": [value for _, value in points],
                "StatusCode": "PartialData" if cut else "Complete",
            }
        )
    return results


def position(token: str) -> int:
    """Read how far a list has come. Raises WireError."""
    position = _decode(token) if token else 0
    if not isinstance(position, int) or position < 0:
        raise _bad_token(token)
    return position


def _decode(token: str) -> object:
    try:
        decoded: object = decode_token(token)
    except InvalidInput:
        raise _bad_token(token) from None
    return decoded


def _bad_token(token: str) -> WireError:
    return WireError("InvalidNextToken", f"{token[:40]!r} is not a token of this list")


def _near(call: Call) -> Ref:
    return Ref(call.account, call.region, "alarm", "")
