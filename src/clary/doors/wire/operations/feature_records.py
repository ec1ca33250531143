"""Records of feature groups: written, read and removed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from clary.doors.wire.operations.features import group_ref, named_group
from clary.features.requests import Ttl
from clary.features.values import as_text
from clary.kernel.codec import build
from clary.kernel.errors import ClaryError, InvalidInput, NotFound

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from clary.doors.wire.call import Call
    from clary.features.model import Record, Value
    from clary.features.records import Group, Store
    from clary.kernel.ports import JsonObject

_STORES: Mapping[str, Store] = {
    "OnlineStore": "online",
    "OfflineStore": "offline",
}
_LONGEST_MESSAGE = 2048


def put_record(call: Call) -> JsonObject:
    """Write a record."""
    group, record = _checked(call, call.params, call.params.get("TtlDuration"))
    call.platform.features.write(group, [record], _stores(call.params))
    return {}


def batch_write_record(call: Call) -> JsonObject:
    """Write several records; what is wrong with one does not stop the others."""
    errors = []
    parts: dict[tuple[str, ...], tuple[Group, list[Record]]] = {}
    for entry in call.params["Entries"]:
        stores = _stores(entry)
        try:
            ttl = entry.get("TtlDuration", call.params.get("TtlDuration"))
            group, record = _checked(call, entry, ttl)
            group.stores(stores)
        except ClaryError as error:
            errors.append({"Entry": entry, **_said(error)})
        else:
            part = parts.setdefault((group.online_table, *sorted(stores)), (group, []))
            part[1].append(record)
    for (_, *chosen), (group, records) in parts.items():
        call.platform.features.write(
            group, records, [one for one in _STORES.values() if one in chosen]
        )
    return {"Errors": errors, "UnprocessedEntries": []}


def update_record(call: Call) -> JsonObject:
    """Change some values of the latest record of an entity."""
    params = call.params
    call.platform.feature_store.updates.update(
        group_ref(call),
        params["RecordIdentifierValueAsString"],
        _values(params["Features"]),
        stores=_stores(params),
        ttl_us=_ttl_us(params.get("TtlDuration")),
    )
    return {}


def get_record(call: Call) -> JsonObject:
    """Read the latest record of an entity; without ``Record`` when there is none."""
    key = call.params["RecordIdentifierValueAsString"]
    group, record = call.platform.features.get_records([(group_ref(call), key)])[0]
    names = _names(group, call.params.get("FeatureNames", ()))
    if record is None:
        return {}
    return _found(call, group, record, names)


def batch_get_record(call: Call) -> JsonObject:
    """Read the latest records of entities of several groups; absent ones are left out."""
    records: list[JsonObject] = []
    errors: list[JsonObject] = []
    for asked in call.params["Identifiers"]:
        found, wrong = _batch(call, asked)
        records += found
        errors += wrong
    return {"Records": records, "Errors": errors, "UnprocessedIdentifiers": []}


def list_records(call: Call) -> JsonObject:
    """List the identifiers of a group's online records."""
    params = call.params
    keys, token = call.platform.features.list_keys(
        group_ref(call),
        with_deleted=params.get("IncludeSoftDeletedRecords", False),
        limit=params.get("MaxResults", 100),
        token=params.get("NextToken", ""),
    )
    return {"RecordIdentifiers": keys, **({"NextToken": token} if token else {})}


def delete_record(call: Call) -> JsonObject:
    """Say that from a time on there is nothing of an entity."""
    params = call.params
    call.platform.features.delete_record(
        group_ref(call),
        params["RecordIdentifierValueAsString"],
        params["EventTime"],
        hard=params.get("DeletionMode") == "HardDelete",
        stores=_stores(params),
    )
    return {}


def _checked(call: Call, entry: JsonObject, ttl: JsonObject | None) -> tuple[Group, Record]:
    return call.platform.features.checked(
        named_group(call, entry["FeatureGroupName"]),
        _values(entry["Record"]),
        is_text=True,
        ttl_us=_ttl_us(ttl),
    )


def _values(record: Sequence[JsonObject]) -> dict[str, object]:
    values: dict[str, object] = {one["FeatureName"]: _value(one) for one in record}
    if len(values) != len(record):
        names = [one["FeatureName"] for one in record]
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidInput(twice, "is given twice", legal="once")
    return values


def _ttl_us(ttl: JsonObject | None) -> int | None:
    return build(Ttl, ttl, field="TtlDuration").us if ttl else None


def _value(one: JsonObject) -> str | list[str] | None:
    if "ValueAsStringList" in one:
        if "ValueAsString" in one:
            raise InvalidInput(
                one["FeatureName"],
                "has two values",
                legal="ValueAsString or, for a collection, ValueAsStringList",
            )
        listed: list[str] = one["ValueAsStringList"]
        return listed
    return one.get("ValueAsString")


def _stores(params: JsonObject) -> Sequence[Store]:
    return [_STORES[word] for word in params.get("TargetStores", ())]


def _names(group: Group, names: Sequence[str]) -> Sequence[str]:
    for name in names:
        group.place(name)
    return names


def _batch(call: Call, asked: JsonObject) -> tuple[list[JsonObject], list[JsonObject]]:
    """Read what is asked of one group: the records found, and an error for each key refused."""
    name, ref = asked["FeatureGroupName"], named_group(call, asked["FeatureGroupName"])
    wanted = asked["RecordIdentifiersValueAsString"]
    try:
        group = call.platform.features.group(ref)
        names = _names(group, asked.get("FeatureNames", ()))
    except ClaryError as error:
        return [], [_refused(name, key, error) for key in wanted]
    keys, wrong = [], []
    for key in wanted:
        try:
            group.key(key)
        except ClaryError as error:
            wrong.append(_refused(name, key, error))
        else:
            keys.append(key)
    found = call.platform.features.get_records([(ref, key) for key in keys])
    records = [
        {
            "FeatureGroupName": name,
            "RecordIdentifierValueAsString": key,
            **_found(call, group, record, names),
        }
        for key, (group, record) in zip(keys, found, strict=True)
        if record is not None
    ]
    return records, wrong


def _refused(name: str, key: str, error: ClaryError) -> JsonObject:
    return {"FeatureGroupName": name, "RecordIdentifierValueAsString": key, **_said(error)}


def _found(call: Call, group: Group, record: Record, names: Sequence[str]) -> JsonObject:
    values = group.picked(record, names)
    document: JsonObject = {"Record": [_written(name, values[name]) for name in values]}
    if call.params.get("ExpirationTimeResponse") == "Enabled" and record.expires_us is not None:
        expires = datetime.fromtimestamp(record.expires_us / 1e6, UTC)
        document["ExpiresAt"] = expires.strftime("%Y-%m-%dT%H:%M:%SZ")
    return document


def _written(name: str, value: Value) -> JsonObject:
    if isinstance(value, list):
        return {"FeatureName": name, "ValueAsStringList": [as_text(one) for one in value]}
    return {"FeatureName": name, "ValueAsString": as_text(value)}


def _said(error: ClaryError) -> JsonObject:
    code = "ResourceNotFound" if isinstance(error, NotFound) else "ValidationError"
    return {"ErrorCode": code, "ErrorMessage": error.message[:_LONGEST_MESSAGE]}
