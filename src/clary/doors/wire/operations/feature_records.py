"""Records of feature groups: written, read and removed."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from clary.doors.wire.operations.features import group_ref, named_group
from clary.doors.wire.record_documents import document as written
from clary.features.requests import Ttl
from clary.kernel.codec import build
from clary.kernel.errors import ClaryError, InvalidInput, NotFound, Throttled

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from clary.doors.wire.call import Call
    from clary.features.model import Record
    from clary.features.records import Group, Store
    from clary.kernel.ports import JsonObject

_One = TypeVar("_One")
_STORES: Mapping[str, Store] = {
    "OnlineStore": "online",
    "OfflineStore": "offline",
}
_LONGEST_MESSAGE = 2048


def put_record(call: Call) -> JsonObject:
    """Write a record."""
    group, record = _checked(call, call.params, call.params.get("TtlDuration"))
    stores = _stores(call.params)
    _count_writes(call, group, [record], stores)
    call.platform.features.write(group, [record], stores)
    return {}


def batch_write_record(call: Call) -> JsonObject:
    """Write several records; what is wrong with one does not stop the others."""
    errors = []
    parts: dict[tuple[str, ...], _Part] = {}
    for entry in call.params["Entries"]:
        stores = _stores(entry)
        try:
            ttl = entry.get("TtlDuration", call.params.get("TtlDuration"))
            group, record = _checked(call, entry, ttl)
            group.stores(stores)
        except ClaryError as error:
            errors.append({"Entry": entry, **_said(error)})
        else:
            part = parts.setdefault(
                (group.online_table, *sorted(stores)), _Part(group, stores, [], [])
            )
            part.records.append(record)
            part.entries.append(entry)
    later = _postponed(list(parts.values()), partial(_write_part, call))
    unprocessed = [entry for part in later for entry in part.entries]
    return {"Errors": errors, "UnprocessedEntries": unprocessed}


def update_record(call: Call) -> JsonObject:
    """Change some values of the latest record of an entity."""
    params = call.params
    group = call.platform.features.group(group_ref(call))
    _count_writes(call, group, [None], _stores(params))
    call.platform.feature_store.updates.update(
        group.ref,
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
    call.platform.feature_store.throughput.read(group, [record])
    if record is None:
        return {}
    return _found(call, group, record, names)


def batch_get_record(call: Call) -> JsonObject:
    """Read the latest records of entities of several groups; absent ones are left out."""
    records: list[JsonObject] = []
    errors: list[JsonObject] = []

    def read(asked: JsonObject) -> None:
        found, wrong = _batch(call, asked)
        records.extend(found)
        errors.extend(wrong)

    later = _postponed(call.params["Identifiers"], read)
    return {"Records": records, "Errors": errors, "UnprocessedIdentifiers": later}


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
    group = call.platform.features.group(group_ref(call))
    _count_writes(call, group, [None], _stores(params))
    call.platform.features.delete_record(
        group.ref,
        params["RecordIdentifierValueAsString"],
        params["EventTime"],
        hard=params.get("DeletionMode") == "HardDelete",
        stores=_stores(params),
    )
    return {}


class _Part(NamedTuple):
    """Records of one group for the same stores, with the entries that they were."""

    group: Group
    stores: Sequence[Store]
    records: list[Record]
    entries: list[JsonObject]


def _write_part(call: Call, part: _Part) -> None:
    _count_writes(call, part.group, part.records, part.stores)
    call.platform.features.write(part.group, part.records, part.stores)


def _postponed(parts: Sequence[_One], work: Callable[[_One], None]) -> list[_One]:
    """Do the parts of a request; give those that exceed a capacity. Raises Throttled if all do."""
    later: list[_One] = []
    for part in parts:
        try:
            work(part)
        except Throttled:
            later.append(part)
            if len(later) == len(parts):
                raise
    return later


def _count_writes(
    call: Call, group: Group, records: Sequence[Record | None], stores: Sequence[Store]
) -> None:
    if "online" in group.stores(stores):
        call.platform.feature_store.throughput.write(group, records)


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
    call.platform.feature_store.throughput.read(group, [record for _, record in found])
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
    document: JsonObject = {"Record": [written(name, values[name]) for name in values]}
    if call.params.get("ExpirationTimeResponse") == "Enabled" and record.expires_us is not None:
        expires = datetime.fromtimestamp(record.expires_us / 1e6, UTC)
        document["ExpiresAt"] = expires.strftime("%Y-%m-%dT%H:%M:%SZ")
    return document


def _said(error: ClaryError) -> JsonObject:
    code = "ResourceNotFound" if isinstance(error, NotFound) else "ValidationError"
    return {"ErrorCode": code, "ErrorMessage": error.message[:_LONGEST_MESSAGE]}
