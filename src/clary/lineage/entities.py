"""Artifacts, actions and contexts: the nodes of the public lineage graph, made by hand or here.

A stored thing that is no such node is shown as one: ``entity_of`` says which. A job is shown as its
trial component, a model package, a feature group and a feature view as artifacts, an execution, a
training set and a query as actions, a group and an endpoint as contexts.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from clary.kernel.clock import now
from clary.kernel.codec import build, digest, plain
from clary.kernel.errors import AlreadyExists, Conflict, LimitExceeded, NotFound
from clary.kernel.names import Ref, arn, parse_arn
from clary.kernel.resource import Event, Query, Resource

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from clary.kernel.ports import JsonObject, MetadataStore, Transaction
    from clary.kernel.resource import Page

ARTIFACT, ACTION, CONTEXT = "artifact", "action", "context"
TRIAL_COMPONENT = "experiment-trial-component"
JOB_KINDS = ("processing-job", "training-job", "transform-job")
PACKAGE, GROUP, EXECUTION = "model-package", "model-package-group", "pipeline-execution"
ENDPOINT = "endpoint"
FEATURES = {"feature-group": "FeatureGroup", "feature-view": "FeatureView"}
"""Kinds that are shown as artifacts, and as which type."""
READINGS = {"training-set": "TrainingSet", "query-execution": "Query"}
"""Kinds that are shown as actions."""
NODE_KINDS = frozenset({ARTIFACT, ACTION, CONTEXT, TRIAL_COMPONENT, "experiment"})

_MOST_PROPERTIES = 30


def artifact_name(uri: str, content: str = "") -> str:
    """Name an artifact by what it is: the place, and the digest of its content where one is known.

    Examples
    --------
    >>> artifact_name("s3://b/train", "aa") == artifact_name("s3://b/train/", "aa")
    True
    >>> artifact_name("s3://b/train", "aa") == artifact_name("s3://b/train", "bb")
    False
    """
    return digest([uri.rstrip("/"), content])[:32]


def place_of(near: Ref, uri: str) -> Ref:
    """Name the place that artifacts, actions and contexts of a source URI have as their parent."""
    return near.sibling("place", uri.rstrip("/"))


def entity_of(ref: Ref) -> Ref | None:
    """Say which node stands for a stored thing; None for what is not part of the graph.

    Examples
    --------
    >>> str(entity_of(Ref("123456789012", "us-east-1", "training-job", "Fit")))
    'experiment-trial-component fit-aws-training-job'
    """
    if ref.kind in NODE_KINDS:
        return ref
    if ref.kind in JOB_KINDS:
        return ref.sibling(TRIAL_COMPONENT, f"{ref.name}-aws-{ref.kind}".lower())
    if ref.kind == PACKAGE or ref.kind in FEATURES:
        return ref.sibling(ARTIFACT, artifact_name(arn(ref)))
    if ref.kind == EXECUTION:
        pipeline, _, execution = ref.name.partition("/")
        return ref.sibling(ACTION, f"{pipeline[:80]}-{execution}-aws-pipeline-execution")
    if ref.kind in (GROUP, ENDPOINT, *READINGS):
        kind = ACTION if ref.kind in READINGS else CONTEXT
        return ref.sibling(kind, f"{ref.name}-aws-{ref.kind}")
    return None


def body(request: JsonObject, word: str, actor: str, of: Ref | None = None) -> JsonObject:
    """Write a node's body: its public document, its type, who made it and what it stands for."""
    kept = {name: value for name, value in request.items() if name != "Tags"}
    made: JsonObject = {"request": kept, "entity": word, "created_by": actor, "modified_by": ""}
    return made | ({"of": plain(of)} if of else {})


def thing_of(node: Resource) -> Ref | None:
    """Say which stored thing a node stands for, if it stands for one."""
    if node.ref.kind == TRIAL_COMPONENT:
        source = (node.body.get("source") or {}).get("SourceArn")
        return parse_arn(source, field="SourceArn") if source else None
    of = node.body.get("of")
    return build(Ref, of) if of else None


