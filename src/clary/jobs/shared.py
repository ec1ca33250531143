"""A step that shares a sandbox: what is sent there before it, and the job that comes of it."""

from __future__ import annotations

import marshal
import posixpath
import secrets
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clary.jobs import keys, model, plans
from clary.jobs.contract import ROOT, within
from clary.jobs.endings import JobLog, conclude
from clary.jobs.hosting import MOST_BYTES
from clary.jobs.inputs import find, listed
from clary.jobs.instances import Instance
from clary.jobs.launch import configuration, specification
from clary.jobs.model import PROCESSING, Ending
from clary.jobs.outputs import Uploads
from clary.jobs.requests import DAY_S
from clary.jobs.steps import draft, ended, metadata
from clary.jobs.trees import File, Tree
from clary.kernel.clock import now
from clary.kernel.errors import ClaryError
from clary.kernel.resource import Event, Resource
from clary.kernel.steps import Done, StepResult
from clary.lineage.model import of_environment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from clary.jobs.contract import Plan, Source
    from clary.jobs.hosting import Host, Reply
    from clary.jobs.inputs import Found
    from clary.jobs.model import Job
    from clary.jobs.runs import Tools
    from clary.jobs.steps import Draft
    from clary.kernel.ports import Transaction
    from clary.kernel.resource import ObjectInfo
    from clary.kernel.steps import StepRun

SHARE = ("CLARY_PROCESS", "shared")
"""The variable by which a job says that it may run where others of its execution run."""
_ARCHIVE = "sourcedir.tar.gz"
_KILLED = 128 + 9


@dataclass(slots=True)
class Known:
    """What one execution's hands have seen already: code by URI, and what its steps made."""

    codes: dict[str, tuple[Found, str, dict[str, bytes]]] = field(default_factory=dict)
    made: dict[str, Sequence[ObjectInfo]] = field(default_factory=dict)
    environments: dict[str, Mapping[str, str] | None] = field(default_factory=dict)


@dataclass(slots=True)
class Task:
    """One step on its way.

    Parameters
    ----------
    packet, code
        What its host is sent; see ``hosting.Host.run``.
    number
        Its folder in the host's ``/opt/ml``.
    since
        When it was sent, by the monotonic clock.
    """

    tools: Tools
    known: Known
    run: StepRun
    draft: Draft
    plan: Plan
    inputs: Sequence[Found]
    ran: Mapping[str, str]
    packet: dict[str, Any]
    code: tuple[str, Mapping[str, bytes]]
    number: str
    began_at: datetime
    uid: str = field(default_factory=lambda: secrets.token_hex(8))
    since: float = 0.0
    started_at: datetime | None = None

    def send(self, host: Host) -> None:
        """Have a host run it. Raises HostLostError."""
        self.since, self.started_at = time.monotonic(), now()
        host.run(self.packet, self.code)

    def lost(self) -> Done:
        """Give it back."""
        return Done(self.run, None, self.began_at)

    def end(self, host: Host, reply: Reply) -> Done:
        """Store what it made, and say how it ended."""
        if reply.code == _KILLED:  # by whom, a process of its own will tell
            return self.lost()
        tools, plan = self.tools, self.plan
        if reply.files is None:
            plan = within(plan, self.number)
        self._keep_log(host, reply)
        uploads = Uploads(tools.objects, [host.ml], lambda: None, reply.files)
        job = model.changed(self._job(), stage="Ended", ending=Ending(reply.code))
        log = JobLog(tools.logs, self._resource(job, "InProgress"))
        result = conclude(job, plan, uploads, log, tools.memory_bytes)
        host.stored.append(self.number)
        self._remember(uploads)
        moment = now()
        job = model.changed(
            job,
            failure=result.failure,
            exit_message=result.exit_message,
            kept=dict(result.kept),
            ended_at=moment,
        ).entering(result.status, moment, result.failure)
        resource = replace(self._resource(job, result.status), modified_at=moment)
        detail = {"attempt": 1, "stage": "Ended"}
        if result.failure:
            detail["reason"] = result.failure
        word = f"{PROCESSING}.{result.status.lower()}"
        event = Event(moment, self.run.actor, word, resource.ref, detail)

        def record(change: Transaction) -> None:
            self._record(change, resource)
            tools.lineage.record(change, resource.ref, outputs=result.outputs)
            change.append(event)

        whole = {one.name for one in self.plan.targets}
        made = {name: artifact for name, artifact in result.outputs if name in whole}
        objects = keys.made(self.plan, made)
        return Done(self.run, ended(resource), self.began_at, objects, record)

    def go_on(self, host: Host) -> Done:
        """Make it a job of its own, whose process the host becomes. Raises HostLostError."""
        host.let_go(self._log())
        shared = model.Shared(host.name, self.number)
        job = model.changed(self._job(), stage="Running", shared=shared)
        resource = self._resource(job, "InProgress")
        result = StepResult("Executing", job=resource.ref, metadata=metadata(resource.ref))
        return Done(
            self.run,
            result,
            self.began_at,
            record=lambda change: self._record(change, resource, due=True),
        )

    def _keep_log(self, host: Host, reply: Reply) -> None:
        """Write what the step printed, if it has."""
        log = reply.log
        if log is None:
            log = b"".join(
                Tree(host.ml, self.number).chunks(File("log", "log", 0, 0, executable=False))
            )
        if log:
            with self._log().open("ab") as file:
                file.write(log)

    def _log(self) -> Path:
        ref = self.draft.ref
        stream = model.stream(self._resource(self._job(), ""), self.plan.hosts[0])
        return self.tools.logs.path(ref.account, ref.region, model.LOG_GROUPS[PROCESSING], stream)

    def _job(self) -> Job:
        return model.Job(
            request=self.draft.request,
            actor=self.run.actor,
            uid=self.uid,
            attempt=1,
            keep=dict(self.draft.kept),
            ran=dict(self.ran),
            transitions=(model.Transition("Starting", self.began_at),),
            started_at=self.started_at,
        )

    def _resource(self, job: Job, status: str) -> Resource:
        at = self.began_at
        return Resource(self.draft.ref, model.write(job), at, at, status, self.run.execution)

    def _record(self, change: Transaction, resource: Resource, *, due: bool = False) -> None:
        change.insert(resource, due=due)
        if self.draft.tags:
            change.tag(resource.ref, self.draft.tags)
        actor = self.run.actor
        change.append(Event(self.began_at, actor, f"{PROCESSING}.created", resource.ref))
        packages = {name: version for name, version in self.ran.items() if name != "image"}
        environment = ("environment", of_environment(self.ran["image"], packages))
        used = [(one.source.name, one.artifact, one.source.code) for one in self.inputs]
        self.tools.lineage.record(
            change,
            resource.ref,
            inputs=[*((name, one) for name, one, is_code in used if not is_code), environment],
            code=[(name, one) for name, one, is_code in used if is_code],
        )

    def _remember(self, uploads: Uploads) -> None:
        for target in self.plan.targets:
            prefix = target.uri.removeprefix("s3://").rstrip("/") + "/"
            below = [x for x in uploads.stored if f"{x.bucket}/{x.key}".startswith(prefix)]
            if below:
                self.known.made[target.uri] = below


