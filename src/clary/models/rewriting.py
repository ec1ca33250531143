"""Recorded job requests as steps of a pipeline that runs them again, beside what they made.

Every S3 URI in a request that another job of the same record wrote is replaced by the place that
the job writes to this time; every input whose content lies elsewhere now, by that place.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from clary.jobs import requests
from clary.jobs.contract import join_uri
from clary.jobs.describe import prefix
from clary.jobs.model import PROCESSING, TRAINING, TRANSFORM, Job
from clary.pipelines.model import VERSION

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from clary.jobs.contract import Plan
    from clary.kernel.names import Ref
    from clary.kernel.ports import JsonObject

_PIPELINE_JOB = re.compile(r"pipelines-[a-z0-9]{12}-(.+)-[0-9a-f]{10}")
_NOT_STEP = re.compile(r"[^A-Za-z0-9-]+")
_LONGEST = 48
_TYPES = {PROCESSING: "Processing", TRAINING: "Training", TRANSFORM: "Transform"}


@dataclass(frozen=True, slots=True)
class Recorded:
    """A job as it was run.

    Parameters
    ----------
    ref, job, plan
        Its name, what is written down about it, and what its containers found.
    step
        What the step that runs it again is called.
    """

    ref: Ref
    job: Job
    plan: Plan
    step: str


@dataclass(slots=True)
class Definition:
    """A pipeline definition that grows job by job, in the order they ran.

    Parameters
    ----------
    prefix
        ``s3://bucket/key`` below which everything is written this time.
    """

    prefix: str
    steps: list[JsonObject] = field(default_factory=list)
    _places: dict[str, _Place] = field(default_factory=dict)

    def document(self) -> JsonObject:
        """Give the definition."""
        return {"Version": VERSION, "Metadata": {}, "Steps": self.steps}

    def is_made(self, uri: str) -> bool:
        """Whether a job that was added wrote this URI."""
        made = [old for old, place in self._places.items() if place.step]
        return any(uri == old or uri.startswith(f"{old}/") for old in made)

    def move(self, uri: str, place: str) -> None:
        """Read an input from another place than it was read from."""
        self._places[uri.rstrip("/")] = _Place((place,))

    def add(self, recorded: Recorded) -> None:
        """Add a job as a step."""
        ref, step, request = recorded.ref, recorded.step, recorded.job.request
        rewriting = _Rewriting(self._places)
        dropped = {"Tags", "ExperimentConfig", f"{prefix(ref.kind)}Name"}
        arguments = {
            name: rewriting.value(value) for name, value in request.items() if name not in dropped
        }
        if ref.kind == TRANSFORM:
            first, *more = rewriting.value(list(recorded.job.containers))
            model = {"Containers": [first, *more]} if more else {"PrimaryContainer": first}
            self._step(f"{step}-Model", "Model", model, rewriting, ref)
            arguments["ModelName"] = {"Get": f"Steps.{step}-Model.ModelName"}
        here = f"{self.prefix}/{step}"
        arguments |= _redirected(ref.kind, arguments, here)
        self._step(step, _TYPES[ref.kind], arguments, rewriting, ref)
        self._places |= _written(recorded, here)

    def _step(
        self, name: str, kind: str, arguments: JsonObject, rewriting: _Rewriting, ref: Ref
    ) -> None:
        step = {"Name": name, "Type": kind, "Arguments": arguments, "DisplayName": str(ref)}
        self.steps.append(step | {"DependsOn": sorted(rewriting.used)})


def _redirected(kind: str, arguments: JsonObject, here: str) -> JsonObject:
    """Give the members of a request that say where outputs go, with their new places."""
    if kind == TRANSFORM:
        members = {"TransformOutput": {**arguments["TransformOutput"], "S3OutputPath": here}}
        if capture := arguments.get("DataCaptureConfig"):
            place = {**capture, "DestinationS3Uri": f"{here}-capture"}
            members["DataCaptureConfig"] = place
        return members
    if kind == TRAINING:
        members = {"OutputDataConfig": {**arguments["OutputDataConfig"], "S3OutputPath": here}}
        if checkpoints := arguments.get("CheckpointConfig"):
            members["CheckpointConfig"] = {**checkpoints, "S3Uri": f"{here}/checkpoints"}
        return members
    config = arguments.get("ProcessingOutputConfig") or {}
    outputs = [
        {**one, "S3Output": {**one["S3Output"], "S3Uri": f"{here}/{one['OutputName']}"}}
        if one.get("S3Output")
        else one
        for one in config.get("Outputs") or ()
    ]
    return {"ProcessingOutputConfig": {**config, "Outputs": outputs}}


def _written(recorded: Recorded, here: str) -> dict[str, _Place]:
    """Say where later jobs found a job's outputs, and where they find them this time."""
    step, request = recorded.step, recorded.job.request
    if recorded.ref.kind == PROCESSING:
        return {
            target.uri.rstrip("/"): _Place((f"{here}/{target.name}",), step)
            for target in recorded.plan.targets
        }
    if recorded.ref.kind == TRAINING:
        path = requests.training(request).output_data_config.s3_output_path
        name = {"Get": f"Steps.{step}.TrainingJobName"}
        return {join_uri(path, recorded.ref.name): _Place((f"{here}/", name), step)}
    path = requests.transform(request).transform_output.s3_output_path
    return {path.rstrip("/"): _Place((here,), step)}


