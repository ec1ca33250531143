"""Components of jobs: made and kept up to date as the journal tells of them."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from clary.experiments.model import COMPONENT, TRIAL, named, parameters, source_ref
from clary.experiments.ports import Point
from clary.jobs import model, plans, requests, training
from clary.jobs.endings import JobLog
from clary.jobs.metrics import every_value
from clary.jobs.model import PROCESSING, TRAINING, TRANSFORM
from clary.kernel.codec import plain
from clary.kernel.names import arn

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from clary.experiments.metrics import Metrics
    from clary.experiments.model import Value
    from clary.experiments.service import Experiments
    from clary.jobs.model import Job
    from clary.jobs.ports import LogStore
    from clary.kernel.names import Ref
    from clary.kernel.ports import JsonObject, MetadataStore, Transaction
    from clary.kernel.resource import Event, Resource

_TYPES = {
    PROCESSING: ("aws-processing-job", "SageMakerProcessingJob"),
    TRAINING: ("aws-training-job", "SageMakerTrainingJob"),
    TRANSFORM: ("aws-transform-job", "SageMakerTransformJob"),
}
_LONGEST_NAME = 120
_LONGEST_MESSAGE = 1024
_LONGEST_VALUE = 2048
_MOST_POINTS = 1_000_000


def component_of(job: Ref) -> Ref:
    """Name the component of a job.

    Examples
    --------
    >>> from clary.kernel.names import Ref
    >>> component_of(Ref("1", "us-east-1", "training-job", "Abalone-1")).name
    'abalone-1-aws-training-job'
    """
    return named(job, COMPONENT, f"{job.name}-{_TYPES[job.kind][0]}")


class JobComponents:
    """Follows the journal: every job has a component, in the trial that its request names.

    Jobs of a pipeline belong to the experiment and the trial that the pipeline names, else to
    those named as the pipeline and the execution are.

    Parameters
    ----------
    experiments
        Where components are made.
    """

    name = "job-components"

    def __init__(self, experiments: Experiments) -> None:
        self._experiments = experiments

    def follow(self, events: Sequence[Event], transaction: Transaction) -> None:
        """Bring the components of the jobs up to date that something has happened to."""
        jobs = {event.ref: event.actor for event in events if event.ref.kind in _TYPES}
        for ref, actor in jobs.items():
            found = transaction.get(ref)
            if found is not None:
                self._keep(found, actor, transaction)

    def _keep(self, found: Resource, actor: str, transaction: Transaction) -> None:
        job, ref = model.read(found), component_of(found.ref)
        document = _document(found, job)
        present = transaction.get(ref)
        if present is None:
            source = {"SourceArn": arn(found.ref), "SourceType": _TYPES[found.ref.kind][1]}
            self._experiments.create_component(
                ref,
                document,
                actor=actor,
                source=source,
                parent=source_ref(found.ref),
                uid=job.uid,
                transaction=transaction,
            )
            self._place(found, job, source, actor, transaction)
        elif present.body["uid"] == job.uid:
            self._experiments.update(ref, document, actor=actor, transaction=transaction)
        else:  # another job of the name of one that was deleted
            body = {**present.body, "uid": job.uid, "request": plain(document)}
            transaction.update(replace(present, body=body, status=found.status))

    def _place(
        self, found: Resource, job: Job, source: JsonObject, actor: str, transaction: Transaction
    ) -> None:
        ref = component_of(found.ref)
        config = job.request.get("ExperimentConfig") or _of_pipeline(found, transaction)
        experiment, trial = _legal(config, "ExperimentName"), _legal(config, "TrialName")
        runs = self._experiments.runs
        place = named(ref, TRIAL, trial or ref.name)
        if experiment and transaction.get(place) is None:
            near = runs.ensure_experiment(ref, experiment, actor=actor, transaction=transaction)
            runs.ensure_trial(near, trial or ref.name, actor=actor, transaction=transaction)
        if transaction.get(place) is not None:
            self._experiments.associate(ref, place, actor=actor, transaction=transaction)
        run = transaction.get(named(ref, COMPONENT, config.get("RunName", "")))
        if run is not None:
            body = {**run.body, "sources": [*run.body["sources"], source]}
            transaction.update(replace(run, body=body))


class JobMetrics:
    """Follows the journal: the metrics in the log of a training job that has ended.

    Parameters
    ----------
    store, logs
        Where jobs and their logs are.
    metrics
        Where the values go, with a step that counts them.
    """

    name = "job-metrics"

    def __init__(self, store: MetadataStore, logs: LogStore, metrics: Metrics) -> None:
        self._store = store
        self._logs = logs
        self._metrics = metrics

    def send(self, events: Sequence[Event]) -> None:
        """Read the logs of the jobs that have ended; again if need be, with the same result."""
        for ref in {event.ref for event in events if event.ref.kind == TRAINING}:
            found = self._store.get(ref)
            if found is not None and found.status in model.ENDED:
                job = model.read(found)
                self._metrics.replace(job.uid, list(islice(self._points(found, job), _MOST_POINTS)))

    def _points(self, found: Resource, job: Job) -> Iterator[Point]:
        plan = plans.plan(found.ref, job)
        steps: dict[str, int] = {}
        if plan.patterns:
            lines = JobLog(self._logs, found).lines(plan.hosts[0])
            for one in every_value(lines, plan.patterns):
                step = steps[one.name] = steps.get(one.name, -1) + 1
                yield Point(one.name, one.value, one.at, step)


def _of_pipeline(found: Resource, transaction: Transaction) -> JsonObject:
    """Say where the jobs of a pipeline execution belong; nowhere when it is none of one."""
    if found.parent is None or found.parent.kind != "pipeline-execution":
        return {}
    pipeline, _, execution = found.parent.name.partition("/")
    made_by = transaction.get(found.parent)
    named_there = made_by.body["experiment"] if made_by is not None else None
    return {"ExperimentName": pipeline, "TrialName": execution, **(named_there or {})}


def _legal(config: JsonObject, member: str) -> str:
    """Read a name; what a pipeline computes may hold anything."""
    words = re.findall(r"[A-Za-z0-9]+(?:-+[A-Za-z0-9]+)*", str(config.get(member) or ""))
    return "-".join(words)[:_LONGEST_NAME].strip("-")


def _document(found: Resource, job: Job) -> JsonObject:
    writers = {PROCESSING: _processing, TRAINING: _training, TRANSFORM: _transform}
    values, inputs, outputs = writers[found.ref.kind](found.ref, job.request)
    shown = (job.request.get("ExperimentConfig") or {}).get("TrialComponentDisplayName")
    document = {
        "TrialComponentName": component_of(found.ref).name,
        "DisplayName": shown,
        "Status": {"PrimaryStatus": found.status, "Message": job.failure[:_LONGEST_MESSAGE]},
        "StartTime": job.started_at,
        "EndTime": job.ended_at,
        "Parameters": parameters(values),
        "InputArtifacts": dict(_artifacts(inputs)),
        "OutputArtifacts": dict(_artifacts(outputs)),
    }
    return {name: value for name, value in document.items() if value is not None}


def _artifacts(used: dict[str, tuple[str, str]]) -> Iterator[tuple[str, JsonObject]]:
    for name, (uri, media_type) in used.items():
        yield (
            name,
            {"Value": uri[:_LONGEST_VALUE], **({"MediaType": media_type} if media_type else {})},
        )


_Parts = tuple[dict[str, "Value"], dict[str, tuple[str, str]], dict[str, tuple[str, str]]]


def _processing(_: Ref, request: JsonObject) -> _Parts:
    view = requests.processing(request)
    inputs = {"SageMaker.ImageUri": (view.app_specification.image_uri, "")}
    for given in view.processing_inputs:
        if given.s3_input is not None:
            inputs[given.input_name] = (given.s3_input.s3_uri, "")
    outputs = {
        made.output_name: (made.s3_output.s3_uri, "")
        for made in view.processing_output_config.outputs
        if made.s3_output is not None
    }
    resources = request.get("ProcessingResources", {}).get("ClusterConfig", {})
    return _instances(resources), inputs, outputs


def _training(ref: Ref, request: JsonObject) -> _Parts:
    view = requests.training(request)
    values = {name: _value(text) for name, text in view.hyper_parameters.items()}
    inputs = {"SageMaker.ImageUri": (view.algorithm_specification.training_image, "")}
    for channel in view.input_data_config:
        source = channel.data_source.s3_data_source
        if source is not None:
            inputs[channel.channel_name] = (source.s3_uri, channel.content_type)
    outputs = {"SageMaker.ModelArtifact": (training.model_uri(ref, view), "")}
    return {**_instances(request.get("ResourceConfig", {})), **values}, inputs, outputs


def _transform(_: Ref, request: JsonObject) -> _Parts:
    view = requests.transform(request)
    source = view.transform_input.data_source.s3_data_source
    inputs = {"SageMaker.ModelName": (view.model_name, "")}
    if source is not None:
        inputs["SageMaker.TransformInput"] = (source.s3_uri, view.transform_input.content_type)
    outputs = {"SageMaker.TransformOutput": (view.transform_output.s3_output_path, "")}
    return _instances(request.get("TransformResources", {})), inputs, outputs


def _instances(resources: JsonObject) -> dict[str, Value]:
    members = ("InstanceType", "InstanceCount", "VolumeSizeInGB")
    return {f"SageMaker.{name}": resources[name] for name in members if name in resources}


def _value(text: str) -> Any:
    """Read a hyperparameter: a number if it is one, for texts compare otherwise."""
    try:
        number = float(text)
    except ValueError:
        return text
    return number if number - number == 0 else text
