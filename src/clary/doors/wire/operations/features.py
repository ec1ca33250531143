"""Feature groups, and what is said of their features."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from clary.doors.wire.listing import answer, query, tags
from clary.features import documents
from clary.features.model import FEATURE_GROUP
from clary.kernel.names import Ref, arn, parse_name

if TYPE_CHECKING:
    from clary.doors.wire.call import Call
    from clary.kernel.ports import JsonObject


def create_feature_group(call: Call) -> JsonObject:
    """Make a group of features."""
    ref = group_ref(call)
    call.platform.features.create(ref, call.params, actor=call.actor, tags=tags(call))
    return {"FeatureGroupArn": arn(ref)}


def describe_feature_group(call: Call) -> JsonObject:
    """Describe a group; all of its features on one page."""
    return call.platform.features.describe(group_ref(call))


def update_feature_group(call: Call) -> JsonObject:
    """Add features, or change how long records count or how much is read and written."""
    ref = group_ref(call)
    call.platform.features.update(ref, call.params, actor=call.actor)
    return {"FeatureGroupArn": arn(ref)}


def delete_feature_group(call: Call) -> JsonObject:
    """Remove a group and its online records; offline records stay."""
    call.platform.features.delete(group_ref(call), actor=call.actor)
    return {}


def list_feature_groups(call: Call) -> JsonObject:
    """List groups."""
    asked = query(call, FEATURE_GROUP)
    if status := call.params.get("FeatureGroupStatusEquals"):
        asked = replace(asked, statuses=(status,))
    if store := call.params.get("OfflineStoreStatusEquals"):
        asked = replace(asked, where={"offline": store})
    page = call.platform.features.list(asked)
    return answer("FeatureGroupSummaries", map(documents.summary, page.items), page.token)


def describe_feature_metadata(call: Call) -> JsonObject:
    """Describe a feature."""
    return call.platform.features.describe_feature(group_ref(call), call.params["FeatureName"])


def update_feature_metadata(call: Call) -> JsonObject:
    """Change the description or the parameters of a feature."""
    name = call.params["FeatureName"]
    call.platform.features.update_feature(group_ref(call), name, call.params, actor=call.actor)
    return {}


def group_ref(call: Call) -> Ref:
    """Read which group a request names, by name or ARN."""
    return named_group(call, call.params["FeatureGroupName"])


def named_group(call: Call, name: str) -> Ref:
    """Read the name or ARN of a group."""
    if not name.startswith("arn:"):
        return Ref(call.account, call.region, FEATURE_GROUP, name)
    return parse_name(
        name, FEATURE_GROUP, account=call.account, region=call.region, field="FeatureGroupName"
    )
