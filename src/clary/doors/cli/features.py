"""clary features."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from clary.doors.cli.homes import find_one, open_home
from clary.doors.cli.options import Home, Json, Limit, new_app
from clary.doors.cli.output import note, show_document, show_rows
from clary.features.model import FEATURE_GROUP
from clary.kernel.errors import InvalidInput, NotFound
from clary.kernel.resource import Query

if TYPE_CHECKING:
    from clary.kernel.names import Ref
    from clary.kernel.ports import JsonObject
    from clary.kernel.resource import Resource
    from clary.platform import Platform

app = new_app(several=True)
Name = Annotated[str, typer.Argument(help="The feature group's name or ARN.")]


@app.command("list")
def list_(home: Home = None, limit: Limit = 100, as_json: Json = False) -> None:
    """List feature groups, the newest first."""
    platform = open_home(home)
    query = Query(FEATURE_GROUP, platform.governance.owner.account, limit=limit)
    rows = [_row(item) for item in platform.features.list(query).items]
    show_rows(rows, as_json=as_json, empty="no feature groups")


@app.command()
def show(
    name: Name,
    home: Home = None,
    as_json: Json = False,
    whole: Annotated[bool, typer.Option("--whole", help="Show the public document.")] = False,
) -> None:
    """Show the features of a group, and what is said of them."""
    platform = open_home(home)
    ref = _find(platform, name)
    document = platform.features.describe(ref)
    if whole:
        show_document(document, as_json=as_json)
        return
    names = [one["FeatureName"] for one in document["FeatureDefinitions"]]
    found = [platform.features.describe_feature(ref, one) for one in names]
    rows = [
        _feature(document, *pair)
        for pair in zip(document["FeatureDefinitions"], found, strict=True)
    ]
    show_rows(rows, as_json=as_json, empty="no features")


@app.command()
def get(
    name: Name,
    key: Annotated[str, typer.Argument(help="The identifier of the entity.")],
    feature: Annotated[
        list[str] | None, typer.Option("--feature", help="Only this one; may be repeated.")
    ] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Print the latest record of an entity."""
    platform = open_home(home)
    try:
        ref = _find(platform, name)
        found = platform.features.get_record(ref, key, feature or ())
    finally:
        platform.feature_store.close()
    if found is None:
        raise NotFound(f"a record of {key} in {ref.name}")
    show_document(found, as_json=as_json)


@app.command()
def put(
    name: Name,
    record: Annotated[
        str, typer.Argument(help="A JSON object; else JSON objects line by line on stdin.")
    ] = "",
    home: Home = None,
) -> None:
    """Write records; when one is wrong, none is written."""
    platform = open_home(home)
    rows = [_read(at, line) for at, line in enumerate(_lines(record)) if line.strip()]
    try:
        ref = _find(platform, name)
        platform.features.put_records(ref, rows)
    finally:
        platform.feature_store.close()
    note(f"{len(rows)} records written to {ref.name}")


def _find(platform: Platform, name: str) -> Ref:
    account = platform.governance.owner.account
    return find_one(platform.store.select, [FEATURE_GROUP], account, name).ref


def _lines(record: str) -> list[str]:
    if record:
        return [record]
    if sys.stdin.isatty():
        raise InvalidInput("record", "there is none", legal="an argument, or stdin")
    return sys.stdin.read().split("\n")


def _read(at: int, line: str) -> JsonObject:
    try:
        return msgspec.json.decode(line, type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise InvalidInput(f"line {at + 1}", str(error), legal="a JSON object") from None


def _row(found: Resource) -> dict[str, Any]:
    request = found.body["request"]
    is_online = request.get("OnlineStoreConfig", {}).get("EnableOnlineStore")
    stores = {"online": is_online, "offline": "OfflineStoreConfig" in request}
    return {
        "feature group": found.ref.name,
        "status": found.status,
        "identifier": request["RecordIdentifierFeatureName"],
        "features": len(request["FeatureDefinitions"]),
        "stores": ", ".join(one for one, is_there in stores.items() if is_there),
        "created": found.created_at,
    }


def _feature(document: JsonObject, one: JsonObject, said: JsonObject) -> dict[str, Any]:
    name, kind = one["FeatureName"], one["FeatureType"]
    roles = {
        document["RecordIdentifierFeatureName"]: "identifier",
        document["EventTimeFeatureName"]: "event time",
    }
    collection = one.get("CollectionType")
    return {
        "feature": name,
        "type": f"{collection} of {kind}" if collection else kind,
        "role": roles.get(name, ""),
        "description": said.get("Description", ""),
        "parameters": ", ".join(f"{pair['Key']}={pair['Value']}" for pair in said["Parameters"]),
    }
