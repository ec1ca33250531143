"""A started pipeline: how far it is, what came of it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from clary.doors.python.progress import watching
from clary.doors.python.results import fetch, outputs, read
from clary.jobs.model import KINDS
from clary.kernel.errors import InvalidInput, JobFailed, NotFound, Unavailable
from clary.kernel.names import parse_arn
from clary.pipelines.model import parse

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime
    from pathlib import Path

    from clary.doors.python.session import Session
    from clary.kernel.names import Ref
    from clary.kernel.ports import JsonObject

_GOING_ON = ("Executing", "Stopping")
_PAUSE_S, _LONGEST_PAUSE_S = 0.005, 0.1
"""How often whoever waits looks: often at first, because most executions are short or long."""
_SHOW_S = 0.1
_TAIL = 30


@dataclass(frozen=True, slots=True)
class StepRun:
    """A step of an execution, as it was when it was asked for.

    Parameters
    ----------
    status
        NotStarted, Starting, Executing, Succeeded, Failed, Stopping or Stopped.
    reason
        Why it failed.
    made
        ARN of the job or the like that it made; empty for a condition.
    outcome
        What a condition decided, ``True`` or ``False``, and what a failing step says.
    cached
        Whether the result is one of an earlier execution.
    attempts
        How often it was tried.
    """

    execution: Execution
    name: str
    status: str
    reason: str = ""
    started_at: datetime | None = None
    ended_at: datetime | None = None
    made: str = ""
    outcome: str = ""
    cached: bool = False
    attempts: int = 0

    def result(self, name: str = "", *, unpickle: bool = False) -> Any:
        """Return what the step returned: all of it, or one of several results by name.

        A file is copied into a folder of its own, which is removed when this process ends, and its
        path returned; ``download`` copies to where it stays.

        Parameters
        ----------
        unpickle
            Load a pickled model in this process, outside of any sandbox.

        Raises
        ------
        Unavailable
            The step has not succeeded.
        InvalidInput
            There is no such result, or it is a pickle and ``unpickle`` is False.
        """
        return read(self._job(), name, self._session, unpickle=unpickle)

    @property
    def outputs(self) -> Mapping[str, str]:
        """The S3 URIs of its results, by name; those of a step that has succeeded."""
        return outputs(self._job())

    def download(self, folder: str | Path) -> Path:
        """Copy all that the step stored into a folder, by results; returns the folder."""
        return fetch(self._job(), folder, self._session)

    def logs(self) -> list[str]:
        """Return the lines that the step's job printed; none when it ran no job."""
        if not self.made:
            return []
        ref = parse_arn(self.made)
        if ref.kind not in KINDS:
            return []
        platform = self._session.platform
        found = platform.jobs.streams(ref)
        lines: list[str] = []
        for stream in found.names:
            lines += _lines(self._session, ref, found.group, stream)
        return lines

    @property
    def _session(self) -> Session:
        return self.execution.session

    def _job(self) -> JsonObject:
        """Describe the job whose results are the step's."""
        if self.status != "Succeeded":
            hint = self.reason or "wait() for the execution"
            raise Unavailable(f"step {self.name} is {self.status} and has no result", hint=hint)
        return self.execution.properties(self.name)


def _lines(session: Session, ref: Ref, group: str, stream: str) -> Iterator[str]:
    after = 0
    logs = session.platform.logs
    while True:
        try:
            page = logs.read(ref.account, ref.region, group, stream, after=after)
        except NotFound:
            return
        if not page.lines:
            return
        yield from (line.text for line in page.lines)
        after = page.end


