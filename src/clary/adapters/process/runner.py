"""Runs isolated processes that outlive the server, each held by a small supervisor (``shim``)."""

from __future__ import annotations

import contextlib
import hashlib
import marshal
import os
import py_compile
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clary.adapters.process import cgroups, records, shim, tree
from clary.adapters.process.sandbox import (
    UID_MAP,
    Rung,
    bwrap_arguments,
    plain_command,
    rungs,
    write_etc,
)
from clary.jobs.ports import ProcessSpec, ProcessStatus
from clary.kernel.errors import ClaryError, InvalidInput, Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
_FIRST_UID, _UIDS = 1_900_000_000, 200_000_000
_NOFILE = 65_536
_RLIMIT_SLACK = 2 * 1024**3
_STOP_GRACE_S = 120.0
_DISCARD_S = 30.0


class ProcessRunner:
    """A ``JobRunner`` of sandboxed processes on this machine.

    Parameters
    ----------
    root
        Directory of everything about its processes; only one user's runners may share it.
    log_limit_bytes
        How large a process's log may grow; what follows is dropped, and the log says so.
    ladder
        The ways to run processes, best first; None tries all there are.
    """

    def __init__(
        self,
        root: Path,
        *,
        log_limit_bytes: int = 1024**3,
        ladder: Sequence[Rung] | None = None,
    ) -> None:
        self._root = root.absolute()
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._log_limit = log_limit_bytes
        self._ladder = tuple(rungs(root=os.geteuid() == 0)) if ladder is None else tuple(ladder)
        self._lock = threading.Lock()
        self._children_lock = threading.Lock()
        self._children: list[subprocess.Popen[bytes]] = []
        self._rung: Rung | None = None
        self._refused: dict[str, str] = {}
        self._groups: tuple[cgroups.ControlGroup, ...] = ()
        self._program = Path()

    def workspace(self, process_id: str) -> Path:
        """Make (or find) the empty-at-first host directory for a process's ``/opt/ml``."""
        folder = self._folder(process_id) / "ml"
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        return folder

    def start(self, spec: ProcessSpec) -> None:
        """Start it unless it has been started before.

        Raises
        ------
        InvalidInput
            The specification cannot be met: a missing readable path, a bad id.
        NotSupported
            It is to have no network, and this machine has no namespaces.
        Unavailable
            Not now: no process, memory or disk to be had.
        """
        folder = self._folder(spec.id)
        self._launch(spec, folder, self._best())

    def status(self, process_id: str) -> ProcessStatus | None:
        """Say how it is; None when it was never started."""
        self._reap()
        return records.status(self._folder(process_id))

    def wait(self, process_id: str, timeout_s: float) -> ProcessStatus | None:
        """Like ``status``, but returns as soon as it is not running, or after ``timeout_s``."""
        status = records.wait(self._folder(process_id), timeout_s)
        self._reap()
        return status

    def stop(self, process_id: str, *, grace_s: float = _STOP_GRACE_S) -> None:
        """Ask it to end: SIGTERM, and SIGKILL after ``grace_s``. Returns at once; idempotent."""
        records.stop(self._folder(process_id), grace_s)

    def discard(self, process_id: str) -> None:
        """Remove its workspace and records; kills it first if it runs.

        Raises
        ------
        Unavailable
            It does not end, as when it hangs in the kernel.
        """
        folder = self._folder(process_id)
        records.stop(folder, 0.0)
        status = records.wait(folder, _DISCARD_S)
        self._reap()
        if status is not None and status.state == "running":
            raise Unavailable(f"process {process_id} does not end", retry_after_s=_DISCARD_S)
        shim.leave([str(group.parent / _group_name(folder)) for group in self._groups])
        tree.remove(folder)

    def report(self) -> Mapping[str, str]:
        """Say how processes are isolated on this machine, for ``clary doctor``."""
        rung = self._best()
        limited = {name: group for group in self._groups for name in group.controllers}
        where = {
            name: f"cgroup version {group.version} in {group.parent}"
            for name, group in limited.items()
        }
        isolated = "own network namespace when isolated, else the host's"
        return {
            "sandbox": str(rung),
            "network": isolated if rung.binary else "the host's; isolated jobs are refused",
            "memory": where.get("memory", "address space limit (no writable cgroup)"),
            "processes": where.get("pids", "limit per user id"),
            **{f"not used: {name}": reason for name, reason in self._refused.items()},
        }

    def _folder(self, process_id: str) -> Path:
        if not _ID.fullmatch(process_id):
            legal = "1 to 200 letters, digits, '.', '_', '-', not starting with a mark"
            raise InvalidInput("id", f"{process_id!r} cannot name a process", legal=legal)
        return self._root / process_id

    def _best(self) -> Rung:
        """Probe the ladder once: the first rung on which a process really runs."""
        with self._lock:
            if self._rung is None:
                self._program = _compile(self._root)
                self._groups = cgroups.find(
                    Path("/proc/self/mounts").read_text(), Path("/proc/self/cgroup").read_text()
                )
                self._rung = next((r for r in self._ladder if self._works(r)), None)
            if self._rung is None:
                reasons = "; ".join(f"{name}: {why}" for name, why in self._refused.items())
                raise Unavailable(f"no way to run processes works here: {reasons}")
            return self._rung

    def _works(self, rung: Rung) -> bool:
        folder = self._root / f".probe-{os.getpid()}-{id(self)}"
        tree.remove(folder)
        (folder / "ml").mkdir(parents=True)
        log = folder / "log"
        command = "import ctypes; open('mark', 'w').close()"
        try:
            spec = ProcessSpec(
                id="probe",
                argv=(sys.executable, "-I", "-c", command),
                environment={},
                ml=folder / "ml",
                cwd="/opt/ml",
                log=log,
                network=rung.binary is None,
                timeout_s=10.0,
            )
            self._launch(spec, folder, rung)
            status = records.wait(folder, 20.0)
            if status is not None and status.exit_code == 0:
                return True
            said = log.read_text().strip().splitlines() if log.exists() else []
            self._refused[str(rung)] = said[-1].partition(" ")[2] if said else str(status)
        except (ClaryError, OSError) as error:
            self._refused[str(rung)] = str(error)
        finally:
            tree.remove(folder)
        return False

    def _launch(self, spec: ProcessSpec, folder: Path, rung: Rung) -> None:
        try:
            folder.mkdir(mode=0o711, parents=True, exist_ok=True)
            lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                if records.acquire(folder, lock):
                    self._start_shim(self._plan(spec, folder, rung) | {"lock": lock}, lock)
            finally:
                os.close(lock)
        except OSError as error:
            raise Unavailable(f"process {spec.id} cannot be started: {error}") from error

    def _plan(self, spec: ProcessSpec, folder: Path, rung: Rung) -> dict[str, Any]:
        """Say everything that the shim needs; see ``shim`` for what it does with it."""
        scratch = folder / "tmp"
        scratch.mkdir(mode=0o700, exist_ok=True)
        uid = _uid(folder) if rung.own_uid else 0
        arguments, environment, cwd = b"", dict[str, str](), ""
        if rung.binary is None:
            argv, environment, cwd = plain_command(spec)
        else:
            write_etc(spec, folder / "etc")
            arguments = bwrap_arguments(spec, folder, self._root)
            argv = ["bwrap", "--", *spec.argv]
        if uid:
            tree.give(spec.ml, uid)
            tree.give(scratch, uid)
        groups = [g.make(_group_name(folder), spec.memory_bytes) for g in self._groups]
        return {
            "directory": str(folder),
            "log": str(spec.log),
            "log_limit": self._log_limit,
            "sandboxed": rung.binary is not None,
            "bwrap": str(rung.binary),
            "argv": argv,
            "arguments": arguments,
            "environment": environment,
            "cwd": cwd,
            "libraries": [str(path) for path in rung.libraries],
            "seccomp": b"",
            "uid": uid,
            "uid_map": UID_MAP.format(uid=uid) if uid and rung.binary else "",
            "cgroups": [str(group) for group in groups],
            "memory_bytes": spec.memory_bytes,
            "rlimits": self._rlimits(spec, uid),
            "timeout_s": spec.timeout_s,
            "grace_s": _STOP_GRACE_S,
        }

    def _rlimits(self, spec: ProcessSpec, uid: int) -> list[tuple[str, int]]:
        limits = [("RLIMIT_CORE", 0), ("RLIMIT_NOFILE", _NOFILE)]
        controllers = {name for group in self._groups for name in group.controllers}
        if "memory" not in controllers and spec.memory_bytes is not None:
            limits.append(("RLIMIT_AS", spec.memory_bytes + _RLIMIT_SLACK))
        if "pids" not in controllers or uid:
            limits.append(("RLIMIT_NPROC", cgroups.PIDS_MAX))
        return limits

    def _start_shim(self, plan: dict[str, Any], lock: int) -> None:
        """Start the supervisor; returns when its claim is durable. Raises OSError."""
        self._reap()
        errors = os.path.join(plan["directory"], "shim.err")  # noqa: PTH118 - a string, as the plan is
        with open(errors, "wb") as stderr:  # noqa: PTH123 - a string, as the plan is
            child = subprocess.Popen(
                [os.path.realpath(sys.executable), "-I", "-S", str(self._program)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                cwd="/",
                env={},
                pass_fds=(lock,),
                start_new_session=True,
            )
        with self._children_lock:
            self._children.append(child)
        assert child.stdin is not None
        assert child.stdout is not None
        with child.stdin, child.stdout:
            with contextlib.suppress(BrokenPipeError):
                child.stdin.write(marshal.dumps(plan))
                child.stdin.close()
            answer = child.stdout.readline().strip()
        if answer != b"ok":
            child.wait()
            raise OSError(answer.decode() or "the supervisor did not start")

    def _reap(self) -> None:
        with self._children_lock:
            self._children = [child for child in self._children if child.poll() is None]


def _compile(root: Path) -> Path:
    """Compile the shim once a version: starting it then costs no parsing."""
    source = Path(shim.__file__)
    version = hashlib.sha256(source.read_bytes()).hexdigest()[:16]
    program = root / f".shim-{version}.{sys.implementation.cache_tag}.pyc"
    if not program.exists():
        py_compile.compile(str(source), cfile=str(program), doraise=True)
    return program


def _group_name(folder: Path) -> str:
    return "clary-" + hashlib.sha256(os.fsencode(folder)).hexdigest()[:24]


def _uid(folder: Path) -> int:
    """Give a process the user id that follows from its folder, far from everybody else's."""
    number = int.from_bytes(hashlib.sha256(os.fsencode(folder)).digest()[:8])
    return _FIRST_UID + number % _UIDS
