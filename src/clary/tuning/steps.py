"""The pipeline step that runs a tuning job: Tuning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from clary.jobs import images
from clary.kernel.codec import build, plain, to_json
from clary.kernel.errors import Conflict, InvalidInput, NotFound
from clary.kernel.names import Ref, arn
from clary.kernel.steps import StepResult
from clary.pipelines.expressions import is_expression
from clary.tuning import model, plans, progress, requests

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clary.kernel.ports import Transaction
    from clary.kernel.steps import StepRun
    from clary.tuning.service import Tuning

_STATES: Mapping[str, Literal["Executing", "Succeeded", "Failed", "Stopped"]] = {
    "InProgress": "Executing",
    "Stopping": "Executing",
    "Completed": "Succeeded",
    "Failed": "Failed",
    "Stopped": "Stopped",
}
_TOP = 50
"""So many training jobs are properties of the step, the best first."""
_CONFIG = "HyperParameterTuningJobConfig"
_DEFINITION = "TrainingJobDefinition"
_ANY = Ref("0" * 12, "us-east-1", model.TUNING, "any")
"""What a tuning job is checked as before it has a name."""


@dataclass(frozen=True, slots=True)
class TuningStep:
    """Runs a tuning job.

    Its properties are the describe document and ``TrainingJobSummaries``, the best first.
    """

    tuning: Tuning

    def check(self, step: Mapping[str, Any]) -> None:
        """Refuse what can never run, as far as it does not hang on expressions."""
        arguments = step.get("Arguments") or {}
        try:
            if not _computed(arguments):
                self.tuning.check(_ANY, _as_texts(arguments))
                return
            for place, definition in _definitions(arguments):
                _check_definition(definition, place)
            config = _object(arguments.get(_CONFIG), _CONFIG)
            _check_ranges(config.get("ParameterRanges"), f"{_CONFIG}.ParameterRanges")
        except InvalidInput as error:
            place = f"Arguments.{error.field}" if error.field else "Arguments"
            raise InvalidInput(place, error.problem, legal=error.legal, hint=error.hint) from None

    def key(self, run: StepRun) -> Mapping[str, Any] | None:
        """Name the search, and the content of what its training jobs read, run and run on."""
        ref = run.execution.sibling(model.TUNING, _name(run))
        return self.tuning.key(ref, _as_texts(run.arguments))

    def start(self, run: StepRun, transaction: Transaction) -> StepResult:
        """Create the tuning job in the transaction that marks the step as started."""
        name = _name(run)
        ref = run.execution.sibling(model.TUNING, name)
        arguments = _as_texts(run.arguments)
        tags = {tag["Key"]: tag["Value"] for tag in arguments.pop("Tags", None) or []}
        self.tuning.create(
            ref,
            {**arguments, "HyperParameterTuningJobName": name},
            actor=run.actor,
            tags=tags,
            transaction=transaction,
            parent=run.execution,
            experiment=_experiment(run),
        )
        return StepResult("Executing", job=ref, metadata=_metadata(ref))

    def poll(self, job: Ref) -> StepResult:
        """Say how far the tuning job is."""
        try:
            resource = self.tuning.get(job)
        except NotFound as error:
            return StepResult("Failed", job=job, reason=error.message)
        status = _STATES[resource.status]
        if status == "Executing":
            return StepResult("Executing", job=job, metadata=_metadata(job))
        reason = model.read(resource).failure
        best = self.tuning.training_jobs(job, best_first=True)[:_TOP]
        return StepResult(
            status=status,
            job=job,
            properties=plain({**self.tuning.describe(job), "TrainingJobSummaries": best}),
            metadata=_metadata(job),
            reason=reason,
            error="SageMaker.JOB_INTERNAL_ERROR" if reason.startswith(progress.INTERNAL) else "",
        )

    def stop(self, job: Ref) -> None:
        """Ask the tuning job to stop; nothing happens when it has ended."""
        try:
            self.tuning.stop(job, actor=model.read(self.tuning.get(job)).actor)
        except (Conflict, NotFound):
            return

    def made(self, job: Ref) -> Mapping[str, str]:
        """Name the objects that the best training jobs stored."""
        return self.tuning.made(job, _TOP)


def _definitions(arguments: Mapping[str, Any]) -> list[tuple[str, Any]]:
    several = arguments.get(f"{_DEFINITION}s") or []
    if not isinstance(several, list):
        raise InvalidInput(f"{_DEFINITION}s", "is no list")
    one = [(_DEFINITION, arguments.get(_DEFINITION))]
    return one + [(f"{_DEFINITION}s.{index}", each) for index, each in enumerate(several)]


def _check_definition(definition: Any, place: str) -> None:
    members = _object(definition, place)
    holder = f"{place}.AlgorithmSpecification"
    image = _object(members.get("AlgorithmSpecification"), holder).get("TrainingImage")
    if isinstance(image, str):
        images.runtime(image, field=f"{holder}.TrainingImage")
    _check_ranges(members.get("HyperParameterRanges"), f"{place}.HyperParameterRanges")


def _check_ranges(given: Any, place: str) -> None:
    if given is not None and not _computed(given):
        plans.read_ranges(build(requests.Ranges, _texts(given), field=place), place)


def _computed(value: Any) -> bool:
    """Say whether a value holds an expression anywhere."""
    if isinstance(value, list):
        return any(_computed(one) for one in value)
    return isinstance(value, dict) and (
        is_expression(value) or any(_computed(one) for one in value.values())
    )


def _object(found: Any, place: str) -> Mapping[str, Any]:
    if found is not None and not isinstance(found, dict):
        raise InvalidInput(place, "is no object")
    return found or {}


def _name(run: StepRun) -> str:
    """Name the tuning job: within its 32 characters, unique by the end of the step's name."""
    made_by = run.execution.name.partition("/")[2]
    step = run.step["Name"].replace("_", "-")[:8].strip("-")
    return f"{made_by[:12]}-{step}-{run.name.rpartition('-')[2]}"


def _experiment(run: StepRun) -> dict[str, str]:
    """Say where the jobs of the execution belong."""
    pipeline, _, execution = run.execution.name.partition("/")
    return {"ExperimentName": pipeline, "TrialName": execution, **run.experiment}


def _metadata(ref: Ref) -> dict[str, Any]:
    return {"TuningJob": {"Arn": arn(ref)}}


def _as_texts(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Write numbers as text where the API has only texts, as they may come from parameters."""
    members = dict(arguments)
    config = members.get(_CONFIG)
    if isinstance(config, dict) and config.get("ParameterRanges"):
        members[_CONFIG] = {
            **config,
            "ParameterRanges": _texts(config["ParameterRanges"]),
        }
    if isinstance(members.get(_DEFINITION), dict):
        members[_DEFINITION] = _definition(members[_DEFINITION])
    several = members.get(f"{_DEFINITION}s")
    if isinstance(several, list):
        members[f"{_DEFINITION}s"] = [_definition(one) for one in several]
    return members


def _definition(given: Mapping[str, Any]) -> dict[str, Any]:
    texts = ("StaticHyperParameters", "HyperParameterRanges", "Environment")
    return {name: _texts(value) if name in texts else value for name, value in given.items()}


def _texts(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _texts(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_texts(one) for one in value]
    return value if isinstance(value, str) or value is None else to_json(value).decode()
