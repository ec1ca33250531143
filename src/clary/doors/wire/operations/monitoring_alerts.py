"""The alerts of monitoring schedules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clary.doors.wire.listing import page_of
from clary.kernel.errors import NotFound
from clary.kernel.names import arn, parse_name
from clary.kernel.resource import Query
from clary.monitoring.alert_states import ALERT, IN_ALERT, OK, history
from clary.monitoring.model import SCHEDULE, schedule

if TYPE_CHECKING:
    from collections.abc import Iterable

    from clary.doors.wire.call import Call
    from clary.kernel.names import Ref
    from clary.kernel.ports import JsonObject
    from clary.kernel.resource import Resource

_NAME = "MonitoringScheduleName"


def update_monitoring_alert(call: Call) -> JsonObject:
    """Say how many executions of how many make an alert."""
    ref, name = _ref(call), call.params["MonitoringAlertName"]
    if name != ALERT:
        raise NotFound(f"the alert {name} of {ref}")
    call.platform.monitoring.schedules.set_alert(
        ref,
        datapoints=call.params["DatapointsToAlert"],
        period=call.params["EvaluationPeriod"],
        actor=call.actor,
    )
    return {"MonitoringScheduleArn": arn(ref), "MonitoringAlertName": name}


def list_monitoring_alerts(call: Call) -> JsonObject:
    """Describe the alert of a schedule."""
    found = call.platform.monitoring.schedules.get(_ref(call))
    value = schedule(found)
    past = history(call.platform.store, found)
    last = past[-1].at if past else found.created_at
    document = {
        "MonitoringAlertName": ALERT,
        "CreationTime": found.created_at,
        "LastModifiedTime": max(last, value.alert_changed_at or found.created_at),
        "AlertStatus": past[-1].status if past else OK,
        "DatapointsToAlert": value.datapoints,
        "EvaluationPeriod": value.period,
        "Actions": {"ModelDashboardIndicator": {"Enabled": True}},
    }
    return page_of(call, "MonitoringAlertSummaries", [document])


def list_monitoring_alert_history(call: Call) -> JsonObject:
    """List when alerts changed their states."""
    params = call.params
    after, before = params.get("CreationTimeAfter"), params.get("CreationTimeBefore")
    items = [
        one
        for one in _history(call)
        if params.get("MonitoringAlertName", ALERT) == ALERT
        and params.get("StatusEquals") in {None, one["AlertStatus"]}
        and (after is None or one["CreationTime"] > after)
        and (before is None or one["CreationTime"] < before)
    ]
    by_status = params.get("SortBy") == "Status"
    items.sort(
        key=lambda one: (by_status and one["AlertStatus"] == IN_ALERT, one["CreationTime"]),
        reverse=params.get("SortOrder", "Descending") == "Descending",
    )
    return page_of(call, "MonitoringAlertHistory", items)


def _history(call: Call) -> Iterable[JsonObject]:
    for found in _schedules(call):
        for turn in history(call.platform.store, found):
            yield {
                "MonitoringScheduleName": found.ref.name,
                "MonitoringAlertName": ALERT,
                "CreationTime": turn.at,
                "AlertStatus": turn.status,
            }


def _schedules(call: Call) -> Iterable[Resource]:
    schedules = call.platform.monitoring.schedules
    if _NAME in call.params:
        return [schedules.get(_ref(call))]
    return schedules.list(Query(SCHEDULE, call.account, call.region, limit=1000)).items


def _ref(call: Call) -> Ref:
    return parse_name(
        call.params[_NAME], SCHEDULE, account=call.account, region=call.region, field=_NAME
    )
