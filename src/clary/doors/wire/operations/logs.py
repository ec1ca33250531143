"""CloudWatch Logs, as far as job logs are read through it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from clary.doors.wire.log_patterns import LogPattern
from clary.jobs.model import LOG_GROUPS
from clary.kernel.errors import InvalidInput, NotFound
from clary.kernel.paging import decode_token, encode_token

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from clary.doors.wire.call import Call
    from clary.jobs.ports import LogLine, LogPage, LogStream
    from clary.kernel.ports import JsonObject

_GROUPS = sorted(LOG_GROUPS.values())
_STREAMS_A_PAGE = 50
_EVENTS_A_PAGE = 10_000
_PAGE_BYTES = 1 << 20
_SCANNED_BYTES = 16 << 20
_EVENT_OVERHEAD_BYTES = 26
_DIRECTION_TOKEN = re.compile(r"([fb])/([0-9]{1,15})")


def describe_log_groups(call: Call) -> JsonObject:
    """List the groups of the kinds of jobs."""
    prefix = call.params.get("logGroupNamePrefix", "")
    pattern = call.params.get("logGroupNamePattern", "").lower()
    return {
        "logGroups": [
            {"logGroupName": name, "arn": f"{_arn(call, name)}:*", "logGroupArn": _arn(call, name)}
            for name in _GROUPS
            if name.startswith(prefix) and pattern in name.lower()
        ]
    }


def describe_log_streams(call: Call) -> JsonObject:
    """List a group's streams, by name or by their last event."""
    params, group = call.params, _group(call)
    prefix = params.get("logStreamNamePrefix", "")
    by_time = params.get("orderBy") == "LastEventTime"
    if by_time and prefix:
        raise InvalidInput("orderBy", "LastEventTime does not go with logStreamNamePrefix")

    def position(stream: LogStream) -> tuple[int, str]:
        return (_ms(stream.last_at) if by_time and stream.last_at else 0), stream.name

    descending = params.get("descending", False)
    streams = sorted(
        call.platform.logs.streams(call.account, call.region, group, prefix),
        key=position,
        reverse=descending,
    )
    if "nextToken" in params:
        last = _position(params["nextToken"])
        streams = [
            stream
            for stream in streams
            if (position(stream) < last if descending else position(stream) > last)
        ]
    limit = params.get("limit", _STREAMS_A_PAGE)
    result: JsonObject = {
        "logStreams": [_stream(call, group, stream) for stream in streams[:limit]]
    }
    if len(streams) > limit:
        result["nextToken"] = encode_token(position(streams[limit - 1]))
    return result


def _position(token: str) -> tuple[int, str]:
    match decode_token(token, field="nextToken"):
        case [int(number), str(name)]:
            return number, name
    raise InvalidInput("nextToken", f"{token[:40]!r} is not a token of this list")


def get_log_events(call: Call) -> JsonObject:
    """Read a stream forwards or backwards; at its end the token given comes back."""
    params = call.params
    token = params.get("nextToken")
    forwards, offset = params.get("startFromHead", False), None
    if token is not None:
        match = _DIRECTION_TOKEN.fullmatch(token)
        if match is None:
            raise InvalidInput("nextToken", "the specified nextToken is invalid")
        forwards, offset = match[1] == "f", int(match[2])
    page = _read_page(call, offset, forwards=forwards)
    return {
        "events": [_event(line) for line in page.lines if _in_time(params, line)],
        "nextForwardToken": f"f/{page.end}",
        "nextBackwardToken": f"b/{page.start}",
    }


def _read_page(call: Call, offset: int | None, *, forwards: bool) -> LogPage:
    """Read the next page with lines in the time asked for, or the last one looked at."""
    limit = call.params.get("limit", _EVENTS_A_PAGE)
    place = (call.account, call.region, _group(call), call.params["logStreamName"])
    logs = call.platform.logs
    scanned = 0
    while True:
        if forwards:
            page = logs.read(*place, after=offset or 0, limit=limit)
            offset = page.end
        else:
            page = logs.tail(*place, limit, before=offset)
            offset = page.start
        scanned += page.end - page.start
        found = any(_in_time(call.params, line) for line in page.lines)
        if found or not page.lines or scanned > _SCANNED_BYTES:
            return page


