"""Monitoring schedules and their executions."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from clary.doors.wire.listing import answer, query
from clary.doors.wire.listing import tags as read_tags
from clary.kernel.names import arn, parse_name
from clary.monitoring import documents
from clary.monitoring.model import EXECUTION, SCHEDULE, execution, schedule

if TYPE_CHECKING:
    from clary.doors.wire.call import Call
    from clary.kernel.names import Ref
    from clary.kernel.ports import JsonObject
    from clary.kernel.resource import Query, Resource

_NAME = "MonitoringScheduleName"
_WHERE = {
    "EndpointName": "endpoint",
    "MonitoringJobDefinitionName": "definition",
    "MonitoringTypeEquals": "type",
}


def create_monitoring_schedule(call: Call) -> JsonObject:
    """Make a schedule."""
    ref = _ref(call)
    call.platform.monitoring.schedules.create(
        ref, call.params, actor=call.actor, tags=read_tags(call)
    )
    return {"MonitoringScheduleArn": arn(ref)}


def update_monitoring_schedule(call: Call) -> JsonObject:
    """Replace what a schedule does, or when."""
    ref = _ref(call)
    call.platform.monitoring.schedules.update(ref, call.params, actor=call.actor)
    return {"MonitoringScheduleArn": arn(ref)}


def describe_monitoring_schedule(call: Call) -> JsonObject:
    """Describe a schedule and its newest execution."""
    found = call.platform.monitoring.schedules.get(_ref(call))
    last = schedule(found).last
    return documents.schedule(
        found, call.platform.store.get(found.ref.sibling(EXECUTION, last)) if last else None
    )


def list_monitoring_schedules(call: Call) -> JsonObject:
    """List schedules."""
    asked = _filtered(call, query(call, SCHEDULE))
    page = call.platform.monitoring.schedules.list(asked)
    items = map(documents.schedule_summary, page.items)
    return answer("MonitoringScheduleSummaries", items, page.token)


def start_monitoring_schedule(call: Call) -> JsonObject:
    """Let a schedule go on, or run again if it runs only when asked."""
    call.platform.monitoring.schedules.start(_ref(call), actor=call.actor)
    return {}


def stop_monitoring_schedule(call: Call) -> JsonObject:
    """Let a schedule make no more executions."""
    call.platform.monitoring.schedules.stop(_ref(call), actor=call.actor)
    return {}


def delete_monitoring_schedule(call: Call) -> JsonObject:
    """Remove a schedule; its executions stay."""
    call.platform.monitoring.schedules.delete(_ref(call), actor=call.actor)
    return {}


def list_monitoring_executions(call: Call) -> JsonObject:
    """List executions; a page may be shorter than asked for where scheduled times are limited."""
    params = dict(call.params)
    by_time = params.get("SortBy") == "ScheduledTime"
    if by_time:  # they are made in the order of their times
        params["SortBy"] = "CreationTime"
    limits = [params.get(name) for name in ("CreationTimeAfter", "ScheduledTimeAfter")]
    if given := [limit for limit in limits if limit is not None]:
        params["CreationTimeAfter"] = max(given)
    asked = query(replace(call, params=params), EXECUTION)
    if name := params.get(_NAME):
        asked = replace(asked, name_prefix=f"{name}/")
    page = call.platform.monitoring.schedules.list(_filtered(call, asked))
    items = [one for one in page.items if _is_within(call, one)]
    return answer("MonitoringExecutionSummaries", map(documents.execution, items), page.token)


def _is_within(call: Call, found: Resource) -> bool:
    at = execution(found).scheduled_at
    after, before = (call.params.get(f"ScheduledTime{side}") for side in ("After", "Before"))
    return (after is None or at > after) and (before is None or at < before)


def _filtered(call: Call, asked: Query) -> Query:
    where = {path: call.params[name] for name, path in _WHERE.items() if name in call.params}
    status = call.params.get("StatusEquals")
    return replace(asked, where=where, statuses=(status,) if status else ())


def _ref(call: Call) -> Ref:
    return parse_name(
        call.params[_NAME], SCHEDULE, account=call.account, region=call.region, field=_NAME
    )
