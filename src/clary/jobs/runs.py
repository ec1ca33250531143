"""Driving one job from its creation to its end, from whatever point somebody left it at.

Every stage is written down before it begins, and a stage that was left half done is done again: a
download into a fresh workspace, a running process by looking after it, an upload over itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from clary.jobs import group_rows, model, plans
from clary.jobs.contract import within
from clary.jobs.endings import JobLog, Result, conclude, worst
from clary.jobs.failures import LONGEST
from clary.jobs.inputs import fetch, find, require_space
from clary.jobs.launch import specification, write_files
from clary.jobs.outputs import Uploads
from clary.kernel.clock import now
from clary.kernel.errors import ClaryError, Conflict, Unavailable
from clary.kernel.resource import Event
from clary.lineage.model import of_environment

if TYPE_CHECKING:
    import threading
    from datetime import datetime
    from pathlib import Path

    from clary.jobs.environments import Environments
    from clary.jobs.inputs import Found
    from clary.jobs.model import Job, Stage, Transition
    from clary.jobs.ports import GroupRows, JobRunner, LogStore, ProcessStatus
    from clary.kernel.names import Ref
    from clary.kernel.ports import MetadataStore, ObjectStore, Transaction
    from clary.kernel.resource import Resource
    from clary.lineage.service import Lineage

Environment = Callable[["Ref", str], Mapping[str, str]]
"""Given a job and its role's name, the variables by which its process reaches the platform."""

_LOOK_S = 0.5
_SYNC_S = 2.0
_BRIEF_S = 1.0
_UPLOADING = "Storing what the job made"


@dataclass(frozen=True, slots=True)
class Tools:
    """What a run works with; see ``Jobs``."""

    store: MetadataStore
    objects: ObjectStore
    runner: JobRunner
    logs: LogStore
    lineage: Lineage
    environment: Environment
    environments: Environments
    memory_bytes: int | None
    groups: GroupRows | None = None


class _Interrupted(Exception):
    """The worker stops; somebody goes on later."""


class _StopAsked(Exception):
    """The job is to end before its program has begun."""


