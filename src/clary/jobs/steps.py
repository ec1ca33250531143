"""The pipeline steps that run jobs: Processing, Training and Transform."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from clary.jobs import images
from clary.jobs.describe import describe, prefix
from clary.jobs.model import PROCESSING, TRAINING, TRANSFORM, read
from clary.kernel.codec import plain, to_json
from clary.kernel.errors import Conflict, InvalidInput, NotFound
from clary.kernel.names import arn
from clary.kernel.steps import StepResult

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from clary.jobs.service import Jobs
    from clary.kernel.names import Ref
    from clary.kernel.ports import JsonObject, Transaction
    from clary.kernel.resource import Resource
    from clary.kernel.steps import StepRun

_STATES: Mapping[str, Literal["Executing", "Succeeded", "Failed"]] = {
    "InProgress": "Executing",
    "Stopping": "Executing",
    "Completed": "Succeeded",
    "Failed": "Failed",
}
_CAPACITY = re.compile(r"\bOutOfMemory: |\bthe disk (is full|has [0-9]+ to spare)")
_IMAGE = {
    PROCESSING: ("AppSpecification", "ImageUri"),
    TRAINING: ("AlgorithmSpecification", "TrainingImage"),
}


@dataclass(frozen=True, slots=True)
class Draft:
    """The job that a step asks for; see ``Jobs.create``."""

    ref: Ref
    request: JsonObject
    tags: Mapping[str, str]
    kept: Mapping[str, tuple[str, str]]


def draft(kind: str, run: StepRun) -> Draft:
    """Compose the job of a step."""
    arguments = _as_texts(run.arguments)
    tags = {tag["Key"]: tag["Value"] for tag in arguments.pop("Tags", None) or []}
    files = run.step.get("PropertyFiles") or []
    if run.experiment:
        shown = {**run.experiment, "TrialComponentDisplayName": run.step["Name"]}
        arguments.setdefault("ExperimentConfig", shown)
    return Draft(
        run.execution.sibling(kind, run.name),
        {**arguments, f"{prefix(kind)}Name": run.name},
        tags,
        {one["PropertyFileName"]: (one["OutputName"], one["FilePath"]) for one in files},
    )


def metadata(job: Ref) -> dict[str, Any]:
    """Write the Metadata of a job's step."""
    return {prefix(job.kind): {"Arn": arn(job)}}


def ended(resource: Resource) -> StepResult:
    """Say how a job that has ended went, as its step's result."""
    state = read(resource)
    status = _STATES.get(resource.status) or ("Stopped" if state.stop_asked else "Failed")
    return StepResult(
        status,
        job=resource.ref,
        properties=plain(describe(resource)),
        files=dict(state.kept),
        metadata=metadata(resource.ref),
        reason=state.failure,
        error=_error(state.failure),
    )


@dataclass(frozen=True, slots=True)
class JobStep:
    """A step that runs one job of a kind, whose describe document its properties are."""

    jobs: Jobs
    kind: str

    def check(self, step: Mapping[str, Any]) -> None:
        """Refuse an image without a runtime, and a property file of an output that is not there."""
        arguments = step.get("Arguments") or {}
        holder, member = _IMAGE.get(self.kind, ("", ""))
        image = _object(arguments, holder).get(member)
        if isinstance(image, str):
            images.runtime(image, field=f"Arguments.{holder}.{member}")
        outputs = _object(arguments, "ProcessingOutputConfig").get("Outputs") or []
        if not isinstance(outputs, list):
            raise InvalidInput("Arguments.ProcessingOutputConfig.Outputs", "is no list")
        names = [str(one.get("OutputName")) for one in outputs if isinstance(one, dict)]
        _check_files(step.get("PropertyFiles") or [], names)

    def key(self, run: StepRun) -> Mapping[str, Any] | None:
        """Name the arguments, and the content of all inputs, the code and the environment."""
        return self.jobs.key(run.execution.sibling(self.kind, run.name), _as_texts(run.arguments))

    def made(self, job: Ref) -> Mapping[str, str]:
        """Name the objects that the job stored."""
        return self.jobs.made(job)

    def start(self, run: StepRun, transaction: Transaction) -> StepResult:
        """Create the job in the transaction that marks the step as started."""
        made = draft(self.kind, run)
        self.jobs.create(
            made.ref,
            made.request,
            actor=run.actor,
            tags=made.tags,
            transaction=transaction,
            parent=run.execution,
            kept=made.kept,
        )
        return StepResult("Executing", job=made.ref, metadata=metadata(made.ref))

    def poll(self, job: Ref) -> StepResult:
        """Say how far the job is."""
        try:
            resource = self.jobs.get(job)
        except NotFound as error:
            return StepResult("Failed", job=job, reason=error.message)
        status = _STATES.get(resource.status)
        if status == "Executing":
            return StepResult(status, job=job)
        return ended(resource)

    def stop(self, job: Ref) -> None:
        """Ask the job to stop; nothing happens when it has ended."""
        try:
            self.jobs.stop(job, actor=read(self.jobs.get(job)).actor)
        except (Conflict, NotFound):
            return


class ProcessingStep(JobStep):
    """``Processing``."""

    def __init__(self, jobs: Jobs) -> None:
        super().__init__(jobs, PROCESSING)


class TrainingStep(JobStep):
    """``Training``."""

    def __init__(self, jobs: Jobs) -> None:
        super().__init__(jobs, TRAINING)


class TransformStep(JobStep):
    """``Transform``."""

    def __init__(self, jobs: Jobs) -> None:
        super().__init__(jobs, TRANSFORM)


def _error(failure: str) -> str:
    """Name the sort of failure as RetryPolicies do; empty when trying again would not help."""
    if failure.startswith("InternalServerError"):
        return "SageMaker.JOB_INTERNAL_ERROR"
    if _CAPACITY.search(failure):
        return "SageMaker.CAPACITY_ERROR"
    return ""


def _as_texts(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Write numbers as text where a job has only texts, as they may come from parameters."""
    members = dict(arguments)
    for name in ("HyperParameters", "Environment"):
        if isinstance(members.get(name), dict):
            members[name] = {key: _text(value) for key, value in members[name].items()}
    app = members.get("AppSpecification")
    if isinstance(app, dict):
        words = {name: value for name, value in app.items() if isinstance(value, list)}
        texts = {name: [_text(word) for word in value] for name, value in words.items()}
        members["AppSpecification"] = {**app, **texts}
    return members


def _text(value: Any) -> str:
    return value if isinstance(value, str) else to_json(value).decode()


def _object(arguments: Mapping[str, Any], member: str) -> Mapping[str, Any]:
    found = arguments.get(member)
    if found is not None and not isinstance(found, dict):
        raise InvalidInput(f"Arguments.{member}", "is no object")
    return found or {}


def _check_files(files: Sequence[Any], outputs: Sequence[str]) -> None:
    for index, one in enumerate(files):
        place = f"PropertyFiles.{index}"
        for member in ("PropertyFileName", "OutputName", "FilePath"):
            if not isinstance(one, dict) or not isinstance(one.get(member), str):
                raise InvalidInput(f"{place}.{member}", "is missing or no string")
        if one["OutputName"] not in outputs:
            raise InvalidInput(
                f"{place}.OutputName",
                f"{one['OutputName']!r} is no output of the step",
                legal=", ".join(outputs) or "none",
            )
