"""Starts fork servers, at most one an environment, and says how a job is offered to one."""

from __future__ import annotations

import fcntl
import hashlib
import os
import socket
import stat
import sys
import time
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import gettempdir
from typing import TYPE_CHECKING, Any

from clary.adapters.process import etc, linux, programs, records, seccomp, tree, warmth
from clary.adapters.process.forkserver import keeper, mold, program, worker
from clary.adapters.process.sandbox import (
    FIRST_OF_BLOCK,
    ML,
    own_uid,
    readable,
    sandbox_plan,
    uid_map,
)
from clary.adapters.process.supervisors import Supervisors
from clary.jobs.ports import ProcessSpec

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from clary.adapters.process.sandbox import Rung

_FIRST_BLOCK, _BLOCKS, _BLOCK_SIZE = 2**31, 1023, 2**21
_LISTENER = 110
_MOST = 4
_FAILED_S = 60.0
_FOREVER_S = 1e9
_LOG_BYTES = 1024**2
_RETIRED = "retired"
_MINE = (os.geteuid(), 0)
_NAMESPACES = ("mnt", "net", "pid", "user")


@dataclass(frozen=True, slots=True)
class Key:
    """What tells one fork server from another, and where it lies."""

    folder: Path
    environment: warmth.Environment

    @property
    def number(self) -> int:
        """Its name's value."""
        return int(self.folder.name, 16)

    @property
    def block(self) -> int:
        """The first of the host's user ids that its jobs have."""
        return _FIRST_BLOCK + self.number % _BLOCKS * _BLOCK_SIZE

    @property
    def socket(self) -> Path:
        """Where it listens."""
        return self.folder / "socket"


