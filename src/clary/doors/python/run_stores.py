"""Where a run is written to: the home of this process's session, or the endpoint of a job."""

from __future__ import annotations

import contextlib
import functools
import importlib
import json
import math
import os
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from clary.experiments import model
from clary.experiments.jobs import component_of
from clary.experiments.model import COMPONENT, EXPERIMENT, RUN_TAG
from clary.kernel.clock import now
from clary.kernel.errors import AlreadyExists, InvalidInput, NotFound
from clary.kernel.names import Ref, arn, parse_arn

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from clary.doors.python.session import Session
    from clary.experiments.model import Run, Value
    from clary.experiments.ports import Point

_SESSION = "clary.doors.python.session"
"""Imported outside jobs only: it opens a home."""
_PLUGIN = "clary=clary_client"
_PROCESSING = (
    Path(os.environ.get("SAGEMAKER_BASE_DIR") or "/opt/ml") / "config" / "processingjobconfig.json"
)
_POINTS_A_CALL = 10
_PATIENCE_S = 20.0
"""How long a job waits for the component that is made for it."""


class RunStore(Protocol):
    """Writes one run."""

    def begin(self, experiment: str, name: str) -> None:
        """Begin the run, or go on with it."""

    def log(
        self,
        parameters: Mapping[str, Value],
        points: Sequence[Point],
        tags: Mapping[str, str],
        outputs: Mapping[str, str],
    ) -> None:
        """Add to it."""

    def upload(self, name: str, data: bytes, media_type: str) -> str:
        """Store a file of it; returns its URI."""

    def end(self, status: str, message: str) -> None:
        """Say how it has ended."""


def store(experiment: str) -> RunStore:
    """Choose where a run is written to; without an experiment it is the run of this job.

    Raises
    ------
    InvalidInput
        There is no experiment, and no job either.
    """
    job = _job() if is_led() else None
    if not experiment and job is None:
        raise InvalidInput("experiment", "missing", legal="a name; none in a job, whose run it is")
    if is_led():
        return EndpointRun(None if experiment else job)
    return HomeRun(session())


def session() -> Session:
    """Return this process's session."""
    found: Session = importlib.import_module(_SESSION).session()
    return found


def is_led() -> bool:
    """Say whether the environment leads AWS clients to a platform, as a job's does."""
    return _PLUGIN in os.environ.get("BOTOCORE_EXPERIMENTAL__PLUGINS", "")


def _job() -> Ref | None:
    for name in ("TRAINING_JOB_ARN", "TRANSFORM_JOB_ARN"):
        if found := os.environ.get(name):
            return parse_arn(found, field=name)
    with contextlib.suppress(FileNotFoundError):
        document = json.loads(_PROCESSING.read_bytes())
        return parse_arn(document["ProcessingJobArn"], field=str(_PROCESSING))
    return None


def _uri(bucket: str, key: str) -> str:
    return f"s3://{bucket}/{key}"


class HomeRun:
    """Writes to a session's home, without a server."""

    def __init__(self, opened: Session) -> None:
        self._session = opened
        self._runs = opened.platform.experiments.runs
        self._ref = opened.ref(COMPONENT, "")

    def begin(self, experiment: str, name: str) -> None:
        """Begin the run, or go on with it."""
        actor = self._session.actor
        self._ref = model.named(self._ref, COMPONENT, f"{experiment}-{name}")
        try:
            self._runs.begin(self._ref, experiment, self._ref.name, actor=actor, display_name=name)
        except AlreadyExists:
            self._runs.end(self._ref, "InProgress", actor=actor)

    def log(
        self,
        parameters: Mapping[str, Value],
        points: Sequence[Point],
        tags: Mapping[str, str],
        outputs: Mapping[str, str],
    ) -> None:
        """Add to it."""
        self._runs.log(
            self._ref,
            actor=self._session.actor,
            parameters=parameters,
            points=points,
            tags=dict(tags),
            outputs=outputs,
        )

    def upload(self, name: str, data: bytes, media_type: str) -> str:
        """Store a file of it."""
        bucket, prefix = self._runs.artifacts(self._ref)
        objects = self._session.platform.objects
        objects.put(bucket, prefix + name, [data], headers={"content-type": media_type})
        return _uri(bucket, prefix + name)

    def end(self, status: str, message: str) -> None:
        """Say how it has ended."""
        self._runs.end(self._ref, status, actor=self._session.actor, message=message)


