"""Pipelines and their executions: make, change, start, stop, look."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from clary.kernel.clock import now
from clary.kernel.codec import build, digest, plain
from clary.kernel.errors import Conflict, InvalidInput, NotFound, NotSupported
from clary.kernel.resource import Event, Page, Query, Resource
from clary.pipelines import documents
from clary.pipelines.checks import check
from clary.pipelines.engine import Engine, date_time
from clary.pipelines.expressions import Scope, as_text, resolve
from clary.pipelines.model import MAX_BYTES, Definition, parse
from clary.pipelines.requests import PipelineRequest, StartRequest

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from clary.kernel.names import Ref
    from clary.kernel.ports import JsonObject, MetadataStore, ObjectStore, Transaction
    from clary.kernel.steps import StepKind
    from clary.pipelines.checks import KnownProperty
    from clary.pipelines.requests import Location

_GOING_ON = ("Executing", "Stopping")
_ID_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
_ID_LENGTH = 12


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
    """

    def __init__(
        self,
        store: MetadataStore,
        objects: ObjectStore,
        kinds: Mapping[str, StepKind],
        *,
        known: KnownProperty,
    ) -> None:
        self._store = store
        self._objects = objects
        self._kinds = dict(kinds)
        self._known = known
        self._engine = Engine(store, objects, self._kinds)

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
        text = self._sound_definition(view)
        body = {
            "request": _kept(request),
            "version": 1,
            "token": _token(view.client_request_token, request),
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
        text = self._sound_definition(view) if given else None
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
                        "modified_by": actor,
                    },
                )
            )
            if text is not None:
                transaction.insert(_version(changed, text, actor))
            transaction.append(Event(now(), actor, "pipeline.updated", ref, {"version": version}))
        return changed

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
            for version in self._all(Query("pipeline-version", parent=ref)):
                transaction.delete(version.ref)
            transaction.delete(ref)
            transaction.append(Event(now(), actor, "pipeline.deleted", ref))

    def list(self, query: Query) -> Page:
        """List pipelines, or (by parent) versions, executions or steps."""
        return self._store.select(query)

    def describe(self, ref: Ref, version: int = 0) -> JsonObject:
        """Give the DescribePipeline document, of the newest version unless one is named."""
        pipeline = self._get(ref)
        of = self._get(_version_ref(ref, version or pipeline.body["version"]))
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
        for member in ("SelectiveExecutionConfig", "MlflowExperimentName"):
            if request.get(member):
                raise NotSupported(f"{member}: not offered when an execution is started")
        view = build(StartRequest, request)
        pipeline = self._get(ref)
        version = view.pipeline_version_id or pipeline.body["version"]
        definition = parse(self._get(_version_ref(ref, version)).body["definition"])
        check(definition, self._kinds, self._known)
        execution = ref.sibling("pipeline-execution", f"{ref.name}/{_execution_id(ref, view)}")
        default = pipeline.body["request"].get("ParallelismConfiguration") or {}
        given = plain(view.parallelism_configuration) or default
        parameters = definition.values([(x.name, x.value) for x in view.pipeline_parameters])
        at = now()
        body = {
            "version": version,
            "parameters": parameters,
            "experiment": _experiment(definition, execution, parameters, at),
            "display_name": view.pipeline_execution_display_name
            or f"execution-{int(at.timestamp() * 1000)}",
            "description": view.pipeline_execution_description or "",
            "parallelism": given.get("MaxParallelExecutionSteps"),
            "role": view.role_arn or pipeline.body["request"].get("RoleArn", ""),
            "actor": actor,
            "modified_by": actor,
            "token": _token(view.client_request_token, request),
            "reason": "",
        }
        return self._insert(Resource(execution, body, at, at, "Executing", ref))

    def _insert(self, execution: Resource) -> Resource:
        with self._store.begin() as transaction:
            present = transaction.get(execution.ref)
            if present is None:
                _existing(transaction, execution.parent)  # type: ignore[arg-type]  # it has one
                made = transaction.insert(execution, due=True)
                event = Event(
                    made.created_at, made.body["actor"], "pipeline-execution.created", made.ref
                )
                transaction.append(event)
                return made
        if present.body["token"] != execution.body["token"]:
            raise Conflict("ClientRequestToken: it has started an execution with other parameters")
        return present

    def describe_execution(self, ref: Ref) -> JsonObject:
        """Give the DescribePipelineExecution document."""
        return documents.execution(self._get(ref))

    def steps(self, ref: Ref) -> Sequence[JsonObject]:
        """Give the started steps of an execution, newest first, as ListPipelineExecutionSteps."""
        self._get(ref)
        return [documents.step(x) for x in self._all(Query("pipeline-step", parent=ref))]

    def parameters(self, ref: Ref) -> Sequence[JsonObject]:
        """Give the values of an execution's parameters, defaults included, as texts."""
        values = self._get(ref).body["parameters"]
        return [{"Name": name, "Value": as_text(value)} for name, value in values.items()]

    def definition(self, ref: Ref) -> Resource:
        """Give the version that an execution runs; its body has the ``definition``."""
        execution = self._get(ref)
        pipeline = ref.sibling("pipeline", ref.name.partition("/")[0])
        return self._get(_version_ref(pipeline, execution.body["version"]))

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

    def _get(self, ref: Ref) -> Resource:
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

    def _sound_definition(self, view: PipelineRequest) -> str:
        text, location = view.pipeline_definition, view.pipeline_definition_s3_location
        if (text is None) == (location is None):
            legal = "either PipelineDefinition or PipelineDefinitionS3Location"
            raise InvalidInput("PipelineDefinition", "not exactly one definition", legal=legal)
        if location is not None:
            text = self._definition_at(location)
        check(parse(text or ""), self._kinds, self._known)
        return text or ""

    def _definition_at(self, location: Location) -> str:
        uri = f"s3://{location.bucket}/{location.object_key}"
        if location.version_id:
            raise NotSupported("PipelineDefinitionS3Location.VersionId: objects have no versions")
        try:
            size = self._objects.stat(location.bucket, location.object_key).size_bytes
        except NotFound as error:
            raise InvalidInput("PipelineDefinitionS3Location", f"{uri}: {error.message}") from None
        if size > MAX_BYTES:
            legal = f"at most {MAX_BYTES}"
            raise InvalidInput("PipelineDefinitionS3Location", f"{uri}: {size} bytes", legal=legal)
        data = b"".join(self._objects.read(location.bucket, location.object_key))
        return data.decode(errors="replace")


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


def _token(token: str, request: JsonObject) -> str:
    """Sum up a client token and what it asked for; empty without one."""
    return digest(request) if token else ""


def _execution_id(pipeline: Ref, view: StartRequest) -> str:
    """Make 12 letters and digits; of the client token, if there is one, so that it starts once."""
    token = view.client_request_token or secrets.token_hex()
    number = int.from_bytes(hashlib.sha256(f"{pipeline!r} {token}".encode()).digest())
    return "".join(_ID_LETTERS[number // 36**i % 36] for i in range(_ID_LENGTH))


def _experiment(
    definition: Definition, execution: Ref, parameters: Mapping[str, Any], at: datetime
) -> Any:
    pipeline, _, name = execution.name.partition("/")
    variables = {
        "PipelineName": pipeline,
        "PipelineExecutionId": name,
        "StartDateTime": date_time(at),
        "CurrentDateTime": date_time(at),
    }
    return resolve(definition.experiment, Scope(parameters, variables, {}, str))
