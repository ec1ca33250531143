"""The port by which a slice offers a kind of pipeline step; the engine knows no kinds."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from clary.kernel.clock import now

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from clary.kernel.names import Ref
    from clary.kernel.ports import Transaction


def job_name(execution: Ref, step: str, attempt: int = 0) -> str:
    """Name what a step makes: legal for jobs and models, the same whoever starts the attempt.

    ``Execution.TrainingJobName`` and ``Execution.ProcessingJobName`` read it too, before the job
    exists. ``attempt`` counts the retries that the step's policies allowed; 0 is the first try.

    Examples
    --------
    >>> from clary.kernel.names import Ref
    >>> execution = Ref("123456789012", "us-east-1", "pipeline-execution", "abalone/4r83jejmhorv")
    >>> job_name(execution, "Abalone_Train")
    'pipelines-4r83jejmhorv-Abalone-Train-6fdee99b00'
    """
    made_by = execution.name.partition("/")[2]
    whole = f"{execution.name}/{step}" + (f"/{attempt}" if attempt else "")
    suffix = hashlib.sha256(whole.encode()).hexdigest()[:10]
    return f"pipelines-{made_by}-{step.replace('_', '-')[:29]}-{suffix}"


@dataclass(frozen=True, slots=True)
class StepRun:
    """What a step kind is given to start one step.

    Parameters
    ----------
    execution
        The pipeline execution it belongs to.
    step
        The step's own document from the definition: Name, Type, Arguments, PropertyFiles, … What
        is beside its Arguments has every expression resolved, once it is to start.
    arguments
        ``step["Arguments"]`` with every expression resolved.
    actor
        Who started the execution, for the journal.
    attempt
        0 at first; counts the retries that the step's policies allowed.
    experiment
        The execution's ``ExperimentName`` and ``TrialName``, if it has them.
    """

    execution: Ref
    step: Mapping[str, Any]
    arguments: Mapping[str, Any]
    actor: str
    attempt: int = 0
    experiment: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What this attempt makes is named so."""
        return job_name(self.execution, self.step["Name"], self.attempt)


@dataclass(frozen=True, slots=True)
class StepResult:
    """How far a step is, and what later steps can refer to.

    Parameters
    ----------
    status
        ``Executing`` is polled again when ``job`` has changed and its execution was woken.
    job
        The resource whose changes say how far the step is.
    properties
        What ``Steps.<name>.<path>`` reads: the public describe document of what was made.
    files
        Property files by name, as text: this execution's own copies.
    metadata
        The step's ``Metadata`` member in ListPipelineExecutionSteps.
    branch
        The list of child steps to run (``IfSteps`` or ``ElseSteps``); the other is skipped.
    reason
        Why it failed.
    error
        The sort of failure, as RetryPolicies name it (``SageMaker.JOB_INTERNAL_ERROR``); empty
        when trying again would not help.
    """

    status: Literal["Executing", "Succeeded", "Failed", "Stopped"]
    job: Ref | None = None
    properties: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    branch: str = ""
    reason: str = ""
    error: str = ""


class StepKind(Protocol):
    """One kind of step.

    ``start`` writes only through its transaction, so that a step is started exactly once,
    whatever dies when.
    """

    def check(self, step: Mapping[str, Any]) -> None:
        """Refuse a step document that can never run; InvalidInput names the member in it."""

    def key(self, run: StepRun) -> Mapping[str, Any] | None:
        """Name everything that the step's result depends on; None when it is never reused.

        Equal keys mean equal results: arguments without what only names outputs, digests of the
        content that is read, the code, the environment. Values are plain JSON, so that two keys
        can be compared part by part.
        """

    def start(self, run: StepRun, transaction: Transaction) -> StepResult:
        """Begin (or do) the step's work, in the same transaction that marks it as started."""

    def poll(self, job: Ref) -> StepResult:
        """Say how far a started step is."""

    def stop(self, job: Ref) -> None:
        """Ask a started step to stop; idempotent."""

    def made(self, job: Ref) -> Mapping[str, str]:
        """Name what a succeeded step's result refers to: digests by S3 URI.

        The result is reused only while all of it is what it was. A URI that ends with a slash
        stands for the tree below it, any other for an object.
        """


@dataclass(frozen=True, slots=True)
class Done:
    """What hands have to say of a step that they took.

    Parameters
    ----------
    run
        The step, as it was given to them.
    result
        How far it is. Executing: it takes long, and goes on by itself from here; None: it came to
        nothing, and is to be started as if it had never been taken.
    began_at
        When it was taken.
    made
        As ``StepKind.made``, of a step that has succeeded.
    record
        Writes what the step made, in the transaction that records the step.
    ended_at
        When it ended.
    """

    run: StepRun
    result: StepResult | None
    began_at: datetime
    made: Mapping[str, str] = field(default_factory=dict)
    record: Callable[[Transaction], None] = lambda _: None
    ended_at: datetime = field(default_factory=now)


class Hands(Protocol):
    """Does the quick steps of one execution in the process that holds it.

    Nothing of such a step is written down before it has ended, so that a process that dies loses
    what it was doing, and another does it again.
    """

    @property
    def names(self) -> Sequence[str]:
        """What may be left behind if this process dies, for ``Crew.clear``."""

    @property
    def is_busy(self) -> bool:
        """Whether steps were taken that ``wait`` has not told of."""

    def take(self, run: StepRun) -> bool:
        """Begin a step, or say that it is not for hands."""

    def wait(self, timeout_s: float) -> Sequence[Done]:
        """Return the steps that have ended, as soon as there are any, or after ``timeout_s``."""

    def close(self) -> None:
        """Give up what is under way and clear up."""


class Crew(Protocol):
    """Gives each execution its hands."""

    def hands(self, execution: Ref, keep: Callable[[Sequence[str]], None]) -> Hands:
        """Give an execution hands; ``keep`` is told of ``names`` before anything lies there."""

    def clear(self, names: Sequence[str]) -> None:
        """Clear up what hands have left behind that nobody holds any more."""


class NoHands:
    """Implements ``Crew`` and ``Hands``: every step is started the ordinary way."""

    names: Sequence[str] = ()
    is_busy = False

    def hands(self, execution: Ref, keep: Callable[[Sequence[str]], None]) -> Hands:  # noqa: ARG002 - port
        """Give no hands."""
        return self

    def clear(self, names: Sequence[str]) -> None:
        """Nothing was left."""

    def take(self, run: StepRun) -> bool:  # noqa: ARG002 - port
        """Take nothing."""
        return False

    def wait(self, timeout_s: float) -> Sequence[Done]:  # noqa: ARG002 - port
        """Nothing ends."""
        return ()

    def close(self) -> None:
        """Nothing is under way."""


class ImmediateStep:
    """The part of a ``StepKind`` whose ``start`` does all of the work, at every execution."""

    def key(self, run: StepRun) -> Mapping[str, Any] | None:  # noqa: ARG002 - port
        """Say that its result is never reused."""
        return None

    def poll(self, job: Ref) -> StepResult:
        """Refuse: nothing is left running."""
        raise TypeError(f"{type(self).__name__} leaves nothing running, and so not {job}")

    def stop(self, job: Ref) -> None:
        """Refuse: nothing is left running."""
        raise TypeError(f"{type(self).__name__} leaves nothing running, and so not {job}")

    def made(self, job: Ref) -> Mapping[str, str]:  # noqa: ARG002 - port
        """Say that its result refers to nothing that could change."""
        return {}