class EndpointRun:
    """Writes through the AWS API, from a job.

    Parameters
    ----------
    job
        The job whose own run it is; its status is not touched.
    """

    def __init__(self, job: Ref | None) -> None:
        self._job = job
        self._name = ""

    def begin(self, experiment: str, name: str) -> None:
        """Begin the run, or go on with it."""
        if self._job is not None:
            self._name = component_of(self._job).name
            self._await_component()
            return
        self._name = f"{experiment}-{name}".lower()
        sagemaker, trial = _client("sagemaker"), f"Default-Run-Group-{experiment}"[:120]
        with _existing():
            sagemaker.create_experiment(ExperimentName=experiment)
        with _existing():
            sagemaker.create_trial(TrialName=trial, ExperimentName=experiment)
        tag = {"Key": RUN_TAG[0], "Value": RUN_TAG[1]}
        with _existing():
            sagemaker.create_trial_component(
                TrialComponentName=self._name, DisplayName=name, StartTime=now(), Tags=[tag]
            )
        sagemaker.associate_trial_component(TrialComponentName=self._name, TrialName=trial)
        self._update(Status={"PrimaryStatus": "InProgress"})

    def _await_component(self) -> None:
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            try:
                _client("sagemaker").describe_trial_component(TrialComponentName=self._name)
            except _client("sagemaker").exceptions.ResourceNotFound:
                if time.monotonic() > deadline:
                    raise NotFound(self._name) from None
                time.sleep(0.1)
            else:
                return

    def _update(self, **change: Any) -> None:
        _client("sagemaker").update_trial_component(TrialComponentName=self._name, **change)

    def log(
        self,
        parameters: Mapping[str, Value],
        points: Sequence[Point],
        tags: Mapping[str, str],
        outputs: Mapping[str, str],
    ) -> None:
        """Add to it; points come last, since what fails before them is done again."""
        if parameters or outputs:
            self._update(
                Parameters=model.parameters(parameters),
                OutputArtifacts={name: {"Value": uri} for name, uri in outputs.items()},
            )
        if tags:
            listed = [{"Key": key, "Value": value} for key, value in tags.items()]
            _client("sagemaker").add_tags(ResourceArn=arn(self._ref()), Tags=listed)
        for start in range(0, len(points), _POINTS_A_CALL):
            self._put(points[start : start + _POINTS_A_CALL])

    def _put(self, points: Sequence[Point]) -> None:
        data = [
            {
                "MetricName": point.name,
                "Value": point.value,
                "Timestamp": point.at,
                **({} if point.step is None else {"Step": point.step}),
            }
            for point in points
        ]
        answer = _client("sagemaker-metrics").batch_put_metrics(
            TrialComponentName=self._name, MetricData=data
        )
        for error in answer.get("Errors", ()):
            point = points[error["MetricIndex"]]
            problem = f"{point.value} at step {point.step} was not kept: {error['Code']}"
            if math.isfinite(point.value):
                raise InvalidInput(point.name, problem)
            warnings.warn(f"{point.name}: {problem}", stacklevel=2)  # work that diverges goes on

    def _ref(self) -> Ref:
        account = _client("sts").get_caller_identity()["Account"]
        region: str = _client("sagemaker").meta.region_name
        return Ref(account, region, COMPONENT, self._name)

    def upload(self, name: str, data: bytes, media_type: str) -> str:
        """Store a file of it."""
        ref, s3 = self._ref(), _client("s3")
        bucket = f"sagemaker-{ref.region}-{ref.account}"
        key = f"trial-component-artifacts/{self._name}/{name}"
        with contextlib.suppress(s3.exceptions.BucketAlreadyOwnedByYou):
            s3.create_bucket(Bucket=bucket)
        s3.put_object(Bucket=bucket, Key=key, Body=data, ContentType=media_type)
        return _uri(bucket, key)

    def end(self, status: str, message: str) -> None:
        """Say how it has ended."""
        if self._job is None:
            words = {"PrimaryStatus": status, **({"Message": message[:1024]} if message else {})}
            self._update(Status=words, EndTime=now())


@functools.cache
def _client(service: str) -> Any:
    import botocore.session  # noqa: PLC0415 - runs in a session need none

    return botocore.session.get_session().create_client(service)


@contextlib.contextmanager
def _existing() -> Iterator[None]:
    """Pass over that something exists already."""
    import botocore.exceptions  # noqa: PLC0415 - as above

    try:
        yield
    except botocore.exceptions.ClientError as error:
        if "already exists" not in str(error):
            raise


def find(experiment: str) -> list[Run]:
    """List the runs of an experiment of the session's home, the newest first."""
    opened = session()
    ref = model.named(opened.ref(EXPERIMENT, ""), EXPERIMENT, experiment)
    opened.platform.experiments.get(ref)
    return list(opened.platform.experiments.runs.of([ref]))