def of_this_user() -> Path | None:
    """Return the folder that all of a user's runners share; None when it is not safely theirs."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    folder = Path(runtime, "clary") if runtime else Path(gettempdir(), f"clary-{os.geteuid()}")
    with suppress(OSError):
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
        if stat.S_ISDIR(status.st_mode) and (status.st_uid, status.st_mode & 0o77) == _MINE:
            return folder
    return None


class ForkServers:
    """The fork servers of one user, shared by all that give the same folder.

    Parameters
    ----------
    folder
        Where they lie; only this user may reach it.
    rung
        How processes are isolated; it has namespaces.
    limits
        Resource limits of a process without a memory limit.
    idle_s
        After how long without a job one ends.
    """

    def __init__(
        self,
        folder: Path,
        rung: Rung,
        *,
        limits: Sequence[tuple[int, int]],
        idle_s: float,
    ) -> None:
        self._folder, self._rung = folder, rung
        self._limits, self._idle_s = limits, idle_s
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._made_etc = etc.shared(folder)

    def find(self, spec: ProcessSpec, root: Path) -> Key | None:
        """Say which fork server the process may be forked from; None: from none. InvalidInput."""
        shown = readable(spec, root)
        environment = warmth.environment(spec, shown)
        if environment is None:
            return None
        known = (shown, environment.fingerprint(), self._constants)
        name = hashlib.sha256(repr(known).encode()).hexdigest()[:24]
        return Key(self._folder / name, environment)

    def uid(self, key: Key, folder: Path) -> int:
        """Return the host's user id of the process of ``folder``; 0: not one of its own."""
        return key.block + self._number(folder) - 1 if self._rung.own_uid else 0

    def offer(
        self, key: Key, spec: ProcessSpec, folder: Path, limits: Sequence[tuple[int, int]]
    ) -> dict[str, Any]:
        """Say what the supervisor needs to offer a process; see ``handover.Offer``."""
        with suppress(FileNotFoundError):
            os.utime(key.socket)
        resolver = etc.resolver(self._etc, network=spec.network)
        mounts = [
            (str(spec.ml), ML, True),
            (str(folder / "tmp"), "/tmp", True),  # noqa: S108 - inside
            (str(folder / "hosts"), "/etc/hosts", False),
            (str(resolver), "/etc/resolv.conf", False),
        ]
        return {
            "socket": str(key.socket),
            "uid": self._number(folder) if self._rung.own_uid else 0,
            "mounts": mounts,
            "worker": {
                "argv": [str(key.environment.python), *spec.argv[1:]],
                "environment": dict(spec.environment),
                "cwd": spec.cwd,
                "hostname": spec.hostname,
                "network": spec.network,
                "rlimits": list(limits),
                "targets": [inside for _, inside, _ in mounts],
                "seccomp": seccomp.program(),
            },
        }

    def start(self, key: Key, spec: ProcessSpec) -> None:
        """Start the fork server unless it runs, or has just failed. Raises OSError."""
        if _is_held_or_failed(key.folder):
            return
        self._folder.mkdir(mode=0o700, exist_ok=True)
        with self._only_one() as is_mine:
            if is_mine and not _is_held_or_failed(key.folder):
                self._make_room()
                self._launch(key, spec)

    def is_ready(self, key: Key) -> bool:
        """Say whether a job would be taken."""
        with suppress(OSError), _client(key.socket):
            return True
        return False

    def running(self) -> list[Path]:
        """List the folders of those that run."""
        if not self._folder.is_dir():
            return []
        found = [path for path in self._folder.iterdir() if not path.name.startswith(".")]
        return [path for path in found if _runs(path)]

    def retire(self) -> None:
        """Ask all to end when their jobs have."""
        for folder in self.running():
            _retire(folder)

    @property
    def _etc(self) -> Path:
        """What jobs see as ``/etc``; the folder may be one that is cleaned from time to time."""
        if not self._made_etc.exists():
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._made_etc = etc.shared(self._folder)
        return self._made_etc

    @cached_property
    def _program(self) -> bytes:
        return programs.plain((linux, program, worker, mold, keeper))

    @cached_property
    def _constants(self) -> tuple[Any, ...]:
        """What does not change while this server runs."""
        namespaces = [str(Path(f"/proc/self/ns/{name}").readlink()) for name in _NAMESPACES]
        version = hashlib.sha256(self._program).hexdigest()
        return str(self._rung), self._limits, self._made_etc.name, namespaces, version

    def _number(self, folder: Path) -> int:
        digest = hashlib.sha256(os.fsencode(folder)).digest()
        return 1 + int.from_bytes(digest[8:16]) % (_BLOCK_SIZE - 1)

    @contextmanager
    def _only_one(self) -> Iterator[bool]:
        """Hold the folder's lock; False when another server holds it, and so starts one."""
        lock = os.open(self._folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield True
        except BlockingIOError:
            yield False
        finally:
            os.close(lock)

    def _make_room(self) -> None:
        """Remove what is left of those that ended; retire the one that was used longest ago."""
        running = self.running()
        for folder in self._folder.iterdir():
            if not folder.name.startswith(".") and folder not in running:
                records.forget(folder)
        lasting = [folder for folder in running if not (folder / _RETIRED).exists()]
        for folder in sorted(lasting, key=_used_at)[: max(0, len(lasting) - _MOST + 1)]:
            _retire(folder)

    def _launch(self, key: Key, spec: ProcessSpec) -> None:
        folder = key.folder
        for name in ("ml", "tmp"):
            (folder / name).mkdir(mode=0o711, parents=True, exist_ok=True)
        (folder / "ml" / "program").write_bytes(self._program)
        uid = own_uid(folder) if self._rung.own_uid else 0
        ids = "0 1000 1\n"
        if uid:
            ids += f"1 {FIRST_OF_BLOCK} {_BLOCK_SIZE - 1}\n"
            tree.give(folder / "ml", uid)
            tree.give(folder / "tmp", uid)
        plan = self._plan(key, spec, ids) | {
            "uid": uid,
            "uid_map": uid_map(uid, block=key.block, size=_BLOCK_SIZE - 1),
        }
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with (
                _listener(key.socket) as listener,
                closing(Supervisors(self._folder)) as ours,  # it outlives the home that starts it
            ):
                ours.start(plan, lock, listener.fileno())
        finally:
            os.close(lock)

    def _plan(self, key: Key, spec: ProcessSpec, ids: str) -> dict[str, Any]:
        folder, environment = key.folder, key.environment
        words = [str(environment.interpreter), "-c", programs.START, f"{ML}/program", ids]
        own = ProcessSpec(
            id=folder.name,
            argv=(*words, str(self._idle_s), str(_LISTENER), *environment.modules),
            environment={"PATH": os.defpath, "HOME": "/tmp", **warmth.VARIABLES},  # noqa: S108
            ml=folder / "ml",
            cwd=ML,
            log=folder / "log",
            readable=spec.readable,
        )
        made = sandbox_plan(self._rung, own, folder, self._folder, self._etc, may_set_ids=True)
        return made | {
            "files": [*made["files"], _LISTENER],
            "directory": str(folder),
            "log": str(own.log),
            "log_limit": _LOG_BYTES,
            "memory_bytes": sys.maxsize,
            "rlimits": list(self._limits),
            "timeout_s": _FOREVER_S,
            "grace_s": 0.0,
            "cgroups": [],
        }


def _runs(folder: Path) -> bool:
    status = records.status(folder)
    return status is not None and status.state == "running"


def _is_held_or_failed(folder: Path) -> bool:
    """Say whether a fork server runs there, or failed so lately that another would, too."""
    status = records.status(folder)
    if status is None or status.state != "exited":
        return status is not None and status.state == "running"
    at = status.ended_at.timestamp() if status.ended_at else 0.0
    return bool(status.exit_code) and time.time() - at < _FAILED_S


def _used_at(folder: Path) -> float:
    try:
        return (folder / "socket").stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _retire(folder: Path) -> None:
    """Have it take no more jobs and end after those it has; at once while it still preloads."""
    if (folder / _RETIRED).exists():
        return
    (folder / _RETIRED).touch()
    try:
        with _client(folder / "socket") as client:
            client.send(mold.RETIRE)
    except OSError:
        records.stop(folder, 0.0)


@contextmanager
def _client(path: Path) -> Iterator[socket.socket]:
    handle = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as client:
            client.connect(f"/proc/self/fd/{handle}/{path.name}")
            yield client
    finally:
        os.close(handle)


@contextmanager
def _listener(path: Path) -> Iterator[socket.socket]:
    """Bind a socket; who connects is refused until the fork server listens."""
    path.unlink(missing_ok=True)
    handle = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
            listener.bind(f"/proc/self/fd/{handle}/{path.name}")
            yield listener
    finally:
        os.close(handle)
