"""The public requests that Python's words for a feature group stand for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from clary.features.records import Group
    from clary.kernel.ports import JsonObject

_SAME = ("FeatureType", "CollectionType", "CollectionConfig")


def change(present: JsonObject, request: JsonObject) -> JsonObject:
    """Say what is to change of a group that is there. Raises InvalidInput."""
    _refuse_others(present, request)
    known = {one["FeatureName"]: one for one in present["FeatureDefinitions"]}
    added = []
    for one in request["FeatureDefinitions"]:
        before = known.get(one["FeatureName"])
        if before is None:
            added.append(one)
        elif any(before.get(member) != one.get(member) for member in _SAME):
            was = " of ".join(before[member] for member in _SAME[1::-1] if before.get(member))
            raise InvalidInput(one["FeatureName"], "is in the group with another type", legal=was)
    asked: JsonObject = {"FeatureAdditions": added} if added else {}
    ttl = request.get("OnlineStoreConfig", {}).get("TtlDuration")
    if ttl and ttl != present["OnlineStoreConfig"].get("TtlDuration"):
        asked["OnlineStoreConfig"] = {"TtlDuration": ttl}
    return asked


def _refuse_others(present: JsonObject, request: JsonObject) -> None:
    """Refuse another identifier, event time or stores than those of the group that is there."""
    members = {
        "identifier": "RecordIdentifierFeatureName",
        "event_time": "EventTimeFeatureName",
    }
    for word, member in members.items():
        if present[member] != request[member]:
            raise InvalidInput(
                word, f"{request[member]!r} is not the group's", legal=present[member]
            )
    for word, is_there in _stores(present).items():
        if is_there != _stores(request)[word]:
            raise InvalidInput(word, f"{not is_there} is not the group's", legal=str(is_there))


def _stores(document: JsonObject) -> dict[str, bool]:
    online = document.get("OnlineStoreConfig", {})
    return {
        "online": bool(online.get("EnableOnlineStore")),
        "offline": "OfflineStoreConfig" in document,
    }


def ttl_members(ttl: timedelta | None) -> JsonObject:
    """Write how long records count online. Raises InvalidInput."""
    if ttl is None:
        return {}
    if ttl % timedelta(seconds=1) or ttl < timedelta(seconds=1):
        raise InvalidInput("ttl", f"{ttl} is none", legal="whole seconds, 1 or more")
    return {"TtlDuration": {"Unit": "Seconds", "Value": ttl // timedelta(seconds=1)}}


def written(group: Group, moment: datetime | str | float) -> str:
    """Write a time as the group's event times are written. Raises InvalidInput."""
    if isinstance(moment, str):
        return moment
    if isinstance(moment, datetime):
        if moment.tzinfo is None:
            raise InvalidInput("at", f"{moment} has no time zone", legal="a datetime with one")
        at = group.place(group.schema.event_time)
        if group.schema.features[at].kind == "String":
            return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        moment = moment.timestamp()
    return str(moment)
