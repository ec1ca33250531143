"""Alarms on metrics, and their tags."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from clary.doors.wire.listing import page_of, tags
from clary.doors.wire.operations.cloudwatch import position
from clary.kernel.clock import now
from clary.kernel.codec import build
from clary.kernel.errors import Forbidden, InvalidInput, NotFound, NotSupported
from clary.kernel.names import Ref, arn, parse_arn
from clary.kernel.paging import encode_token
from clary.kernel.resource import Event, Query
from clary.metrics.alarms import ALARM, CHANGED, Alarm
from clary.metrics.queries import MetricName

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clary.doors.wire.call import Call
    from clary.kernel.ports import JsonObject
    from clary.kernel.resource import Resource

_MOST = 100
_HISTORY = {CHANGED: "StateUpdate"}
_SORTED = ("TimestampAscending", "TimestampDescending")


def put_metric_alarm(call: Call) -> None:
    """Make or replace an alarm."""
    ref = _alarm(call, call.params["AlarmName"])
    call.platform.alarms.put(ref, call.params, actor=call.actor, tags=tags(call))


def describe_alarms(call: Call) -> JsonObject:
    """Describe alarms by name."""
    params = call.params
    for member in ("ChildrenOfAlarmName", "ParentsOfAlarmName"):
        if params.get(member):
            raise NotSupported(f"{member}: clary has no composite alarms")
    if "MetricAlarm" not in params.get("AlarmTypes", ("MetricAlarm",)):
        return {"MetricAlarms": [], "CompositeAlarms": []}
    if names := params.get("AlarmNames"):
        refs = [_alarm(call, name) for name in sorted(set(names))]
        found = call.platform.store.get_all(refs).values()
        return _described([one for one in found if _wanted(call, one)], "")
    query = Query(
        ALARM,
        call.account,
        call.region,
        statuses=(params["StateValue"],) if params.get("StateValue") else (),
        name_prefix=params.get("AlarmNamePrefix", ""),
        sort_by="name",
        descending=False,
        limit=params.get("MaxRecords", _MOST),
        token=params.get("NextToken", ""),
    )
    page = call.platform.alarms.list(query)
    return _described([one for one in page.items if _wanted(call, one)], page.token)


def describe_alarms_for_metric(call: Call) -> JsonObject:
    """Describe the alarms that watch one metric."""
    metric = build(MetricName, call.params).of(_alarm(call, ""))
    found = [
        one
        for one in call.platform.alarms.every(_alarm(call, ""))
        if one.body["request"].get("MetricName")
        and build(MetricName, one.body["request"]).of(one.ref) == metric
        and all(
            one.body["request"].get(member) == call.params[member]
            for member in ("Statistic", "ExtendedStatistic", "Period", "Unit")
            if member in call.params
        )
    ]
    return {"MetricAlarms": [_document(one) for one in found]}


def delete_alarms(call: Call) -> None:
    """Remove alarms."""
    refs = [_alarm(call, name) for name in dict.fromkeys(call.params["AlarmNames"])]
    call.platform.alarms.delete(refs, actor=call.actor)


def set_alarm_state(call: Call) -> None:
    """Put an alarm in a state until it is evaluated next."""
    params = call.params
    call.platform.alarms.set_state(
        _alarm(call, params["AlarmName"]),
        params["StateValue"],
        params["StateReason"],
        params.get("StateReasonData", ""),
        actor=call.actor,
    )


def enable_alarm_actions(call: Call) -> None:
    """Let alarms act."""
    _switch(call, enabled=True)


def disable_alarm_actions(call: Call) -> None:
    """Keep alarms from acting."""
    _switch(call, enabled=False)


def describe_alarm_history(call: Call) -> JsonObject:
    """List what has happened to one alarm, or to all."""
    params = call.params
    if name := params.get("AlarmName"):
        refs = [_alarm(call, name)]
    else:
        refs = [one.ref for one in call.platform.alarms.every(_alarm(call, ""))]
    lines = [line for ref in refs for line in call.platform.alarms.history(ref)]
    lines = [line for line in lines if _told(params, line)]
    descending = params.get("ScanBy", _SORTED[1]) == _SORTED[1]
    lines.sort(key=lambda line: line.id, reverse=descending)
    start = position(params.get("NextToken", ""))
    end = start + params.get("MaxRecords", _MOST)
    token = {"NextToken": encode_token(end)} if end < len(lines) else {}
    return {"AlarmHistoryItems": [_item(line) for line in lines[start:end]], **token}


def tag_resource(call: Call) -> None:
    """Set tags of an alarm."""
    _tag(call, dict(tags(call)))


def untag_resource(call: Call) -> None:
    """Remove tags of an alarm."""
    _tag(call, dict.fromkeys(call.params["TagKeys"]))


def list_tags_for_resource(call: Call) -> JsonObject:
    """List tags of an alarm by key."""
    found = call.platform.store.tags(call.platform.alarms.get(_tagged(call)).ref)
    documents = [{"Key": key, "Value": found[key]} for key in sorted(found)]
    return page_of(call, "Tags", documents)


def _tag(call: Call, changed: Mapping[str, str | None]) -> None:
    ref = _tagged(call)
    with call.platform.store.begin() as transaction:
        if transaction.get(ref) is None:
            raise NotFound(ref)
        transaction.tag(ref, changed)
        line = Event(now(), call.actor, "alarm.tagged", ref, {"tags": dict(changed)})
        transaction.append(line)


def _tagged(call: Call) -> Ref:
    ref = parse_arn(call.params["ResourceARN"], field="ResourceARN")
    if ref.kind != ALARM:
        raise InvalidInput("ResourceARN", f"{ref} has no tags here", legal="the ARN of an alarm")
    if ref.account != call.account:
        raise Forbidden(call.actor, "reach", ref)
    return ref


def _switch(call: Call, *, enabled: bool) -> None:
    refs = [_alarm(call, name) for name in call.params["AlarmNames"]]
    call.platform.alarms.switch(refs, enabled=enabled, actor=call.actor)


def _wanted(call: Call, found: Resource) -> bool:
    params, request = call.params, found.body["request"]
    if params.get("StateValue") not in (None, found.status):
        return False
    prefix = params.get("ActionPrefix", "")
    actions = [
        action
        for member in ("OKActions", "AlarmActions", "InsufficientDataActions")
        for action in request.get(member, ())
    ]
    return not prefix or any(action.startswith(prefix) for action in actions)


def _described(found: list[Resource], token: str) -> JsonObject:
    documents = [_document(one) for one in found]
    more = {"NextToken": token} if token else {}
    return {"MetricAlarms": documents, "CompositeAlarms": [], **more}


def _document(found: Resource) -> JsonObject:
    alarm = build(Alarm, found.body)
    standing = alarm.standing
    return {
        "ActionsEnabled": True,
        "OKActions": [],
        "AlarmActions": [],
        "InsufficientDataActions": [],
        "Dimensions": [],
        **alarm.request,
        "AlarmName": found.ref.name,
        "AlarmArn": arn(found.ref),
        "AlarmConfigurationUpdatedTimestamp": alarm.configured_at,
        "StateValue": standing.value,
        "StateReason": standing.reason,
        "StateReasonData": json.dumps(standing.data) if standing.data else None,
        "StateUpdatedTimestamp": standing.updated_at,
        "StateTransitionedTimestamp": standing.moved_at,
    }


def _told(params: Mapping[str, Any], line: Event) -> bool:
    start, end = params.get("StartDate", line.at), params.get("EndDate", line.at)
    wanted = params.get("HistoryItemType") in (None, _sort_of(line))
    return bool(wanted and start <= line.at <= end)


def _sort_of(line: Event) -> str:
    return _HISTORY.get(line.action, "ConfigurationUpdate")


def _item(line: Event) -> JsonObject:
    detail = line.detail
    summary = f"Alarm {line.action.partition('.')[2]}"
    data: JsonObject = dict(detail)
    if line.action == CHANGED:
        was, value = detail["previousState"]["value"], detail["state"]["value"]
        summary = f"Alarm updated from {was} to {value}"
        data = {"version": "1.0", "oldState": _state(detail["previousState"])}
        data["newState"] = _state(detail["state"])
    return {
        "AlarmName": line.ref.name,
        "AlarmType": "MetricAlarm",
        "Timestamp": line.at,
        "HistoryItemType": _sort_of(line),
        "HistorySummary": summary,
        "HistoryData": json.dumps(data),
    }


def _state(state: Mapping[str, Any]) -> JsonObject:
    return {
        "stateValue": state["value"],
        "stateReason": state["reason"],
        "stateReasonData": state.get("reasonData", {}),
    }


def _alarm(call: Call, name: str) -> Ref:
    return Ref(call.account, call.region, ALARM, name)
