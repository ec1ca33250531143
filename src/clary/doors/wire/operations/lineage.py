"""Artifacts, actions and contexts of the lineage graph, and its one group."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clary.doors.wire.listing import answer, query, tags
from clary.kernel.errors import InvalidInput, NotFound
from clary.kernel.names import Ref, arn, parse_arn, parse_name
from clary.kernel.resource import Query
from clary.lineage import documents
from clary.lineage.entities import ACTION, ARTIFACT, CONTEXT, place_of
from clary.lineage.graph import WORDS

if TYPE_CHECKING:
    from clary.doors.wire.call import Call
    from clary.kernel.ports import JsonObject


def create_artifact(call: Call) -> JsonObject:
    """Make an artifact; its source names it."""
    return _create(call, Ref(call.account, call.region, ARTIFACT, ""))


def describe_artifact(call: Call) -> JsonObject:
    """Describe an artifact."""
    return _describe(call, _artifact(call))


def update_artifact(call: Call) -> JsonObject:
    """Change an artifact's name and properties."""
    return _update(call, _artifact(call))


def delete_artifact(call: Call) -> JsonObject:
    """Remove an artifact without associations, named by its ARN or its source."""
    params = call.params
    if ("ArtifactArn" in params) == ("Source" in params):
        legal = "either ArtifactArn or Source"
        raise InvalidInput("ArtifactArn", "not exactly one of both is given", legal=legal)
    if "ArtifactArn" in params:
        return _delete(call, _artifact(call))
    near = Ref(call.account, call.region, ARTIFACT, "")
    source = params["Source"]
    types = source.get("SourceTypes") or ()
    return _delete(
        call, call.platform.lineage.entities.with_source(near, source["SourceUri"], types)
    )


def list_artifacts(call: Call) -> JsonObject:
    """List artifacts."""
    return _list(call, ARTIFACT)


def create_action(call: Call) -> JsonObject:
    """Make an action."""
    return _create(call, _named(call, ACTION))


def describe_action(call: Call) -> JsonObject:
    """Describe an action."""
    return _describe(call, _named(call, ACTION))


def update_action(call: Call) -> JsonObject:
    """Change an action's description, status and properties."""
    return _update(call, _named(call, ACTION))


def delete_action(call: Call) -> JsonObject:
    """Remove an action without associations."""
    return _delete(call, _named(call, ACTION))


def list_actions(call: Call) -> JsonObject:
    """List actions."""
    return _list(call, ACTION)


def create_context(call: Call) -> JsonObject:
    """Make a context."""
    return _create(call, _named(call, CONTEXT))


def describe_context(call: Call) -> JsonObject:
    """Describe a context."""
    return _describe(call, _named(call, CONTEXT))


def update_context(call: Call) -> JsonObject:
    """Change a context's description and properties."""
    return _update(call, _named(call, CONTEXT))


def delete_context(call: Call) -> JsonObject:
    """Remove a context without associations."""
    return _delete(call, _named(call, CONTEXT))


def list_contexts(call: Call) -> JsonObject:
    """List contexts."""
    return _list(call, CONTEXT)


def list_lineage_groups(call: Call) -> JsonObject:
    """List lineage groups: an account has one in each region that has lineage."""
    found = _group(call)
    after, before = call.params.get("CreatedAfter"), call.params.get("CreatedBefore")
    fits = found and not (
        (after and found["CreationTime"] <= after) or (before and found["CreationTime"] >= before)
    )
    return answer("LineageGroupSummaries", [found] if found and fits else [], "")


def describe_lineage_group(call: Call) -> JsonObject:
    """Describe the lineage group."""
    found = _group(call)
    if found is None or call.params["LineageGroupName"] != documents.GROUP:
        raise NotFound(f"lineage group {call.params['LineageGroupName']}")
    return found


def get_lineage_group_policy(call: Call) -> JsonObject:
    """Say that no policy shares the group: it has none here."""
    name = call.params["LineageGroupName"].rpartition("/")[2]
    raise NotFound(f"a policy of the lineage group {name}", hint="groups are not shared here")


def _create(call: Call, near: Ref) -> JsonObject:
    made = call.platform.lineage.entities.create(
        near, call.params, actor=call.actor, tags=tags(call)
    )
    return _arn(made.ref)


def _describe(call: Call, ref: Ref) -> JsonObject:
    return documents.node(call.platform.lineage.entities.get(ref))


def _update(call: Call, ref: Ref) -> JsonObject:
    return _arn(call.platform.lineage.entities.update(ref, call.params, actor=call.actor).ref)


def _delete(call: Call, ref: Ref) -> JsonObject:
    call.platform.lineage.entities.delete(ref, actor=call.actor)
    return _arn(ref)


def _list(call: Call, kind: str) -> JsonObject:
    word, params = WORDS[kind], call.params
    near = Ref(call.account, call.region, kind, "")
    place = place_of(near, params["SourceUri"]) if "SourceUri" in params else None
    where = {"entity": params[f"{word}Type"]} if f"{word}Type" in params else {}
    page = call.platform.lineage.entities.list(query(call, kind, parent=place, where=where))
    return answer(f"{word}Summaries", map(documents.summary, page.items), page.token)


def _arn(ref: Ref) -> JsonObject:
    return {f"{WORDS[ref.kind]}Arn": arn(ref)}


def _artifact(call: Call) -> Ref:
    ref = parse_arn(call.params["ArtifactArn"], field="ArtifactArn")
    if ref.kind != ARTIFACT or ref.account != call.account:
        raise NotFound(call.params["ArtifactArn"])
    return ref


def _named(call: Call, kind: str) -> Ref:
    member = f"{WORDS[kind]}Name"
    return parse_name(
        call.params[member], kind, account=call.account, region=call.region, field=member
    )


def _group(call: Call) -> JsonObject | None:
    """Describe the group of the caller's account and region; None before there is lineage."""
    query = Query(ARTIFACT, call.account, call.region, descending=False, limit=1)
    first = call.platform.lineage.entities.list(query).items
    near = Ref(call.account, call.region, "lineage-group", "")
    return documents.group(near, first[0].created_at) if first else None
