"""Tags of SageMaker resources."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clary.doors.wire.listing import page_of, tags
from clary.kernel.clock import now
from clary.kernel.errors import Forbidden, LimitExceeded, NotFound
from clary.kernel.names import arn, parse_arn
from clary.kernel.resource import Event

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clary.doors.wire.call import Call
    from clary.kernel.names import Ref
    from clary.kernel.ports import JsonObject
    from clary.kernel.resource import Resource

_MOST_TAGS = 50


def add_tags(call: Call) -> JsonObject:
    """Set tags, and answer all that the resource then has."""
    return {"Tags": _documents(_change(call, tags(call)))}


def delete_tags(call: Call) -> JsonObject:
    """Remove tags; removing an absent one is no error."""
    _change(call, dict.fromkeys(call.params["TagKeys"]))
    return {}


def list_tags(call: Call) -> JsonObject:
    """List tags by key."""
    store, ref = call.platform.store, _ref(call)
    found = store.get(ref)
    if found is None:
        raise NotFound(ref)
    return page_of(call, "Tags", _documents({**_of_pipeline(found), **store.tags(ref)}))


def _ref(call: Call) -> Ref:
    ref = parse_arn(call.params["ResourceArn"], field="ResourceArn")
    if ref.account != call.account:
        raise Forbidden(call.actor, "reach", ref, hint=f"it belongs to account {ref.account}")
    return ref


def _of_pipeline(found: Resource) -> Mapping[str, str]:
    """Say which pipeline execution a job belongs to, in the tag that the official SDK reads."""
    if found.parent is None or found.parent.kind != "pipeline-execution":
        return {}
    return {"sagemaker:pipeline-execution-arn": arn(found.parent)}


def _change(call: Call, tags: Mapping[str, str | None]) -> Mapping[str, str]:
    store, ref = call.platform.store, _ref(call)
    with store.begin() as transaction:
        if transaction.get(ref) is None:
            raise NotFound(ref)
        after: dict[str, str | None] = {**store.tags(ref), **tags}
        kept = {key: value for key, value in after.items() if value is not None}
        if len(kept) > _MOST_TAGS:
            raise LimitExceeded(f"{ref} would have {len(kept)} tags; legal: at most {_MOST_TAGS}")
        transaction.tag(ref, tags)
        action = f"{ref.kind}.{'tagged' if any(tags.values()) else 'untagged'}"
        transaction.append(Event(now(), call.actor, action, ref, {"tags": dict(tags)}))
    return kept


def _documents(tags: Mapping[str, str]) -> list[JsonObject]:
    return [{"Key": key, "Value": tags[key]} for key in sorted(tags)]
