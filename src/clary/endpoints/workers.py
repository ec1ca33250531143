"""Worker processes: what each finds in its workspace, how it starts, answers and ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from clary.endpoints import frames
from clary.endpoints.files import Files
from clary.endpoints.invocations import LARGEST_BODY
from clary.endpoints.model import LOG_GROUP
from clary.jobs.contract import Plan, Source, join_uri
from clary.jobs.failures import reason as failure_reason
from clary.jobs.images import runtime
from clary.jobs.instances import instance as instance_of
from clary.jobs.launch import specification, write_files
from clary.jobs.model import Ending
from clary.kernel.clock import now
from clary.kernel.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from clary.endpoints.instances import Instance
    from clary.endpoints.model import FleetSpec, Stage
    from clary.jobs.environments import Environments
    from clary.jobs.ports import JobRunner, LogStore, ProcessStatus
    from clary.kernel.names import Ref
    from clary.kernel.ports import MetadataStore, ObjectStore

    Environment = Callable[[Ref, str], Mapping[str, str]]
    Check = Callable[[], None]

_FOREVER_S = 10 * 365 * 86_400.0
_GRACE_S = 5.0
_TAIL_LINES = 200
_SAID = ("AlgorithmError: ", "ClientError: ")


@dataclass(frozen=True, slots=True)
class Tools:
    """What fleets work with.

    ``environment`` gives the variables by which a worker with a network reaches the platform;
    ``beat_s`` is how long a worker may take to say that it lives, ``drain_s`` how long one goes on
    answering, at least, once it is to leave.
    """

    store: MetadataStore
    objects: ObjectStore
    runner: JobRunner
    logs: LogStore
    environment: Environment
    environments: Environments
    memory_bytes: int | None = None
    beat_s: float = 5.0
    drain_s: float = 2.0


class Workers:
    """The worker processes of one fleet.

    Parameters
    ----------
    tools
        See ``Tools``.
    ref
        The fleet.
    spec
        What its workers are.
    """

    def __init__(self, tools: Tools, ref: Ref, spec: FleetSpec) -> None:
        self._tools = tools
        self._ref = ref
        self._spec = spec

    def processes(self, one: Instance) -> list[str]:
        """Name the processes of an instance, one a stage."""
        return [f"{self._ref.name}-{one.serial}-{at}" for at in range(len(self._spec.stages))]

    def start(self, one: Instance, check: Check) -> None:
        """Start the processes of an instance that have not been started.

        Raises
        ------
        ClaryError
            One can never be started; says why.
        Unavailable
            Not now.
        """
        for stage, process in zip(self._spec.stages, self.processes(one), strict=True):
            if self._tools.runner.status(process) is None:
                self._start(one, stage, process, check)

    def status(self, one: Instance) -> ProcessStatus | None:
        """Say how an instance is: as the worst of its processes; None where one was not started."""
        found = [self._tools.runner.status(process) for process in self.processes(one)]
        if any(status is None for status in found):
            return None
        return next((one for one in found if one and one.state != "running"), found[0])

    def beats(self, one: Instance) -> list[frames.Beat]:
        """Ask each of its processes what it is at. Raises frames.Vanished, frames.Late."""
        return [
            frames.beat(self._run(process) / "beat.sock", self._tools.beat_s)
            for process in self.processes(one)
        ]

    def is_listening(self, one: Instance) -> bool:
        """Say whether all of its processes have loaded their models."""
        try:
            return bool(self.beats(one))
        except (frames.Vanished, frames.Late):
            return False

    def connect(self, one: Instance) -> list[frames.Channel]:
        """Connect to each of its processes. Raises frames.Vanished."""
        channels = []
        try:
            for process in self.processes(one):
                channel = frames.Channel(self._run(process) / "serve.sock", largest=self.largest)
                channels.append(channel)
        except frames.Vanished:
            for channel in channels:
                channel.close()
            raise
        return channels

    def kill(self, one: Instance) -> None:
        """End its processes at once."""
        for process in self.processes(one):
            self._tools.runner.stop(process, grace_s=0.0)

    def stop(self, one: Instance) -> bool:
        """Ask its processes to end, and remove those that have; says whether all are gone.

        Raises
        ------
        Unavailable
            A process does not end.
        """
        runner = self._tools.runner
        grace_s = 0.0 if one.dead else _GRACE_S
        running = False
        for process in self.processes(one):
            status = runner.status(process)
            if status is not None and status.state == "running":
                runner.stop(process, grace_s=grace_s)
                status = runner.wait(process, 0.05)
            if status is not None and status.state == "running":
                running = True
            else:
                runner.discard(process)
        return not running

    def reason(self, one: Instance) -> str:
        """Say why an instance has ended, in the words of its log; empty when it just vanished."""
        for process in self.processes(one):
            status = self._tools.runner.status(process)
            if status is None or status.state == "running":
                continue
            if status.state == "lost":
                return ""
            lines = self._tail(process)
            said = next((line for line in reversed(lines) if line.startswith(_SAID)), "")
            ending = Ending(status.exit_code or 0, status.ended_by)
            return failure_reason(ending, said, lines, memory_bytes=self.memory_bytes)
        return "it does not answer"

    @property
    def memory_bytes(self) -> int | None:
        """The strictest of the limits of server, instance and serverless variant."""
        spec = self._spec
        own = instance_of(spec.instance_type, field="InstanceType").memory_bytes
        less = spec.serverless.memory_mib << 20 if spec.serverless else None
        limits = (self._tools.memory_bytes, own, less)
        return min((limit for limit in limits if limit is not None), default=None)

    @property
    def largest(self) -> int:
        """How many bytes a request and an answer may have."""
        return int(self._spec.limits.get("body_bytes", LARGEST_BODY))

    def _run(self, process: str) -> Path:
        return self._tools.runner.workspace(process) / "run"

    def _start(self, one: Instance, stage: Stage, process: str, check: Check) -> None:
        tools = self._tools
        tools.runner.discard(process)
        ml = tools.runner.workspace(process)
        plan = self._plan(one, stage)
        write_files(plan, "algo-1", ml)
        files = Files(tools, self._ref)
        for source in plan.sources:
            own = source.name == "model"
            files.lay(
                source,
                ml,
                check,
                sha256=stage.sha256 if own else "",
                keep=not (own and stage.multi_model),
            )
        plan, _ = tools.environments.prepare(
            plan, [ml], say=lambda text: self._say(process, text), check=check
        )
        role = plan.role.rpartition("/")[2]
        given = tools.environment(self._ref, role) if plan.network else {}
        tools.runner.start(
            specification(
                plan,
                "algo-1",
                given,
                process=process,
                ml=ml,
                log=self._log(process),
                memory_bytes=self.memory_bytes,
            )
        )

    def _plan(self, one: Instance, stage: Stage) -> Plan:
        image = runtime(stage.image, field="Image")
        kind = instance_of(self._spec.instance_type, field="InstanceType")
        return Plan(
            runtime=image,
            program=("serve.py",),
            environment={
                **kind.environment,
                **stage.environment,
                "CLARY_FRAMEWORK": image.framework,
                "SAGEMAKER_MULTI_MODEL": str(stage.multi_model).lower(),
                "CLARY_LARGEST_BODY": str(self.largest),
            },
            hosts=("algo-1",),
            sources=_sources(one, stage),
            targets=(),
            resources=("input/config/resourceconfig.json", {"hosts": ["algo-1"]}),
            role=stage.role,
            directories=("model", "run"),
            limit_s=_FOREVER_S,
            network=self._spec.network,
            instance=kind,
        )

    def _log(self, process: str) -> Path:
        ref, spec = self._ref, self._spec
        stream = f"{spec.variant}/{process}"
        return self._tools.logs.path(ref.account, ref.region, LOG_GROUP + spec.endpoint, stream)

    def _tail(self, process: str) -> list[str]:
        ref, spec = self._ref, self._spec
        where = (ref.account, ref.region, LOG_GROUP + spec.endpoint, f"{spec.variant}/{process}")
        try:
            return [line.text for line in self._tools.logs.tail(*where, _TAIL_LINES).lines]
        except NotFound:
            return []

    def _say(self, process: str, text: str) -> None:
        line = f"{int(now().timestamp() * 1000)} {' '.join(text.split())}\n"
        with self._log(process).open("ab") as log:
            log.write(line.encode())


def _sources(one: Instance, stage: Stage) -> list[Source]:
    sources = []
    uri = join_uri(stage.model_data, one.model) if stage.multi_model else stage.model_data
    if uri and (stage.packed or stage.multi_model):
        sources.append(Source("model", uri, "input/model", file_name="model.tar.gz"))
    elif uri:
        sources.append(Source("model", uri, "model"))
    code = stage.environment.get("SAGEMAKER_SUBMIT_DIRECTORY", "")
    if code.startswith("s3://"):
        sources.append(Source("code", code, "input/code", code=True, file_name="sourcedir.tar.gz"))
    return sources