@dataclass(frozen=True, slots=True)
class _Place:
    """What stands for an old URI: texts and expressions to be joined, and the step it needs."""

    parts: tuple[Any, ...]
    step: str = ""


class _Rewriting:
    """Replaces URIs in one request, and remembers whose outputs it needs."""

    def __init__(self, places: Mapping[str, _Place]) -> None:
        self._places = places
        self.used: set[str] = set()
        longest = sorted(places, key=len, reverse=True)
        whole = "|".join(re.escape(uri) for uri in longest)
        self._pattern = re.compile(rf"({whole})(?=$|[/\"'\s,;?])") if places else None

    def value(self, value: Any) -> Any:
        """Rewrite whatever stands anywhere in a document."""
        if isinstance(value, dict):
            return {name: self.value(item) for name, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(item) for item in value]
        return self._text(value) if isinstance(value, str) and self._pattern else value

    def _text(self, text: str) -> Any:
        parts: list[Any] = []
        end = 0
        for match in self._pattern.finditer(text) if self._pattern else ():
            place = self._places[match[1]]
            self.used |= {place.step} - {""}
            parts += [text[end : match.start()], *place.parts]
            end = match.end()
        parts = _joined([*parts, text[end:]])
        return parts[0] if len(parts) == 1 else {"Std:Join": {"On": "", "Values": parts}}


def _joined(parts: Iterable[Any]) -> list[Any]:
    """Put texts that follow each other together; at least one part, which may be empty."""
    whole: list[Any] = [""]
    for part in parts:
        if isinstance(part, str) and isinstance(whole[-1], str):
            whole[-1] += part
        else:
            whole.append(part)
    return [part for part in whole if part != ""] or [""]


def step_name(ref: Ref, taken: Iterable[str]) -> str:
    """Call a step as the one that ran the job, if that is known and free, else as the job.

    Examples
    --------
    >>> from clary.kernel.names import Ref
    >>> job = Ref("1", "r", "training-job", "pipelines-4r83jejmhorv-Fit-6fdee99b00")
    >>> step_name(job, []), step_name(job, ["Fit"])
    ('Fit', 'Fit-2')
    """
    match = _PIPELINE_JOB.fullmatch(ref.name)
    wanted = _NOT_STEP.sub("-", match[1] if match else ref.name)[:_LONGEST]
    used, name, number = set(taken), wanted, 1
    while name in used:
        number += 1
        name = f"{wanted}-{number}"
    return name
