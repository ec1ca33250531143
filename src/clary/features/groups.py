"""What a feature group consists of in metadata: its resource, and one for each of its features."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from clary.features import requests
from clary.features.model import FEATURE, RETENTION, STATISTICS
from clary.kernel.clock import now
from clary.kernel.errors import Conflict, InvalidInput, LimitExceeded
from clary.kernel.resource import Query, Resource, existing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clary.kernel.names import Ref
    from clary.kernel.ports import JsonObject, MetadataStore, ObjectStore, Transaction

_MOST_PARAMETERS = 25
_DATABASE = {"Catalog": "AwsDataCatalog", "Database": "sagemaker_featurestore"}


def group(ref: Ref, request: JsonObject, *, actor: str) -> Resource:
    """Make the resource of a CreateFeatureGroup document. Raises InvalidInput."""
    view, at, uid = requests.group(request), now(), secrets.token_hex(8)
    body = {
        "request": {key: value for key, value in request.items() if key != "Tags"},
        "uid": uid,
        "version": 1,
        "updated": False,
        "offline": "Active" if view.offline_store_config else "Disabled",
        "output": _output(ref, view, uid),
        "table": _table(ref, view, uid),
        "created_by": actor,
    }
    return Resource(ref, body, at, at, "Created")


def created(change: Transaction, ref: Ref) -> Resource:
    """Read a group that may be changed. Raises NotFound, Conflict."""
    found = existing(change.get, ref)
    if found.status != "Created":
        raise Conflict(f"{ref} is {found.status}")
    return found


def feature_ref(group: Ref, name: str) -> Ref:
    """Name what is kept of a feature."""
    return group.sibling(FEATURE, f"{group.name}/{name}")


def feature_names(found: Resource) -> list[str]:
    """Name the features of a group."""
    return [one["FeatureName"] for one in found.body["request"]["FeatureDefinitions"]]


def belongings(store: MetadataStore, found: Resource) -> Sequence[Ref]:
    """Name what goes with a group: its features, what was counted of it, how long it is kept."""
    queries = [Query(kind, parent=found.ref, limit=1_000) for kind in (STATISTICS, RETENTION)]
    kept = [one.ref for query in queries for one in store.select(query).items]
    return [*(feature_ref(found.ref, name) for name in feature_names(found)), *kept]


def add_features(
    change: Transaction, group: Resource, added: Sequence[requests.Definition]
) -> None:
    """Keep what will be said of features."""
    at = now()
    for one in added:
        body: JsonObject = {"type": one.feature_type, "description": "", "parameters": {}}
        ref = feature_ref(group.ref, one.feature_name)
        change.insert(Resource(ref, body, at, at, parent=group.ref))


def changed(before: JsonObject, request: JsonObject) -> JsonObject:
    """Say what a group's document becomes by an UpdateFeatureGroup document."""
    definitions = [*before["FeatureDefinitions"], *request.get("FeatureAdditions", ())]
    after = {**before, "FeatureDefinitions": definitions}
    if ttl := request.get("OnlineStoreConfig"):
        after["OnlineStoreConfig"] = {**before.get("OnlineStoreConfig", {}), **ttl}
    if throughput := request.get("ThroughputConfig"):
        is_free = throughput.get("ThroughputMode") == "OnDemand"
        kept = {} if is_free else before.get("ThroughputConfig", {})
        after["ThroughputConfig"] = {**kept, **throughput}
    return after


def _output(ref: Ref, view: requests.GroupRequest, uid: str) -> str:
    if view.offline_store_config is None:
        return ""
    start = view.offline_store_config.s3_storage_config.s3_uri.rstrip("/")
    place = f"{ref.account}/sagemaker/{ref.region}/offline-store/{ref.name}-{uid}"
    return f"{start}/{place}/data"


def _table(ref: Ref, view: requests.GroupRequest, uid: str) -> dict[str, str]:
    """Say what SQL calls the offline table, by the members of DataCatalogConfig."""
    offline = view.offline_store_config
    if offline is None or offline.disable_glue_table_creation:
        return {}
    if named := offline.data_catalog_config:
        return {
            "TableName": named.table_name,
            "Catalog": named.catalog,
            "Database": named.database,
        }
    return {"TableName": f"{ref.name.replace('-', '_')}_{uid}".lower(), **_DATABASE}


def said(found: Resource, asked: requests.FeatureChange) -> JsonObject:
    """Say what a feature's body becomes. Raises LimitExceeded beyond 25 parameters."""
    kept = found.body["parameters"].items()
    parameters = {key: value for key, value in kept if key not in asked.parameter_removals}
    parameters |= {one.key: one.value for one in asked.parameter_additions}
    if len(parameters) > _MOST_PARAMETERS:
        raise LimitExceeded(
            f"{found.ref} would have {len(parameters)} parameters; "
            f"legal: at most {_MOST_PARAMETERS}"
        )
    described = {} if asked.description is None else {"description": asked.description}
    return {**found.body, **described, "parameters": parameters}


def refuse_absent(objects: ObjectStore, made: Resource) -> None:
    """Refuse a group whose offline table would lie in no bucket of its account."""
    bucket = made.body["output"].removeprefix("s3://").partition("/")[0]
    owners = {one.name: one.account for one in objects.buckets()} if bucket else {}
    if bucket and owners.get(bucket) != made.ref.account:
        raise InvalidInput(
            "OfflineStoreConfig.S3StorageConfig.S3Uri",
            f"there is no bucket {bucket!r} in account {made.ref.account}",
            legal="s3:// and a bucket of the account",
        )