def prepare(tools: Tools, known: Known, run: StepRun, number: str) -> Task | None:
    """Make a task of a step; None when it is not one that shares, or had better not.

    What is wrong with a step shows when it is started the ordinary way.
    """
    name, word = SHARE
    asked = run.arguments.get("Environment")
    if run.step["Type"] != "Processing" or not isinstance(asked, dict) or asked.get(name) != word:
        return None
    try:
        return _task(tools, known, run, number)
    except (ClaryError, OSError):
        return None


def _task(tools: Tools, known: Known, run: StepRun, number: str) -> Task | None:
    made = draft(PROCESSING, run)
    plan = plans.plan(made.ref, model.Job(request=made.request, actor="", uid=""))
    ran = _environment(tools, known, plan)
    codes = [one for one in plan.sources if one.code]
    if ran is None or len(codes) != 1 or not _is_plain(plan, codes[0]):
        return None
    [source] = codes
    code, digest, files = _code(tools, known, source)
    inputs = [_found(tools, known, one) for one in plan.sources if not one.code]
    if _ARCHIVE in files:
        return None
    given = tools.environment(made.ref, plan.role.rpartition("/")[2])
    nowhere = Path()
    spec = specification(
        plan, plan.hosts[0], given, process="", ml=nowhere, log=nowhere, memory_bytes=None
    )
    packet = {
        "number": number,
        "folders": [*plan.directories, *(one.source.path for one in inputs)],
        "given": configuration(plan, plan.hosts[0])
        | {path: data for one in inputs for path, data in _content(tools, one)},
        "made": [*(one.path for one in plan.targets), posixpath.dirname(plan.exit_message)],
        "script": posixpath.relpath(plan.argv[1], f"{ROOT}/{source.path}"),
        "words": list(plan.argv[2:]),
        "environment": dict(spec.environment),
        "cwd": posixpath.relpath(plan.cwd, ROOT),
    }
    if len(marshal.dumps(packet)) + sum(map(len, files.values())) > MOST_BYTES:
        return None
    return Task(
        tools,
        known,
        run,
        made,
        plan,
        [code, *inputs],
        ran,
        packet,
        (digest, files),
        number,
        now(),
    )


def _is_plain(plan: Plan, code: Source) -> bool:
    """Whether it is a script of its code, and asks for nothing that only an own process has."""
    return (
        len(plan.argv) > 1
        and plan.argv[0] == "python3"
        and plan.argv[1].startswith(f"{ROOT}/{code.path}/")
        and len(plan.hosts) == 1
        and plan.network
        and plan.instance == Instance()
        and plan.limit_s == DAY_S
        and not any(one.manifest or one.gunzip for one in plan.sources)
        and not any(one.continuous or one.group for one in plan.targets)
    )


def _environment(tools: Tools, known: Known, plan: Plan) -> Mapping[str, str] | None:
    asked = plan.runtime.asked
    if asked not in known.environments:
        known.environments[asked] = tools.environments.own(plan)
    return known.environments[asked]


def _code(tools: Tools, known: Known, source: Source) -> tuple[Found, str, dict[str, bytes]]:
    if source.uri not in known.codes:
        code = _found(tools, known, source)
        files = {path.removeprefix(f"{source.path}/"): data for path, data in _content(tools, code)}
        known.codes[source.uri] = code, code.artifact.digest, files
    return known.codes[source.uri]


def _found(tools: Tools, known: Known, source: Source) -> Found:
    infos = known.made.get(source.uri)
    if infos is not None:
        return listed(source, infos)
    one = find(tools.objects, source)
    if one is None:
        raise ClaryError(f"{source.uri} is not there")
    return one


def _content(tools: Tools, one: Found) -> Sequence[tuple[str, bytes]]:
    """Read the files of an input. Raises ClaryError when they are too large for a packet."""
    if one.artifact.size_bytes > MOST_BYTES:
        raise ClaryError(f"{one.source.uri} is too large")
    read = tools.objects.read
    return [
        (
            f"{one.source.path}/{item.path}",
            b"".join(read(item.info.bucket, item.info.key, expected=item.info.etag)),
        )
        for item in one.items
    ]