def filter_log_events(call: Call) -> JsonObject:
    """Find the lines of a group's streams that match a pattern; each page is in order of time."""
    params, group = call.params, _group(call)
    pattern = LogPattern(params.get("filterPattern", ""))
    limit = params.get("limit", _EVENTS_A_PAGE)
    names = _stream_names(call, group)
    offset, first = _position(params["nextToken"]) if "nextToken" in params else (0, "")
    names = [name for name in names if name >= first]
    if not names or names[0] != first:
        offset = 0
    events: list[JsonObject] = []
    size = 0
    for name, line, scanned in _scan(call, group, names, offset):
        full = len(events) >= limit or size > _PAGE_BYTES or scanned > _SCANNED_BYTES
        if full:
            return _found(events, encode_token([line.offset, name]))
        if _in_time(params, line) and pattern.matches(line.text):
            stamp = f"{_ms(line.at):014d}{line.offset:018d}"
            events.append({"logStreamName": name, "eventId": stamp, **_event(line)})
            size += len(line.text) + _EVENT_OVERHEAD_BYTES
    return _found(events, "")


def _found(events: list[JsonObject], token: str) -> JsonObject:
    events.sort(key=lambda event: int(event["timestamp"]))
    result: JsonObject = {"events": events, "searchedLogStreams": []}
    return {**result, "nextToken": token} if token else result


def _stream_names(call: Call, group: str) -> list[str]:
    prefix = call.params.get("logStreamNamePrefix", "")
    names = call.params.get("logStreamNames")
    if names and prefix:
        raise InvalidInput("logStreamNames", "it does not go with logStreamNamePrefix")
    streams = call.platform.logs.streams(call.account, call.region, group, prefix)
    present = [stream.name for stream in streams]
    if names is None:
        return present
    for name in names:
        if name not in present:
            raise NotFound(f"log stream {name!r} of {group}")
    return sorted(set(names))


def _scan(
    call: Call, group: str, names: list[str], offset: int
) -> Iterator[tuple[str, LogLine, int]]:
    scanned = 0
    for name in names:
        while True:
            page = call.platform.logs.read(call.account, call.region, group, name, after=offset)
            for line in page.lines:
                yield name, line, scanned
            scanned += page.end - page.start
            offset = page.end
            if not page.lines:
                break
        offset = 0


def _group(call: Call) -> str:
    """Read the group's name, from either of the members that may name it."""
    named = call.params.get("logGroupName") or call.params.get("logGroupIdentifier", "")
    group: str = named.removesuffix(":*").rpartition(":log-group:")[2]
    if group not in _GROUPS:
        raise NotFound(f"log group {group!r}", hint=f"legal: {', '.join(_GROUPS)}")
    return group


def _arn(call: Call, group: str) -> str:
    return f"arn:aws:logs:{call.region}:{call.account}:log-group:{group}"


def _ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)


def _stream(call: Call, group: str, stream: LogStream) -> JsonObject:
    times = {"firstEventTimestamp": stream.first_at, "lastEventTimestamp": stream.last_at}
    return {
        "logStreamName": stream.name,
        "creationTime": _ms(stream.created_at),
        "arn": f"{_arn(call, group)}:log-stream:{stream.name}",
        "storedBytes": stream.size_bytes,
        **{name: _ms(at) for name, at in times.items() if at is not None},
    }


def _event(line: LogLine) -> JsonObject:
    at = _ms(line.at)
    return {"timestamp": at, "message": line.text, "ingestionTime": at}


def _in_time(params: JsonObject, line: LogLine) -> bool:
    at = _ms(line.at)
    return bool(params.get("startTime", 0) <= at < params.get("endTime", at + 1))
