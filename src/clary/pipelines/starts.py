"""Getting a step ready to start: its arguments, its key, an earlier result.

All of this is done before the transaction of the start, since it may read objects.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from clary.kernel.clock import now
from clary.kernel.errors import ClaryError, Conflict, InvalidInput, LimitExceeded, Unavailable
from clary.kernel.names import arn
from clary.kernel.steps import StepResult, StepRun, job_name
from clary.pipelines.cache import Results
from clary.pipelines.expressions import Scope
from clary.pipelines.retries import RESOURCE_LIMIT, SERVICE_FAULT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from clary.kernel.ports import ObjectStore
    from clary.kernel.resource import Resource
    from clary.kernel.steps import Done, StepKind
    from clary.pipelines.model import Step
    from clary.pipelines.state import Run

_log = logging.getLogger(__name__)
_MOST_JSON_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Start:
    """One step, ready to start.

    Parameters
    ----------
    step
        What is to start.
    run
        What its kind is given.
    result
        What is already known of it: an earlier result, or why it cannot start; else None.
    kept
        What the step's resource says about its key, and whose result it has.
    before
        The step's resource, if this is no first try.
    done
        What hands say of it that have taken it.
    """

    step: Step
    run: StepRun
    result: StepResult | None = None
    kept: Mapping[str, Any] = field(default_factory=dict)
    before: Resource | None = None
    done: Done | None = None


class Starts:
    """Gets steps ready.

    Parameters
    ----------
    objects
        What Std:JsonGet with an S3 URI reads.
    kinds
        The step kind of each step type.
    results
        Earlier results.
    """

    def __init__(
        self, objects: ObjectStore, kinds: Mapping[str, StepKind], results: Results
    ) -> None:
        self._objects = objects
        self._kinds = kinds
        self._results = results

    def prepare(self, run: Run, name: str) -> Start:
        """Resolve a step's arguments and look for an earlier result of the same key."""
        return replace(self._prepare(run, name), before=run.rows.get(name))

    def _prepare(self, run: Run, name: str) -> Start:
        step = run.steps[name]
        execution = run.execution
        row = run.rows.get(name)
        attempts = execution.body.get("attempts") or {}
        attempt = row.body["attempt"] + 1 if row else attempts.get(name, 0)
        given = StepRun(
            execution.ref,
            step.document,
            {},
            execution.body["actor"],
            attempt,
            execution.body["experiment"] or {},
        )
        try:
            scope = self._scope(run, name, attempt)
            given = replace(given, step=step.settled(scope), arguments=step.resolved(scope))
            return self._found(Start(step, given), run)
        except (Conflict, Unavailable):
            raise
        except Exception as error:
            return Start(step, given, failure(given, error))

    def _found(self, start: Start, run: Run) -> Start:
        step, execution = start.step, run.execution
        if not step.cache.enabled:
            return start
        key = self.key(start)
        if key is None:
            words = "its results are never reused: what they depend on cannot be named"
            return Start(step, start.run, None, {"words": words})
        selected = execution.body.get("selected")
        if selected and step.name in selected["steps"]:
            return Start(step, start.run, None, {"key": key, "words": "it was selected to run"})
        found = self._results.look_up(Results.ref(execution.ref, step.name, key), step.cache)
        kept = {"key": key, "words": found.words}
        if found.result is None:
            return Start(step, start.run, None, kept)
        result = StepResult(
            "Succeeded",
            properties=found.result["properties"],
            files=found.result["files"],
            metadata=found.result["metadata"],
            branch=found.result["branch"],
        )
        return Start(step, start.run, result, {**kept, "cached_from": found.result["execution"]})

    def key(self, start: Start) -> dict[str, Any] | None:
        """Name all that a step's result depends on; None when it is not to be reused."""
        parts = self._kinds[start.step.type].key(start.run)
        return None if parts is None else {"type": start.step.type, **parts}

    def _scope(self, run: Run, step: str, attempt: int) -> Scope:
        execution = run.execution
        pipeline, _, execution_id = execution.ref.name.partition("/")
        name = job_name(execution.ref, step, attempt)
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
            steps=run.outputs,
            read=self._read,
        )

    def _read(self, uri: str) -> str:
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        if not uri.startswith("s3://") or not key:
            raise InvalidInput("Std:JsonGet.S3Uri", f"{uri!r}", legal="s3://<bucket>/<key>")
        size = self._objects.stat(bucket, key).size_bytes
        if size > _MOST_JSON_BYTES:
            raise InvalidInput(uri, f"{size} bytes", legal=f"at most {_MOST_JSON_BYTES}")
        return b"".join(self._objects.read(bucket, key)).decode(errors="replace")


def failure(run: StepRun, error: Exception) -> StepResult:
    """Say why a step could not be started, in the step's own result."""
    if isinstance(error, ClaryError):
        word = RESOURCE_LIMIT if isinstance(error, LimitExceeded) else ""
        return StepResult("Failed", reason=error.message, error=word)
    _log.error("%s: step %s", run.execution, run.step["Name"], exc_info=error)
    reason = f"internal error: {type(error).__name__}: {error}"
    return StepResult("Failed", reason=reason, error=SERVICE_FAULT)


def date_time(at: datetime) -> str:
    """Write a moment as the execution variables do: ``2026-01-31T09:05:00.123Z``."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
