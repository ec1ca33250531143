"""What jobs need of their own: something that runs isolated processes, and a place for logs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from clary.kernel.names import Ref


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """One isolated process: one host of one attempt of one job.

    Parameters
    ----------
    id
        Unique for ever, safe as a file name: starting it twice starts it once.
    argv
        The command, as seen from inside.
    environment
        All of the environment variables; nothing is inherited.
    ml
        The host directory (from ``JobRunner.workspace``) that is ``/opt/ml`` inside.
    cwd
        Working directory, as seen from inside; writable.
    readable
        Host paths mounted read-only at the same path inside (environments, container programs).
    hostname, peers
        Its own host name and those of the job's other hosts, which resolve inside.
    network
        False: no network but its own loopback.
    memory_bytes
        Exceeding it ends the process with exit code 137; None: no limit.
    timeout_s
        After this the process is stopped as by ``stop``, whether or not a server is alive.
    preload
        Python modules that it will likely import. If there are any, and it is a plain Python
        command, it may be forked from a process that has them loaded; it runs as if it were not.
    log
        The file that gets every line of stdout and stderr; see ``LogStore.path``.
    """

    id: str
    argv: Sequence[str]
    environment: Mapping[str, str]
    ml: Path
    cwd: str
    log: Path
    readable: Sequence[Path] = ()
    hostname: str = "algo-1"
    peers: Sequence[str] = ()
    network: bool = True
    memory_bytes: int | None = None
    timeout_s: float = 86_400.0
    preload: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class ProcessStatus:
    """How a started process is.

    ``state`` is ``running``, ``exited`` (with ``exit_code``; a signal counts as 128+n), or
    ``lost``: it ended without a record, as after a power failure. ``ended_by`` says what ended it.
    """

    state: Literal["running", "exited", "lost"]
    exit_code: int | None = None
    ended_by: Literal["itself", "stop", "timeout", "memory"] = "itself"
    started_at: datetime | None = None
    ended_at: datetime | None = None


class GroupRows(Protocol):
    """Writes what jobs leave to feature groups."""

    def check(self, near: Ref, group: str) -> None:
        """See to it that there is a group. Raises NotFound."""

    def write(
        self, job: Ref, group: str, files: Sequence[str], after: int, note: Callable[[int], None]
    ) -> None:
        """Write the rows of files at ``s3://…``: all; none where one is wrong.

        Parameters
        ----------
        job
            Whose they are.
        after
            Begin behind so many of them, which are there already.
        note
            Told, whenever rows are durable, how many there are by now; it may raise.

        Raises
        ------
        InvalidInput
            A file or a row of it is wrong; names both.
        NotFound
            There is no such group.
        """


class JobRunner(Protocol):
    """Runs isolated processes that outlive the server that started them."""

    def workspace(self, process_id: str) -> Path:
        """Make (or find) the empty-at-first host directory for a process's ``/opt/ml``."""

    def start(self, spec: ProcessSpec) -> None:
        """Start it unless it has been started before.

        Raises
        ------
        InvalidInput, NotSupported
            It never can be: something it names is missing, or this machine cannot isolate it so.
        Unavailable
            It cannot be now.
        """

    def warm(self, spec: ProcessSpec) -> bool:
        """Make ready for processes like ``spec``; say whether it is. Returns at once."""

    def status(self, process_id: str) -> ProcessStatus | None:
        """Say how it is; None when it was never started."""

    def wait(self, process_id: str, timeout_s: float) -> ProcessStatus | None:
        """Like ``status``, but returns as soon as it is not running, or after ``timeout_s``."""

    def stop(self, process_id: str, *, grace_s: float = 120.0) -> None:
        """Ask it to end: SIGTERM, and SIGKILL after ``grace_s``. Returns at once; idempotent."""

    def discard(self, process_id: str) -> None:
        """Remove its workspace and records; kills it first if it runs."""

    def report(self) -> Mapping[str, str]:
        """Say how processes are isolated on this machine, for ``clary doctor``."""


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of a log; ``offset`` is where it starts in its stream."""

    at: datetime
    text: str
    offset: int


@dataclass(frozen=True, slots=True)
class LogStream:
    """A stream of a log group."""

    name: str
    created_at: datetime
    first_at: datetime | None = None
    last_at: datetime | None = None
    size_bytes: int = 0


@dataclass(frozen=True, slots=True)
class LogPage:
    """Lines, and the offsets before the first and behind the last of them."""

    lines: Sequence[LogLine] = field(default_factory=tuple)
    start: int = 0
    end: int = 0


class LogStore(Protocol):
    r"""Log groups of append-only streams; a stream is a file that job processes write directly.

    The file's format: one line a record, ``<milliseconds since 1970, decimal> <text>\\n``, UTF-8
    with invalid bytes replaced; text longer than 256 KiB is split.
    """

    def path(self, account: str, region: str, group: str, stream: str) -> Path:
        """Where a stream lies; its folder exists."""

    def streams(
        self, account: str, region: str, group: str, prefix: str = ""
    ) -> Sequence[LogStream]:
        """Streams by name."""

    def read(
        self,
        account: str,
        region: str,
        group: str,
        stream: str,
        *,
        after: int = 0,
        limit: int = 10_000,
    ) -> LogPage:
        """Lines from offset ``after`` on, about 1 MiB of them at most. Raises NotFound."""

    def tail(
        self,
        account: str,
        region: str,
        group: str,
        stream: str,
        limit: int,
        *,
        before: int | None = None,
    ) -> LogPage:
        """Read the last ``limit`` lines before an offset, about 1 MiB at most. Raises NotFound."""


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A Python of this machine; ``version`` is whole: ``3.11.7``."""

    path: Path
    version: str

    @property
    def minor(self) -> tuple[int, int]:
        """Major and minor version."""
        major, minor = self.version.split(".")[:2]
        return int(major), int(minor)


@dataclass(frozen=True, slots=True)
class Built:
    """An environment that lies on this machine, and when it was built."""

    id: str
    size_bytes: int
    built_at: datetime


class EnvironmentBuilder(Protocol):
    """Makes Python environments of exactly pinned packages, and runs no code of any of them.

    ``check`` is called again and again while something is under way; what it raises ends that.
    """

    def interpreters(self) -> Sequence[Interpreter]:
        """Find the Pythons of this machine, the server's own first."""

    def lock(
        self, requirements: Sequence[str], interpreter: Interpreter, check: Callable[[], None]
    ) -> str:
        """Pin every package that ``requirements`` need, each with the digests of its files.

        Raises
        ------
        InvalidInput
            There is no such set of packages for this Python; says which requirement, and why.
        NotSupported
            Nothing on this machine can build environments.
        Unavailable
            The package index does not answer.
        """

    def build(self, lock: str, interpreter: Interpreter, check: Callable[[], None]) -> str:
        """Install a lock unless that has been done, and return the environment's id.

        The id is the digest of the lock and the interpreter. Whoever dies on the way leaves no
        environment, and of several who build the same one does.

        Raises
        ------
        ClaryError
            A package cannot be installed, or the environment grows too large; says which.
        Unavailable
            The package index does not answer, or it takes too long.
        """

    def folder(self, environment: str) -> Path | None:
        """Where an environment lies; None when it is not built."""

    def built(self) -> Sequence[Built]:
        """Every environment, the newest first."""

    def remove(self, environment: str) -> None:
        """Remove an environment; removing an absent one is no error."""