class Execution:
    """A started pipeline; ``execution["train"]`` is its step of that name."""

    def __init__(self, session: Session, ref: Ref) -> None:
        self.session = session
        self.ref = ref

    @property
    def id(self) -> str:
        """Its id, unique for the pipeline."""
        return self.ref.name.rpartition("/")[2]

    @property
    def status(self) -> str:
        """Executing, Stopping, Succeeded, Failed or Stopped."""
        return str(self.describe()["PipelineExecutionStatus"])

    @property
    def reason(self) -> str:
        """Why it failed; empty otherwise."""
        return str(self.describe().get("FailureReason", ""))

    @property
    def parameters(self) -> Mapping[str, str]:
        """The values of its parameters, defaults included, as texts."""
        found = self.session.platform.pipelines.parameters(self.ref)
        return {one["Name"]: one["Value"] for one in found}

    @property
    def steps(self) -> Mapping[str, StepRun]:
        """Its steps by name, in the order of the definition; those that did not start too."""
        pipelines = self.session.platform.pipelines
        started = {one["StepName"]: one for one in pipelines.steps(self.ref)}
        return {name: self._step(name, started.get(name)) for name in self._names}

    @cached_property
    def _names(self) -> list[str]:
        """The names of its steps; the definition of a started execution does not change."""
        found = self.session.platform.pipelines.definition(self.ref)
        return list(parse(found.body["definition"]).steps)

    def __getitem__(self, name: str) -> StepRun:
        """Return a step; InvalidInput when the pipeline has none of this name."""
        steps = self.steps
        if name not in steps:
            raise InvalidInput(f"step {name}", f"{self} has none", legal=", ".join(steps))
        return steps[name]

    def describe(self) -> JsonObject:
        """Return the DescribePipelineExecution document."""
        return self.session.platform.pipelines.describe_execution(self.ref)

    def properties(self, step: str) -> JsonObject:
        """Return what a started step is described by."""
        ref = self.ref.sibling("pipeline-step", f"{self.ref.name}/{step}")
        found = self.session.platform.store.get(ref)
        if found is None:
            raise NotFound(ref)
        properties: JsonObject = found.body["properties"]
        return properties

    def wait(self, timeout_s: float | None = None, *, show: bool | None = None) -> Execution:
        """Wait until it has ended, and show how it goes.

        Parameters
        ----------
        timeout_s
            Give up after this; None: never.
        show
            True: also where the output is no terminal, a line a change; False: nothing; None:
            in a terminal or a notebook.

        Raises
        ------
        JobFailed
            It failed or was stopped; the failed step's last lines are in ``log_tail``.
        Unavailable
            It has not ended in time.
        """
        self.session.work()
        until = None if timeout_s is None else time.monotonic() + timeout_s
        with watching(self, show=show) as look:
            looked, pause_s = 0.0, _PAUSE_S
            while self.status in _GOING_ON:
                if time.monotonic() - looked >= _SHOW_S:
                    look()
                    looked = time.monotonic()
                if until is not None and time.monotonic() > until:
                    raise Unavailable(f"{self.ref} has not ended after {timeout_s} s")
                time.sleep(pause_s)
                pause_s = min(pause_s * 1.03, _LONGEST_PAUSE_S)
            look()
        if self.status != "Succeeded":
            raise self._failure()
        return self

    def stop(self) -> None:
        """Ask it to stop; Conflict when it has ended."""
        self.session.platform.pipelines.stop(self.ref, actor=self.session.actor)

    def retry(self) -> Execution:
        """Let it go on after it failed or was stopped; what succeeded stays.

        Raises
        ------
        Conflict
            It is going on, or has succeeded.
        """
        self.session.work()
        self.session.platform.pipelines.retry(self.ref, {}, actor=self.session.actor)
        return self

    def _failure(self) -> JobFailed:
        failed = [one for one in self.steps.values() if one.status == "Failed"]
        tail = "\n".join(failed[0].logs()[-_TAIL:]) if failed else ""
        error = JobFailed(self.ref, self.reason or f"it was {self.status.lower()}", log_tail=tail)
        if tail:
            error.add_note(f"step {failed[0].name} printed last:\n{tail}")
        return error

    def _step(self, name: str, found: JsonObject | None) -> StepRun:
        if found is None:
            return StepRun(self, name, "NotStarted")
        made: JsonObject = next(iter((found.get("Metadata") or {}).values()), {})
        return StepRun(
            self,
            name,
            found["StepStatus"],
            found.get("FailureReason", ""),
            found.get("StartTime"),
            found.get("EndTime"),
            made.get("Arn", ""),
            str(made.get("Outcome") or made.get("ErrorMessage") or ""),
            cached="CacheHitResult" in found,
            attempts=found.get("AttemptCount", 1),
        )

    def __repr__(self) -> str:
        return f"{self.ref}: {self.status}"
