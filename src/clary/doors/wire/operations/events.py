"""Rules on events, and events of one's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from clary.doors.wire.errors import WireError
from clary.doors.wire.listing import answer, page_of
from clary.kernel.codec import from_json
from clary.kernel.errors import InvalidInput, NotFound
from clary.kernel.names import Ref, arn
from clary.kernel.resource import Query
from clary.pipelines.patterns import FIELD, matches, parse_pattern
from clary.pipelines.rules import BUS, RULE, Happening

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clary.doors.wire.call import Call
    from clary.kernel.ports import JsonObject
    from clary.kernel.resource import Resource

_LARGEST_EVENT = 1 << 20


def put_rule(call: Call) -> JsonObject:
    """Make or replace a rule."""
    _check_pattern(call.params.get("EventPattern"))
    tags = {tag["Key"]: tag["Value"] for tag in call.params.get("Tags", ())}
    ref = _rule(call)
    call.platform.rules.put(ref, call.params, actor=call.actor, tags=tags)
    return {"RuleArn": arn(ref)}


def describe_rule(call: Call) -> JsonObject:
    """Describe a rule."""
    return _document(call.platform.rules.get(_rule(call)))


def delete_rule(call: Call) -> JsonObject:
    """Remove a rule."""
    call.platform.rules.delete(_rule(call), actor=call.actor)
    return {}


def enable_rule(call: Call) -> JsonObject:
    """Enable a rule."""
    return _switch(call, "ENABLED")


def disable_rule(call: Call) -> JsonObject:
    """Disable a rule."""
    return _switch(call, "DISABLED")


def list_rules(call: Call) -> JsonObject:
    """List rules by name."""
    query = Query(
        RULE,
        call.account,
        call.region,
        name_prefix=call.params.get("NamePrefix", ""),
        sort_by="name",
        descending=False,
        limit=call.params.get("Limit", 100),
        token=call.params.get("NextToken", ""),
    )
    page = call.platform.rules.list(query)
    return answer("Rules", map(_document, page.items), page.token)


def list_rule_names_by_target(call: Call) -> JsonObject:
    """Name the rules that start something."""
    names = call.platform.rules.aimed_at(_near(call, ""), call.params["TargetArn"])
    return {"RuleNames": list(names)}


def put_targets(call: Call) -> JsonObject:
    """Add or replace what a rule starts."""
    call.platform.rules.put_targets(_rule(call, "Rule"), call.params["Targets"], actor=call.actor)
    return {"FailedEntryCount": 0, "FailedEntries": []}


def list_targets_by_rule(call: Call) -> JsonObject:
    """List what a rule starts."""
    found = call.platform.rules.get(_rule(call, "Rule"))
    return page_of(call, "Targets", found.body["targets"])


def remove_targets(call: Call) -> JsonObject:
    """Remove some of what a rule starts."""
    unknown = call.platform.rules.remove_targets(
        _rule(call, "Rule"), call.params["Ids"], actor=call.actor
    )
    failed = [
        {
            "TargetId": one,
            "ErrorCode": "ResourceNotFoundException",
            "ErrorMessage": f"the rule has no target {one!r}",
        }
        for one in unknown
    ]
    return {"FailedEntryCount": len(failed), "FailedEntries": failed}


def put_events(call: Call) -> JsonObject:
    """Tell the rules of events of one's own; each is accepted or refused for itself."""
    happenings: list[Happening] = []
    entries: list[JsonObject] = []
    for entry in call.params["Entries"]:
        try:
            happening = _happening(call, entry)
        except InvalidInput as error:
            entries.append({"ErrorCode": "InvalidArgument", "ErrorMessage": error.message})
        else:
            happenings.append(happening)
            entries.append({"EventId": happening.id})
    call.platform.rules.tell(happenings)
    failed = sum("ErrorCode" in entry for entry in entries)
    return {"FailedEntryCount": failed, "Entries": entries}


def test_event_pattern(call: Call) -> JsonObject:
    """Say whether an event matches a pattern."""
    pattern = _check_pattern(call.params["EventPattern"])
    event = from_json(call.params["Event"], field="Event")
    members = ("id", "account", "source", "time", "region", "resources", "detail-type")
    missing = [name for name in members if not isinstance(event, dict) or name not in event]
    if missing:
        raise InvalidInput("Event", f"has no {', '.join(missing)}")
    return {"Result": matches(pattern or {}, event)}


def _switch(call: Call, state: Literal["ENABLED", "DISABLED"]) -> JsonObject:
    call.platform.rules.switch(_rule(call), state, actor=call.actor)
    return {}


def _happening(call: Call, entry: Mapping[str, str]) -> Happening:
    for member in ("Source", "DetailType", "Detail"):
        if not entry.get(member):
            raise InvalidInput(member, "is missing")
    if entry.get("EventBusName", BUS).rpartition("/")[2] != BUS:
        raise InvalidInput("EventBusName", f"there is no bus {entry['EventBusName']!r}")
    if entry["Source"].startswith("aws."):
        raise InvalidInput("Source", f"{entry['Source']!r} is reserved")
    if len(entry["Detail"]) > _LARGEST_EVENT:
        raise InvalidInput("Detail", f"{len(entry['Detail'])} characters")
    detail = from_json(entry["Detail"], field="Detail")
    if not isinstance(detail, dict):
        raise InvalidInput("Detail", "is no object")
    return Happening(
        call.account,
        call.region,
        entry["Source"],
        entry["DetailType"],
        detail,
        entry.get("Resources", ()),
    )


def _check_pattern(text: str | None) -> JsonObject | None:
    try:
        return parse_pattern(text) if text else None
    except InvalidInput as error:
        if not error.field.startswith(FIELD):
            raise
        raise WireError("InvalidEventPatternException", error.message) from None


def _rule(call: Call, member: str = "Name") -> Ref:
    bus = call.params.get("EventBusName", BUS)
    if bus.rpartition("/")[2] != BUS:
        raise NotFound(f"event bus {bus}")
    return _near(call, call.params[member])


def _near(call: Call, name: str) -> Ref:
    return Ref(call.account, call.region, RULE, name)


def _document(found: Resource) -> JsonObject:
    return {
        **found.body["request"],
        "Name": found.ref.name,
        "Arn": arn(found.ref),
        "State": found.status,
        "EventBusName": BUS,
    }
