"""Schedules and their groups."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clary.doors.wire.listing import answer
from clary.kernel.codec import build
from clary.kernel.names import Ref, arn
from clary.kernel.resource import Query
from clary.pipelines.schedules import DEFAULT_GROUP, GROUP, SCHEDULE, Schedule

if TYPE_CHECKING:
    from clary.doors.wire.call import Call
    from clary.kernel.ports import JsonObject
    from clary.kernel.resource import Resource


def create_schedule(call: Call) -> JsonObject:
    """Make a schedule."""
    ref = _schedule(call)
    call.platform.schedules.create(ref, call.params, actor=call.actor)
    return {"ScheduleArn": arn(ref)}


def update_schedule(call: Call) -> JsonObject:
    """Replace a schedule."""
    ref = _schedule(call)
    call.platform.schedules.update(ref, call.params, actor=call.actor)
    return {"ScheduleArn": arn(ref)}


def get_schedule(call: Call) -> JsonObject:
    """Describe a schedule."""
    found = call.platform.schedules.get(_schedule(call))
    view = build(Schedule, found.body).view
    return {
        **build(Schedule, found.body).request,
        "Arn": arn(found.ref),
        **_names(found),
        "ScheduleExpressionTimezone": view.schedule_expression_timezone,
        "State": view.state,
        "StartDate": view.start_date,
        "EndDate": view.end_date,
        "ActionAfterCompletion": view.action_after_completion,
        "CreationDate": found.created_at,
        "LastModificationDate": found.modified_at,
    }


def delete_schedule(call: Call) -> JsonObject:
    """Remove a schedule."""
    call.platform.schedules.delete(_schedule(call), actor=call.actor)
    return {}


def list_schedules(call: Call) -> JsonObject:
    """List schedules by name."""
    params = call.params
    group = params.get("GroupName")
    query = Query(
        SCHEDULE,
        call.account,
        call.region,
        Ref(call.account, call.region, GROUP, group) if group else None,
        name_prefix=f"{group}/{params.get('NamePrefix', '')}" if group else "",
        statuses=[params["State"]] if "State" in params else [],
        sort_by="name",
        descending=False,
        limit=params.get("MaxResults", 100),
        token=params.get("NextToken", ""),
    )
    page = call.platform.schedules.list(query)
    prefix = params.get("NamePrefix", "")
    items = [x for x in page.items if x.ref.name.partition("/")[2].startswith(prefix)]
    return answer("Schedules", map(_summary, items), page.token)


def create_schedule_group(call: Call) -> JsonObject:
    """Make a group."""
    ref = _group(call)
    tags = {tag["Key"]: tag["Value"] for tag in call.params.get("Tags", ())}
    call.platform.schedules.create_group(ref, actor=call.actor, tags=tags)
    return {"ScheduleGroupArn": arn(ref)}


def get_schedule_group(call: Call) -> JsonObject:
    """Describe a group."""
    return _group_document(call.platform.schedules.get(_group(call)))


def delete_schedule_group(call: Call) -> JsonObject:
    """Remove a group and its schedules."""
    call.platform.schedules.delete_group(_group(call), actor=call.actor)
    return {}


def list_schedule_groups(call: Call) -> JsonObject:
    """List groups by name."""
    query = Query(
        GROUP,
        call.account,
        call.region,
        name_prefix=call.params.get("NamePrefix", ""),
        sort_by="name",
        descending=False,
        limit=call.params.get("MaxResults", 100),
        token=call.params.get("NextToken", ""),
    )
    page = call.platform.schedules.list(query)
    return answer("ScheduleGroups", map(_group_document, page.items), page.token)


def _schedule(call: Call) -> Ref:
    group = call.params.get("GroupName", DEFAULT_GROUP)
    return Ref(call.account, call.region, SCHEDULE, f"{group}/{call.params['Name']}")


def _group(call: Call) -> Ref:
    return Ref(call.account, call.region, GROUP, call.params["Name"])


def _names(found: Resource) -> JsonObject:
    group, _, name = found.ref.name.partition("/")
    return {"GroupName": group, "Name": name}


def _summary(found: Resource) -> JsonObject:
    target = found.body["request"]["Target"]
    return {
        "Arn": arn(found.ref),
        **_names(found),
        "State": found.status,
        "CreationDate": found.created_at,
        "LastModificationDate": found.modified_at,
        "Target": {"Arn": target["Arn"]},
    }


def _group_document(found: Resource) -> JsonObject:
    return {
        "Arn": arn(found.ref),
        "Name": found.ref.name,
        "State": found.status,
        "CreationDate": found.created_at,
        "LastModificationDate": found.modified_at,
    }
