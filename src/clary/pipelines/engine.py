"""Runs executions: whichever process claims one takes it as far as it can go now.

A step is a resource below its execution, inserted in the transaction that starts it and updated in
the one that records its end, so that a process may die anywhere.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from clary.kernel.clock import now
from clary.kernel.codec import build, plain
from clary.kernel.errors import ClaryError, Conflict, InvalidInput, NotFound, Unavailable
from clary.kernel.names import Ref, arn
from clary.kernel.resource import Event, Query, Resource
from clary.kernel.steps import StepResult, StepRun, job_name
from clary.pipelines.expressions import Scope, StepOutput, resolve
from clary.pipelines.model import MAX_BYTES, Definition, Step, parse
from clary.pipelines.planner import ENDED, Plan, State, plan

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping
    from datetime import datetime

    from clary.kernel.ports import MetadataStore, ObjectStore
    from clary.kernel.steps import StepKind

_log = logging.getLogger(__name__)

UNLIMITED = 500
"""Steps at once without a ParallelismConfiguration: as many as a definition may have."""
_LOOK_AGAIN = timedelta(seconds=15)
"""Jobs wake their execution when they end; this is how long one that vanished may hold it up."""
_REASON, _WHOLE_REASON = 1024, 1300

_parse = lru_cache(maxsize=32)(parse)


@dataclass(frozen=True, slots=True)
class _Run:
    """An execution in the hands of this process; ``steps`` grows as they start and end."""

    execution: Resource
    definition: Definition
    steps: dict[str, Resource]

    @property
    def stopping(self) -> bool:
        return self.execution.status == "Stopping"

    @property
    def running(self) -> list[Resource]:
        return [step for step in self.steps.values() if step.status not in ENDED]


class Engine:
    """Drives pipeline executions; it knows no kinds of steps.

    Parameters
    ----------
    store, objects
        Where executions lie, and what Std:JsonGet with an S3 URI reads.
    kinds
        The step kind of each step type.
    """

    def __init__(
        self, store: MetadataStore, objects: ObjectStore, kinds: Mapping[str, StepKind]
    ) -> None:
        self._store = store
        self._objects = objects
        self._kinds = kinds

    def run(self, execution: Resource, stopping: threading.Event) -> datetime | None:
        """Record what has ended, start what is ready; the worker's handler of executions."""
        if execution.status in ENDED:
            return None
        run = _Run(execution, self._definition(execution), self._steps(execution.ref))
        for step in run.running:
            run.steps[_name(step)] = self._poll(run, step)
        for step in run.running if run.stopping else ():
            run.steps[_name(step)] = self._stop(run, step)
        while not stopping.is_set():
            next_ = self._plan(run)
            if next_.finished:
                self._finish(run)
                return None
            if not next_.ready:
                return now() + _LOOK_AGAIN
            for name in next_.ready:
                run.steps[name] = self._start(run, run.definition.steps[name])
        return now()

    def _plan(self, run: _Run) -> Plan:
        states = {name: State(x.status, x.body["branch"]) for name, x in run.steps.items()}
        limit = run.execution.body["parallelism"] or UNLIMITED
        return plan(run.definition.steps, states, limit=limit, halted=run.stopping)

    def _definition(self, execution: Resource) -> Definition:
        pipeline = execution.ref.name.partition("/")[0]
        ref = execution.ref.sibling("pipeline-version", pipeline, execution.body["version"])
        version = self._store.get(ref)
        if version is None:
            raise NotFound(ref)
        return _parse(version.body["definition"])

    def _steps(self, execution: Ref) -> dict[str, Resource]:
        steps: dict[str, Resource] = {}
        query = Query(
            "pipeline-step", execution.account, execution.region, execution, descending=False
        )
        while True:
            page = self._store.select(query)
            steps |= {_name(step): step for step in page.items}
            if not page.token:
                return steps
            query = replace(query, token=page.token)

    def _poll(self, run: _Run, step: Resource) -> Resource:
        try:
            result = self._kinds[step.body["type"]].poll(build(Ref, step.body["job"]))
        except NotFound as error:
            result = StepResult("Failed", reason=error.message)
        if result.status == "Executing":
            return step
        if result.status == "Stopped" and not run.stopping:
            reason = result.reason or "it was stopped, though the execution was not"
            result = replace(result, status="Failed", reason=reason)
        metadata = {**step.body["metadata"], **plain(result.metadata)}
        outcome = {**_outcome(result), "metadata": metadata, "ended_at": plain(now())}
        body = {**step.body, **outcome}
        return self._update(run, step, result.status, body)

    def _stop(self, run: _Run, step: Resource) -> Resource:
        self._kinds[step.body["type"]].stop(build(Ref, step.body["job"]))
        if step.status == "Stopping":
            return step
        return self._update(run, step, "Stopping", step.body)

    def _update(self, run: _Run, step: Resource, status: str, body: Mapping[str, Any]) -> Resource:
        with self._store.begin() as transaction:
            changed = transaction.update(replace(step, status=status, body=body))
            transaction.append(_event(run, step.ref, status, body))
            return changed

    def _start(self, run: _Run, step: Step) -> Resource:
        try:
            return self._insert(run, step, None)
        except (Conflict, Unavailable):
            raise
        except ClaryError as error:
            reason = error.message
        except Exception as error:
            _log.exception("%s: step %s could not be started", run.execution.ref, step.name)
            reason = f"internal error: {type(error).__name__}: {error}"
        return self._insert(run, step, StepResult("Failed", reason=reason))

    def _insert(self, run: _Run, step: Step, failure: StepResult | None) -> Resource:
        """Start a step, or record that it could not be started, in one transaction."""
        scope = self._scope(run, step)
        arguments = {} if failure else resolve(step.arguments, scope)
        execution = run.execution.ref
        ref = execution.sibling("pipeline-step", f"{execution.name}/{step.name}")
        with self._store.begin() as transaction:
            current = transaction.get(execution)
            if current is None or current.status != "Executing" or transaction.get(ref):
                raise Conflict(f"{execution} has changed meanwhile")
            result = failure or self._kinds[step.type].start(
                StepRun(
                    execution,
                    step.document,
                    arguments,
                    run.execution.body["actor"],
                ),
                transaction,
            )
            at = now()
            body = {
                "type": step.type,
                "display_name": step.document.get("DisplayName") or "",
                "description": step.document.get("Description") or "",
                "arguments": arguments,
                "job": plain(result.job),
                "ended_at": None if result.status == "Executing" else plain(at),
                **_outcome(result),
            }
            row = Resource(ref, body, at, at, result.status, execution)
            transaction.append(_event(run, ref, result.status, body))
            return transaction.insert(row)

    def _scope(self, run: _Run, step: Step) -> Scope:
        execution = run.execution
        pipeline, _, execution_id = execution.ref.name.partition("/")
        name = job_name(execution.ref, step.name)
        return Scope(
            parameters=execution.body["parameters"],
            variables={
                "CurrentDateTime": date_time(now()),
                "PipelineArn": arn(execution.ref.sibling("pipeline", pipeline)),
                "PipelineExecutionArn": arn(execution.ref),
                "PipelineExecutionId": execution_id,
                "PipelineName": pipeline,
                "ProcessingJobName": name,
                "StartDateTime": date_time(execution.created_at),
                "TrainingJobName": name,
            },
            steps={
                name: StepOutput(other.body["properties"], other.body["files"])
                for name, other in run.steps.items()
                if other.status == "Succeeded"
            },
            read=self._read,
        )

    def _read(self, uri: str) -> str:
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        if not uri.startswith("s3://") or not key:
            raise InvalidInput("Std:JsonGet.S3Uri", f"{uri!r}", legal="s3://<bucket>/<key>")
        size = self._objects.stat(bucket, key).size_bytes
        if size > MAX_BYTES:
            raise InvalidInput(uri, f"{size} bytes", legal=f"at most {MAX_BYTES}")
        return b"".join(self._objects.read(bucket, key)).decode(errors="replace")

    def _finish(self, run: _Run) -> None:
        failed = [step for step in run.steps.values() if step.status == "Failed"]
        reason = "; ".join(f"Step {_name(x)} failed: {x.body['reason']}" for x in failed)
        status = "Stopped" if run.stopping else "Failed" if failed else "Succeeded"
        body = {**run.execution.body, "reason": reason[:_WHOLE_REASON]}
        with self._store.begin() as transaction:
            transaction.update(replace(run.execution, status=status, body=body))
            transaction.append(_event(run, run.execution.ref, status, body))


def date_time(at: datetime) -> str:
    """Write a moment as the execution variables do: ``2026-01-31T09:05:00.123Z``."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _name(step: Resource) -> str:
    return step.ref.name.rpartition("/")[2]


def _outcome(result: StepResult) -> dict[str, Any]:
    return {
        "properties": plain(result.properties),
        "files": dict(result.files),
        "metadata": plain(result.metadata),
        "branch": result.branch,
        "reason": result.reason[:_REASON],
    }


def _event(run: _Run, ref: Ref, status: str, body: Mapping[str, Any]) -> Event:
    word = {"Executing": "started", "Stopping": "stop-requested"}.get(status, status.lower())
    detail = {"reason": body["reason"]} if body["reason"] else {}
    return Event(now(), run.execution.body["actor"], f"{ref.kind}.{word}", ref, detail)