class Run:
    """One worker's turn at one job."""

    def __init__(self, tools: Tools, resource: Resource, stopping: threading.Event) -> None:
        self._tools = tools
        self._resource = resource
        self._job = model.read(resource)
        self._plan = plans.plan(resource.ref, self._job)
        if self._job.shared is not None:
            self._plan = within(self._plan, self._job.shared.folder)
        self._stopping = stopping
        self._looked_at = 0.0

    def go(self) -> datetime | None:
        """Work until the job has ended, or the worker stops; returns when to look again."""
        stages = {
            "Starting": self._begin,
            "Downloading": self._begin,
            "Running": self._watch,
            "Uploading": self._conclude,
        }
        try:
            while self._job.stage != "Ended":
                self._give_way()
                stages[self._job.stage]()
        except _Interrupted:
            return now()
        self._discard(self._job.attempt)
        return None

    def _begin(self) -> None:
        """Fetch the inputs into a workspace of a new attempt, and start the program."""
        try:
            self._prepare()
        except _StopAsked:
            self._end(Result("Stopped"))
        except Unavailable as error:
            self._lose(error.message)
        except (ClaryError, OSError) as error:
            self._end(Result("Failed", failure=_download_failure(error)))
        else:
            self._start()

    def _prepare(self) -> None:
        if self._job.shared is not None:  # it was lost; now it gets a process of its own
            self._tools.runner.discard(self._job.shared.process)
            self._plan = plans.plan(self._resource.ref, self._job)
        self._change(
            stage="Downloading",
            secondary=("Downloading", "Fetching the inputs"),
            attempt=self._job.attempt + 1,
            shared=None,
            ingested={},
        )
        for attempt in range(1, self._job.attempt + 1):  # this one's too, after a power failure
            self._discard(attempt)
        self._check()
        group_rows.check(self._tools.groups, self._plan, self._resource.ref)
        found = [
            one
            for source in self._plan.sources
            if (one := find(self._tools.objects, source)) is not None
        ]
        workspaces = self._workspaces()
        require_space(found, len(workspaces), workspaces[0])
        for place, ml in enumerate(workspaces):
            write_files(self._plan, self._plan.hosts[place], ml)
            for one in found:
                share = one.share(place, len(workspaces))
                fetch(self._tools.objects, share, one.source, ml, self._check)
        self._plan, ran = self._tools.environments.prepare(
            self._plan, workspaces, say=self._say, check=self._check
        )
        self._change(
            lambda change: self._record(change, found, ran),
            stage="Running",
            secondary=("Training", f"Running {self._plan.runtime.asked}"),
            ran=ran,
            started_at=now(),
        )

    def _record(self, change: Transaction, found: list[Found], ran: Mapping[str, str]) -> None:
        packages = {name: version for name, version in ran.items() if name != "image"}
        environment = ("environment", of_environment(ran["image"], packages))
        data = [(one.source.name, one.artifact) for one in found if not one.source.code]
        self._tools.lineage.record(
            change,
            self._resource.ref,
            inputs=[*data, environment],
            code=[(one.source.name, one.artifact) for one in found if one.source.code],
        )

    def _start(self) -> None:
        tools = self._tools
        given: Mapping[str, str] = {}
        if self._plan.network:
            role = self._plan.role.rpartition("/")[2]
            given = tools.environment(self._resource.ref, role)
        try:
            for host, ml in zip(self._plan.hosts, self._workspaces(), strict=True):
                specified = specification(
                    self._plan,
                    host,
                    given,
                    process=self._job.process(host),
                    ml=ml,
                    log=self._log(host),
                    memory_bytes=self._memory_bytes,
                )
                tools.runner.start(specified)
        except Unavailable as error:
            self._lose(error.message)
        except (ClaryError, OSError) as error:
            failure = f"InternalServerError: the job cannot be started: {error}"
            self._end(Result("Failed", failure=failure[:LONGEST]))

    def _watch(self) -> None:
        """Look after the running processes until all have ended."""
        runner = self._tools.runner
        uploads = self._uploads()
        began = synced = time.monotonic()
        looked = False
        while True:
            statuses = [runner.status(process) for process in self._processes()]
            known = [status for status in statuses if status is not None]
            if len(known) < len(statuses) or any(one.state == "lost" for one in known):
                self._lose("a process vanished")
                return
            running = [place for place, one in enumerate(known) if one.state == "running"]
            if not running:
                break
            if looked:
                self._stop_if_needed(known)
            looked = True
            self._give_way()
            if time.monotonic() - synced >= _SYNC_S:
                self._sync(uploads)
                synced = time.monotonic()
            runner.wait(self._processes()[running[0]], _LOOK_S)
        ending = worst(self._plan.hosts, known)
        if ending.by == "stop" and not self._stop_asked():
            self._lose("a process was stopped from outside")
            return
        if time.monotonic() - began < _BRIEF_S:  # then its end is all that is worth writing down
            self._conclude(model.changed(self._job, ending=ending))
        else:
            self._change(stage="Uploading", secondary=("Uploading", _UPLOADING), ending=ending)

    def _stop_if_needed(self, statuses: list[ProcessStatus]) -> None:
        """Stop what still runs when somebody asked for it, or when another host has failed."""
        if self._stop_asked() or any(one.state == "exited" and one.exit_code for one in statuses):
            for process, status in zip(self._processes(), statuses, strict=True):
                if status.state == "running":
                    self._tools.runner.stop(process)

    def _sync(self, uploads: Uploads) -> None:
        for target in self._plan.targets:
            if target.continuous:
                uploads.sync(target)

    def _conclude(self, ran: Job | None = None) -> None:
        """Upload, read what the job left to be read, and end it."""
        job = ran or self._job
        uploading = model.Transition("Uploading", now(), _UPLOADING)
        log = JobLog(self._tools.logs, self._resource)
        result = conclude(job, self._plan, self._uploads(), log, self._memory_bytes)
        this = (self._resource.ref, self._job)
        result = group_rows.fill(self._tools.groups, self._plan, this, result, self._ingested)
        self._end(result, entered=[uploading], ending=job.ending)

    def _ingested(self, output: str, rows: int) -> None:
        """Write down how many rows of an output a feature group has."""
        with self._tools.store.begin(durable=False) as change:
            current, job = self._mine(change)
            job = model.changed(job, ingested={**job.ingested, output: rows})
            new = replace(current, body=model.write(job))
            self._resource, self._job = change.update(new), job
        self._give_way()

    def _mine(self, change: Transaction) -> tuple[Resource, Job]:
        """Read the job; Conflict when another worker has gone on with it."""
        current = change.get(self._resource.ref)
        if current is None:
            raise Conflict(f"{self._resource.ref} is gone")
        job, mine = model.read(current), self._job
        if (job.uid, job.attempt, job.stage) != (mine.uid, mine.attempt, mine.stage):
            raise Conflict(f"{self._resource.ref} is worked on by somebody else")
        return current, job

    def _lose(self, why: str) -> None:
        """Begin again after the processes vanished, but not for ever."""
        losses = self._job.losses + 1
        if losses >= model.MOST_LOSSES:
            reason = f"InternalServerError: {why}, {losses} times"
            self._end(Result("Failed", failure=reason))
            return
        self._change(stage="Starting", losses=losses)

    def _end(
        self, result: Result, *, entered: Sequence[Transition] = (), **members: object
    ) -> None:
        ref = self._resource.ref

        def finish(change: Transaction) -> None:
            self._tools.lineage.record(change, ref, outputs=result.outputs)
            if self._resource.parent is not None:
                change.wake(self._resource.parent)

        self._change(
            finish,
            stage="Ended",
            status=result.status,
            entered=entered,
            secondary=(result.secondary or result.status, result.failure),
            failure=result.failure,
            exit_message=result.exit_message,
            metrics=result.metrics,
            kept=dict(result.kept),
            **members,
        )

    def _change(
        self,
        also: Callable[[Transaction], None] | None = None,
        *,
        stage: Stage,
        status: str = "",
        entered: Sequence[Transition] = (),
        secondary: tuple[str, str] | None = None,
        **members: object,
    ) -> None:
        """Write the job's progress; Conflict when another worker has gone on with it.

        Only the end must outlast a power failure: no process of the job does, so that a stage
        undone by it would have to be done again anyway.
        """
        moment = now()
        if stage == "Ended":
            members["ended_at"] = moment
        with self._tools.store.begin(durable=stage == "Ended") as change:
            current, job = self._mine(change)
            if status == "Completed" and current.status == "Stopping":
                status, secondary = "Stopped", ("Stopped", "")
            job = model.changed(job, stage=stage, **members)
            for one in entered:
                job = job.entering(one.status, one.at, one.message)
            if secondary is not None:
                job = job.entering(secondary[0], moment, secondary[1])
            new = replace(current, status=status or current.status, body=model.write(job))
            self._resource, self._job = change.update(new), job
            if also is not None:
                also(change)
            change.append(self._event(status))

    def _event(self, status: str) -> Event:
        ref = self._resource.ref
        action = status.lower() or "advanced"
        detail: dict[str, object] = {"attempt": self._job.attempt, "stage": self._job.stage}
        if self._job.failure:
            detail["reason"] = self._job.failure
        return Event(now(), self._job.actor, f"{ref.kind}.{action}", ref, detail)

    def _check(self) -> None:
        """Give up a download when the worker stops or the job is stopped."""
        self._give_way()
        if time.monotonic() - self._looked_at > _LOOK_S:
            self._looked_at = time.monotonic()
            if self._stop_asked():
                raise _StopAsked

    def _stop_asked(self) -> bool:
        current = self._tools.store.get(self._resource.ref)
        return current is not None and current.status == "Stopping"

    def _give_way(self) -> None:
        if self._stopping.is_set():
            raise _Interrupted

    @property
    def _memory_bytes(self) -> int | None:
        """The stricter of the server's limit and the instance's."""
        limits = (self._tools.memory_bytes, self._plan.instance.memory_bytes)
        return min((limit for limit in limits if limit is not None), default=None)

    def _uploads(self) -> Uploads:
        return Uploads(self._tools.objects, self._workspaces(), self._give_way)

    def _processes(self) -> list[str]:
        return [self._job.process(host) for host in self._plan.hosts]

    def _workspaces(self) -> list[Path]:
        return [self._tools.runner.workspace(process) for process in self._processes()]

    def _log(self, host: str) -> Path:
        ref = self._resource.ref
        name = model.stream(self._resource, host)
        return self._tools.logs.path(ref.account, ref.region, model.LOG_GROUPS[ref.kind], name)

    def _say(self, text: str) -> None:
        """Write a line of the first host's log."""
        line = f"{int(now().timestamp() * 1000)} {' '.join(text.split())}\n"
        with self._log(self._plan.hosts[0]).open("ab") as log:
            log.write(line.encode())

    def _discard(self, attempt: int) -> None:
        old = model.changed(self._job, attempt=attempt)
        for host in self._plan.hosts:
            self._tools.runner.discard(old.process(host))


def _download_failure(error: ClaryError | OSError) -> str:
    text = error.message if isinstance(error, ClaryError) else str(error)
    return f"ClientError: {text}"[:LONGEST]
