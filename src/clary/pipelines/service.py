"""Pipelines and their executions: make, change, start, stop, look."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from clary.kernel.clock import now
from clary.kernel.codec import build
from clary.kernel.errors import Conflict, InvalidInput, NotFound, NotSupported
from clary.kernel.names import parse_name
from clary.kernel.resource import Event, Page, Query, Resource
from clary.kernel.steps import NoHands
from clary.pipelines import documents
from clary.pipelines.cache import RESULT, Results, Why, why
from clary.pipelines.definitions import Definitions
from clary.pipelines.engine import Engine
from clary.pipelines.expressions import as_text
from clary.pipelines.opening import Opening, token_digest
from clary.pipelines.requests import PipelineRequest, RetryRequest, StartRequest, VersionRequest
from clary.pipelines.selection import check_selected, copied, reused
from clary.pipelines.state import name_of, row_ref

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from clary.kernel.names import Ref
    from clary.kernel.ports import JsonObject, MetadataStore, ObjectStore, Transaction
    from clary.kernel.steps import Crew, StepKind
    from clary.pipelines.checks import KnownProperty

_GOING_ON = ("Executing", "Stopping")
_RETRIABLE = ("Failed", "Stopped")


class Pipelines:
    """The verbs of pipelines; ``run`` is the worker's handler of executions.

    Parameters
    ----------
    store, objects
        Where pipelines lie, and where large definitions do.
    kinds
        The step kind of each step type.
    known
        Raises InvalidInput for a path of properties that no step of a type ever has.
    crew
        Does the steps that are done in this process.
    """

    def __init__(
        self,
        store: MetadataStore,
        objects: ObjectStore,
        kinds: Mapping[str, StepKind],
        *,
        known: KnownProperty,
        crew: Crew | None = None,
    ) -> None:
        self._store = store
        self._definitions = Definitions(store, objects, kinds, known)
        self._results = Results(store, objects)
        self._engine = Engine(store, objects, kinds, self._definitions, crew or NoHands())

    def run(self, execution: Resource, stopping: threading.Event) -> datetime | None:
        """Take an execution as far as it can go now."""
        return self._engine.run(execution, stopping)

    def create(
        self, ref: Ref, request: JsonObject, *, actor: str, tags: Mapping[str, str] | None = None
    ) -> Resource:
        """Make a pipeline; the same client token makes it once.

        Raises
        ------
        InvalidInput, NotSupported
            The definition cannot run; names the step.
        AlreadyExists
            There is a pipeline of this name.
        """
        view = build(PipelineRequest, request)
        text, digest = self._definitions.given(view)
        body = {
            "request": _kept(request),
            "version": 1,
            "definition": digest,
            "token": token_digest(view.client_request_token, request),
            "created_by": actor,
            "modified_by": actor,
        }
        at = now()
        with self._store.begin() as transaction:
            present = transaction.get(ref)
            if present and view.client_request_token and present.body["token"] == body["token"]:
                return present
            made = transaction.insert(Resource(ref, body, at, at, "Active"))
            transaction.insert(_version(made, text, actor))
            transaction.tag(ref, dict(tags or {}))
            transaction.append(Event(at, actor, "pipeline.created", ref, {"version": 1}))
        return made

    def update(self, ref: Ref, request: JsonObject, *, actor: str) -> Resource:
        """Change the members given; a definition becomes the next version."""
        view = build(PipelineRequest, request)
        given = view.pipeline_definition or view.pipeline_definition_s3_location
        text, digest = self._definitions.given(view) if given else (None, "")
        with self._store.begin() as transaction:
            pipeline = _existing(transaction, ref)
            version = pipeline.body["version"] + (text is not None)
            changed = transaction.update(
                replace(
                    pipeline,
                    body={
                        **pipeline.body,
                        "request": {**pipeline.body["request"], **_kept(request)},
                        "version": version,
                        "definition": digest or pipeline.body.get("definition", ""),
                        "modified_by": actor,
                    },
                )
            )
            if text is not None:
                transaction.insert(_version(changed, text, actor))
            transaction.append(Event(now(), actor, "pipeline.updated", ref, {"version": version}))
        return changed

    def update_version(self, ref: Ref, version: int, request: JsonObject, *, actor: str) -> None:
        """Name or describe a version. Raises NotFound."""
        view = build(VersionRequest, request)
        changes = {
            "display_name": view.pipeline_version_display_name,
            "description": view.pipeline_version_description,
        }
        changes = {key: value for key, value in changes.items() if value is not None}
        with self._store.begin() as transaction:
            _existing(transaction, ref)
            found = _existing(transaction, _version_ref(ref, version))
            transaction.update(replace(found, body={**found.body, **changes}))
            detail = {"version": version, **changes}
            transaction.append(Event(now(), actor, "pipeline-version.updated", found.ref, detail))

    def delete(self, ref: Ref, *, actor: str) -> None:
        """Remove a pipeline with its versions and executions.

        Raises
        ------
        Conflict
            An execution is going on.
        """
        with self._store.begin() as transaction:
            _existing(transaction, ref)
            going = Query("pipeline-execution", parent=ref, statuses=_GOING_ON, limit=1)
            if found := self._store.select(going).items:
                raise Conflict(f"{ref} has {found[0].ref} going on", hint="stop it first")
            for execution in self._all(Query("pipeline-execution", parent=ref)):
                for step in self._all(Query("pipeline-step", parent=execution.ref)):
                    transaction.delete(step.ref)
                transaction.delete(execution.ref)
            for kind in ("pipeline-version", RESULT):
                for below in self._all(Query(kind, parent=ref)):
                    transaction.delete(below.ref)
            transaction.delete(ref)
            transaction.append(Event(now(), actor, "pipeline.deleted", ref))

    def list(self, query: Query) -> Page:
        """List pipelines, or (by parent) versions, executions or steps."""
        return self._store.select(query)

    def describe(self, ref: Ref, version: int = 0) -> JsonObject:
        """Give the DescribePipeline document, of the newest version unless one is named."""
        pipeline = self.get(ref)
        of = self.get(_version_ref(ref, version or pipeline.body["version"]))
        return documents.pipeline(pipeline, of, self.last_execution(ref))

    def last_execution(self, ref: Ref) -> Resource | None:
        """Find the execution of a pipeline that was started last."""
        page = self._store.select(Query("pipeline-execution", parent=ref, limit=1))
        return page.items[0] if page.items else None

    def start(self, ref: Ref, request: JsonObject, *, actor: str) -> Resource:
        """Start an execution; the same client token starts one.

        Raises
        ------
        InvalidInput
            A parameter is unknown, missing, of the wrong type or not allowed; names it.
        Conflict
            The token has started an execution with another request.
        """
        if request.get("MlflowExperimentName"):
            raise NotSupported("MlflowExperimentName: not offered when an execution is started")
        view = build(StartRequest, request)
        pipeline = self.get(ref)
        version = view.pipeline_version_id or pipeline.body["version"]
        current = pipeline.body.get("definition", "") if version == pipeline.body["version"] else ""
        name, definition = self._definitions.of(_version_ref(ref, version), current)
        opening = Opening(pipeline, version, name, definition, request, view, actor)
        execution, rows = self._selected(opening, opening.execution())
        with self._store.begin() as transaction:
            present = transaction.get(execution.ref)
            if present is None:
                _existing(transaction, ref)
                for row in rows:
                    transaction.insert(row)
                made = transaction.insert(execution, due=True)
                action = "pipeline-execution.created"
                transaction.append(Event(made.created_at, actor, action, made.ref))
                return made
        if present.body["token"] != execution.body["token"]:
            raise Conflict("ClientRequestToken: it has started an execution with other parameters")
        return present

    def _selected(
        self, opening: Opening, execution: Resource
    ) -> tuple[Resource, Sequence[Resource]]:
        """Restrict an execution to its selected steps, and bring the results that they read."""
        selection = opening.view.selective_execution_config
        if selection is None:
            return execution, ()
        names = [step.step_name for step in selection.selected_steps]
        check_selected(opening.definition, names)
        source = self._source(opening.pipeline.ref, selection.source_pipeline_execution_arn)
        found = reused(opening.definition.steps, names, source, self._store.get)
        selected = {"steps": names, "source": source.name if source else ""}
        execution = replace(execution, body={**execution.body, "selected": selected})
        return execution, [copied(row, execution) for row in found]

    def _source(self, pipeline: Ref, arn: str | None) -> Ref | None:
        """Find the execution whose results are reused: the one named, else the newest."""
        if arn is None:
            last = self.last_execution(pipeline)
            return last.ref if last else None
        field = "SelectiveExecutionConfig.SourcePipelineExecutionArn"
        source = parse_name(
            arn,
            "pipeline-execution",
            account=pipeline.account,
            region=pipeline.region,
            field=field,
        )
        found = self.get(source)
        if found.parent != pipeline:
            raise InvalidInput(field, f"{source} is no execution of {pipeline}")
        return source

    def retry(self, ref: Ref, request: JsonObject, *, actor: str) -> Resource:
        """Let an execution that failed or was stopped go on; the same client token does so once.

        The steps that succeeded stay; all others are started again when their turn comes.

        Raises
        ------
        Conflict
            It is going on, or has succeeded.
        """
        view = build(RetryRequest, request)
        parallelism = view.parallelism_configuration
        token = token_digest(view.client_request_token, request)
        with self._store.begin() as transaction:
            execution = _existing(transaction, ref)
            if token and execution.body.get("retry_token") == token:
                return execution
            if execution.status not in _RETRIABLE:
                raise Conflict(
                    f"{ref} is {execution.status} and cannot be retried",
                    hint="only one that has failed or was stopped goes on",
                )
            attempts = dict(execution.body.get("attempts") or {})
            for row in self._all(Query("pipeline-step", parent=ref)):
                if row.status != "Succeeded":
                    attempts[name_of(row)] = row.body.get("attempt", 0) + 1
                    transaction.delete(row.ref)
            body = {
                **execution.body,
                "attempts": attempts,
                "retry_token": token,
                "reason": "",
                "modified_by": actor,
            }
            if parallelism is not None:
                body["parallelism"] = parallelism.max_parallel_execution_steps
            changed = transaction.update(replace(execution, status="Executing", body=body))
            transaction.append(Event(now(), actor, "pipeline-execution.retried", ref))
            transaction.wake(ref)
        return changed

    def why(self, ref: Ref, step: str) -> Why:
        """Say why a step of an execution was run, or was not; NotFound when it has not begun."""
        self.get(ref)
        return why(self._results, self.get(row_ref(ref, step)))

    def describe_execution(self, ref: Ref) -> JsonObject:
        """Give the DescribePipelineExecution document."""
        return documents.execution(self.get(ref))

    def steps(self, ref: Ref) -> Sequence[JsonObject]:
        """Give the started steps of an execution, newest first, as ListPipelineExecutionSteps."""
        self.get(ref)
        return [documents.step(x) for x in self._all(Query("pipeline-step", parent=ref))]

    def parameters(self, ref: Ref) -> Sequence[JsonObject]:
        """Give the values of an execution's parameters, defaults included, as texts."""
        values = self.get(ref).body["parameters"]
        return [{"Name": name, "Value": as_text(value)} for name, value in values.items()]

    def definition(self, ref: Ref) -> Resource:
        """Give the version that an execution runs; its body has the ``definition``."""
        execution = self.get(ref)
        pipeline = ref.sibling("pipeline", ref.name.partition("/")[0])
        return self.get(_version_ref(pipeline, execution.body["version"]))

    def update_execution(self, ref: Ref, request: JsonObject, *, actor: str) -> Resource:
        """Change an execution's names and how many steps may run at once."""
        view = build(StartRequest, request)
        parallelism = view.parallelism_configuration
        changes = {
            "display_name": view.pipeline_execution_display_name,
            "description": view.pipeline_execution_description,
            "parallelism": parallelism and parallelism.max_parallel_execution_steps,
        }
        changes = {key: value for key, value in changes.items() if value is not None}
        with self._store.begin() as transaction:
            execution = _existing(transaction, ref)
            body = {**execution.body, **changes, "modified_by": actor}
            changed = transaction.update(replace(execution, body=body))
            transaction.append(Event(now(), actor, "pipeline-execution.updated", ref, changes))
            transaction.wake(ref)
        return changed

    def stop(self, ref: Ref, *, actor: str) -> Resource:
        """Ask an execution to stop: what runs is stopped, nothing more starts.

        Raises
        ------
        Conflict
            It has ended.
        """
        with self._store.begin() as transaction:
            execution = _existing(transaction, ref)
            if execution.status == "Stopping":
                return execution
            if execution.status not in _GOING_ON:
                raise Conflict(f"{ref} is {execution.status} and cannot be stopped")
            body = {**execution.body, "modified_by": actor}
            changed = transaction.update(replace(execution, status="Stopping", body=body))
            transaction.append(Event(now(), actor, "pipeline-execution.stop-requested", ref))
            transaction.wake(ref)
        return changed

    def get(self, ref: Ref) -> Resource:
        """Read a pipeline, a version, an execution or a step. Raises NotFound."""
        found = self._store.get(ref)
        if found is None:
            raise NotFound(ref)
        return found

    def _all(self, query: Query) -> Iterator[Resource]:
        while True:
            page = self._store.select(query)
            yield from page.items
            if not page.token:
                return
            query = replace(query, token=page.token)


def _existing(transaction: Transaction, ref: Ref) -> Resource:
    found = transaction.get(ref)
    if found is None:
        raise NotFound(ref)
    return found


def _version_ref(pipeline: Ref, version: int) -> Ref:
    return pipeline.sibling("pipeline-version", pipeline.name, version)


def _version(pipeline: Resource, definition: str, actor: str) -> Resource:
    ref = _version_ref(pipeline.ref, pipeline.body["version"])
    at = now()
    return Resource(ref, {"definition": definition, "actor": actor}, at, at, "", pipeline.ref)


_NOT_KEPT = ("PipelineDefinition", "PipelineDefinitionS3Location", "Tags", "ClientRequestToken")


def _kept(request: JsonObject) -> JsonObject:
    return {key: value for key, value in request.items() if key not in _NOT_KEPT}
