"""What a job is: its kinds, its stages and what is written down about it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from clary.kernel.codec import build, plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clary.kernel.ports import JsonObject
    from clary.kernel.resource import Resource

PROCESSING = "processing-job"
TRAINING = "training-job"
TRANSFORM = "transform-job"
KINDS = (PROCESSING, TRAINING, TRANSFORM)
LOG_GROUPS = {
    PROCESSING: "/aws/sagemaker/ProcessingJobs",
    TRAINING: "/aws/sagemaker/TrainingJobs",
    TRANSFORM: "/aws/sagemaker/TransformJobs",
}

Status = Literal["InProgress", "Stopping", "Completed", "Failed", "Stopped"]
Stage = Literal["Starting", "Downloading", "Running", "Uploading", "Ended"]
ENDED = frozenset({"Completed", "Failed", "Stopped"})
MOST_LOSSES = 3
"""So many times a job's processes may vanish (power failure, kill) before the job has failed."""


class Transition(msgspec.Struct, frozen=True):
    """A secondary status and since when it holds."""

    status: str
    at: datetime
    message: str = ""


class Metric(msgspec.Struct, frozen=True):
    """The last value of a training metric."""

    name: str
    value: float
    at: datetime


class Ending(msgspec.Struct, frozen=True):
    """How a job's processes ended: the worst of its hosts, and what ended that."""

    exit_code: int
    by: Literal["itself", "stop", "timeout", "memory"] = "itself"
    host: str = "algo-1"

    @property
    def succeeded(self) -> bool:
        """Whether the program ended by itself and well."""
        return self.exit_code == 0 and self.by == "itself"


class Shared(msgspec.Struct, frozen=True):
    """A process that a job did not begin: its id, and the job's folder in its ``/opt/ml``."""

    process: str
    folder: str


class Job(msgspec.Struct, frozen=True, omit_defaults=True):
    """The body of a job's resource.

    Parameters
    ----------
    request
        The public create document, verbatim.
    actor
        Who asked for it.
    uid
        Random; tells apart the processes of jobs that had the same name.
    stage
        How far the work is. A stage is done again by whoever takes over.
    attempt
        Counts workspaces: the processes of another attempt are never looked at again.
    losses
        How often processes vanished.
    containers
        What a transform job's model consists of, as it was when the job was created.
    keep
        Files whose text is stored with the job: name → (output name, path below the output).
    kept
        Those texts.
    ran
        The environment that was used: interpreter and package versions.
    shared
        The sandbox whose process it goes on in, if that is one it shared with other steps.
    ingested
        By output, how many of its rows the feature group has that this attempt made.
    """

    request: dict[str, Any]
    actor: str
    uid: str
    stage: Stage = "Starting"
    attempt: int = 0
    losses: int = 0
    containers: tuple[dict[str, Any], ...] = ()
    keep: dict[str, tuple[str, str]] = {}
    kept: dict[str, str] = {}
    ran: dict[str, str] = {}
    transitions: tuple[Transition, ...] = ()
    metrics: tuple[Metric, ...] = ()
    started_at: datetime | None = None
    ended_at: datetime | None = None
    ending: Ending | None = None
    failure: str = ""
    exit_message: str = ""
    stop_asked: bool = False
    shared: Shared | None = None
    ingested: dict[str, int] = {}

    @property
    def secondary(self) -> str:
        """The secondary status now."""
        return self.transitions[-1].status if self.transitions else "Starting"

    def process(self, host: str) -> str:
        """Name the process of one host of the present attempt."""
        if self.shared is not None:
            return self.shared.process
        return f"{self.uid}-{self.attempt}-{host}"

    def entering(self, status: str, at: datetime, message: str = "") -> Job:
        """Return the job in another secondary status; a job that is stopped starts nothing new."""
        late = self.secondary == "Stopping" and status in {"Downloading", "Training"}
        if late or (self.transitions and self.transitions[-1].status == status):
            return self
        return changed(self, transitions=(*self.transitions, Transition(status, at, message)))


def read(resource: Resource) -> Job:
    """Read a job's body."""
    return build(Job, resource.body)


def write(job: Job) -> JsonObject:
    """Write a job's body."""
    document: JsonObject = plain(job)
    return document


def changed(job: Job, **members: Any) -> Job:
    """Return ``job`` with some members replaced."""
    return msgspec.structs.replace(job, **members)


@dataclass(frozen=True, slots=True)
class Streams:
    """Where the logs of a job are."""

    group: str
    names: Sequence[str]


def stream(resource: Resource, host: str) -> str:
    """Name the log stream of one host."""
    return f"{resource.ref.name}/{host}-{int(resource.created_at.timestamp())}"


def hosts(count: int) -> tuple[str, ...]:
    """Name a job's hosts, sorted as the containers expect them.

    Examples
    --------
    >>> hosts(2)
    ('algo-1', 'algo-2')
    """
    return tuple(sorted(f"algo-{number}" for number in range(1, count + 1)))