class Entities:
    """The verbs of artifacts, actions and contexts.

    Parameters
    ----------
    store
        Where they are.
    """

    def __init__(self, store: MetadataStore) -> None:
        self._store = store

    def create(
        self,
        near: Ref,
        request: JsonObject,
        *,
        actor: str,
        tags: Mapping[str, str] | None = None,
        transaction: Transaction | None = None,
        reuse: bool = False,
    ) -> Resource:
        """Make a node from its public create document.

        Parameters
        ----------
        near
            The kind, and the account and region it belongs to. An action's and a context's has
            the name; an artifact is named by its source.
        transaction
            A change that this belongs to; else it is one of its own.
        reuse
            Give back the one that is there when it was made from the same document.

        Raises
        ------
        AlreadyExists
            There is one of this name, or of this source.
        """
        source = request["Source"]
        word = next(request[f"{kind}Type"] for kind in _WORDS if f"{kind}Type" in request)
        ref = near
        if near.kind == ARTIFACT:
            types = source.get("SourceTypes") or []
            ref = near.sibling(ARTIFACT, artifact_name(source["SourceUri"], _content(types)))
        at = now()
        made = Resource(
            ref,
            body(request, word, actor),
            at,
            at,
            parent=place_of(ref, source["SourceUri"]),
        )
        scope = nullcontext(transaction) if transaction is not None else self._store.begin()
        with scope as change:
            present = change.get(ref)
            if reuse and present and present.body.get("request") == made.body["request"]:
                return present
            if present is not None:
                raise AlreadyExists(_shown(ref, source["SourceUri"]))
            change.insert(made)
            change.tag(ref, dict(tags or {}))
            change.append(Event(at, actor, f"{ref.kind}.created", ref))
        return made

    def get(self, ref: Ref) -> Resource:
        """Read a node. Raises NotFound."""
        found = self._store.get(ref)
        if found is None:
            raise NotFound(ref)
        return found

    def update(self, ref: Ref, request: JsonObject, *, actor: str) -> Resource:
        """Change a node's description, status, name or properties; what it came from stays.

        Raises
        ------
        NotFound
            There is no such node.
        LimitExceeded
            It would have more than 30 properties.
        """
        given = {name: request[name] for name in _CHANGEABLE if name in request}
        gone = request.get("PropertiesToRemove") or ()
        with self._store.begin() as change:
            node = change.get(ref)
            if node is None:
                raise NotFound(ref)
            before = node.body.get("request") or {}
            properties = {**(before.get("Properties") or {}), **(request.get("Properties") or {})}
            properties = {key: value for key, value in properties.items() if key not in gone}
            if len(properties) > _MOST_PROPERTIES:
                raise LimitExceeded(
                    f"{ref} would have {len(properties)} properties; legal: {_MOST_PROPERTIES}"
                )
            after = {**before, **given, "Properties": properties}
            changed = change.update(
                replace(node, body={**node.body, "request": after, "modified_by": actor})
            )
            change.append(Event(now(), actor, f"{ref.kind}.updated", ref, {"given": given}))
        return changed

    def delete(self, ref: Ref, *, actor: str) -> None:
        """Remove a node without associations.

        Raises
        ------
        NotFound
            There is no such node.
        Conflict
            It has associations; what a job used or made has them for ever.
        """
        with self._store.begin() as change:
            node = change.get(ref)
            if node is None:
                raise NotFound(ref)
            names = [ref, *([of] if (of := thing_of(node)) else [])]
            if any(self._store.links(*names, incoming=side) for side in (True, False)):
                raise Conflict(f"{ref} has associations", hint="delete those that can be first")
            change.delete(ref)
            change.append(Event(now(), actor, f"{ref.kind}.deleted", ref))

    def with_source(self, near: Ref, uri: str, types: Iterable[Mapping[str, str]]) -> Ref:
        """Name the artifact of a source. Raises NotFound."""
        ref = near.sibling(ARTIFACT, artifact_name(uri, _content(list(types))))
        return self.get(ref).ref

    def list(self, query: Query) -> Page:
        """List nodes of one kind."""
        return self._store.select(query)


_WORDS = ("Artifact", "Action", "Context")
_CHANGEABLE = ("ArtifactName", "Description", "Status")


def _content(types: list[Mapping[str, str]]) -> str:
    """Sum up an artifact's SourceTypes; of a digest that is the digest itself."""
    if len(types) == 1 and types[0]["Value"].startswith("sha256:"):
        return types[0]["Value"].removeprefix("sha256:")
    return digest(sorted([one["SourceIdType"], one["Value"]] for one in types)) if types else ""


def _shown(ref: Ref, uri: str) -> Any:
    return f"an artifact of {uri}" if ref.kind == ARTIFACT else ref
