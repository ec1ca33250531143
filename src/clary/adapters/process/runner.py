"""Runs isolated processes that outlive the server, each held by a small supervisor (``shim``)."""

from __future__ import annotations

import hashlib
import os
import re
import resource
import sys
import threading
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clary.adapters.process import cgroups, etc, records, tree
from clary.adapters.process.forkservers import ForkServers, Key, of_this_user
from clary.adapters.process.sandbox import (
    Rung,
    own_uid,
    plain_plan,
    rungs,
    sandbox_plan,
    uid_map,
)
from clary.adapters.process.supervisors import Supervisors
from clary.jobs.ports import ProcessSpec, ProcessStatus
from clary.kernel.errors import ClaryError, InvalidInput, Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
_NOFILE = 65_536
_RLIMIT_SLACK = 2 * 1024**3
_STOP_GRACE_S = 120.0
_IDLE_S = 600.0
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
    fork_servers
        Where preloaded interpreters lie that processes are forked from. None: where all runners
        of this user share them.
    idle_s
        After how long without a process a fork server ends.
    """

    def __init__(
        self,
        root: Path,
        *,
        log_limit_bytes: int = 1024**3,
        ladder: Sequence[Rung] | None = None,
        fork_servers: Path | None = None,
        idle_s: float = _IDLE_S,
    ) -> None:
        self._root = root.absolute()
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._log_limit = log_limit_bytes
        self._ladder = tuple(rungs(root=os.geteuid() == 0)) if ladder is None else tuple(ladder)
        self._lock = threading.Lock()
        self._best: Rung | None = None
        self._refused: dict[str, str] = {}
        self._groups = cgroups.find(
            Path("/proc/self/mounts").read_text(), Path("/proc/self/cgroup").read_text()
        )
        self._supervisors = Supervisors(self._root)
        shared = fork_servers or of_this_user() or self._root / ".forkservers"
        self._fork_servers = shared.absolute()
        self._idle_s = idle_s

    @cached_property
    def _etc(self) -> Path:
        return etc.shared(self._root)

    @cached_property
    def _servers(self) -> ForkServers | None:
        """The fork servers, where they can isolate as well as bwrap does."""
        rung = self._rung()
        if rung.binary is None or (os.geteuid() == 0 and not rung.own_uid):
            return None
        limits = self._rlimits(None, own_uid=rung.own_uid)
        return ForkServers(self._fork_servers, rung, limits=limits, idle_s=self._idle_s)

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
        rung = self._rung()
        key = self._find(spec)
        self._launch(spec, folder, rung, key)
        if key is not None:
            self._start_server(key, spec)

    def warm(self, spec: ProcessSpec) -> bool:
        """Start the fork server for processes like ``spec``, if there is to be one.

        Says whether such a process would be forked now.
        """
        key = self._find(spec)
        if key is None or self._servers is None:
            return False
        self._start_server(key, spec)
        return self._servers.is_ready(key)

    def cool(self) -> None:
        """Have all fork servers end as soon as they have no job."""
        if self._servers is not None:
            self._servers.retire()

    def _find(self, spec: ProcessSpec) -> Key | None:
        """Say which fork server a process may be forked from."""
        if not spec.preload or self._servers is None:
            return None
        try:
            return self._servers.find(spec, self._root)
        except OSError:
            return None  # the environment is changing

    def _start_server(self, key: Key, spec: ProcessSpec) -> None:
        with suppress(OSError):  # then processes start without it, and the next one tries again
            if self._servers is not None:
                self._servers.start(key, spec)

    def status(self, process_id: str) -> ProcessStatus | None:
        """Say how it is; None when it was never started."""
        self._supervisors.reap()
        return records.status(self._folder(process_id))

    def wait(self, process_id: str, timeout_s: float) -> ProcessStatus | None:
        """Like ``status``, but returns as soon as it is not running, or after ``timeout_s``."""
        status = records.wait(self._folder(process_id), timeout_s)
        self._supervisors.reap()
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
        if not folder.exists():
            return
        records.stop(folder, 0.0)
        status = records.wait(folder, _DISCARD_S)
        self._supervisors.reap()
        if status is not None and status.state == "running":
            raise Unavailable(f"process {process_id} does not end", retry_after_s=_DISCARD_S)
        records.forget(folder)

    def report(self) -> Mapping[str, str]:
        """Say how processes are isolated on this machine, for ``clary doctor``."""
        rung = self._rung()
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
            "warm workers": self._warmth(),
            "processes": where.get("pids", "limit per user id"),
            **{f"not used: {name}": reason for name, reason in self._refused.items()},
        }

    def _warmth(self) -> str:
        if self._servers is None:
            return "none: they need namespaces, and as root a user id per process"
        return f"from {len(self._servers.running())} fork servers now, in {self._fork_servers}"

    def _folder(self, process_id: str) -> Path:
        if not _ID.fullmatch(process_id):
            legal = "1 to 200 letters, digits, '.', '_', '-', not starting with a mark"
            raise InvalidInput("id", f"{process_id!r} cannot name a process", legal=legal)
        return self._root / process_id

    def _rung(self) -> Rung:
        """Probe the ladder once: the first rung on which a process really runs."""
        with self._lock:
            if self._best is None:
                self._best = next((rung for rung in self._ladder if self._works(rung)), None)
            if self._best is None:
                reasons = "; ".join(f"{name}: {why}" for name, why in self._refused.items())
                raise Unavailable(f"no way to run processes works here: {reasons}")
            return self._best

    def _works(self, rung: Rung) -> bool:
        folder = self._root / f".probe-{os.getpid()}-{id(self)}"
        tree.remove(folder)
        (folder / "ml").mkdir(parents=True)
        log = folder / "log"
        mark = "os.path.join(os.environ.get('SAGEMAKER_BASE_DIR', '/opt/ml'), 'mark')"
        try:
            spec = ProcessSpec(
                id="probe",
                argv=(sys.executable, "-I", "-c", f"import ctypes, os; open({mark}, 'w').close()"),
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

    def _launch(self, spec: ProcessSpec, folder: Path, rung: Rung, key: Key | None = None) -> None:
        try:
            folder.mkdir(mode=0o711, parents=True, exist_ok=True)
            lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                if records.acquire(folder, lock):
                    plan = self._plan(spec, folder, rung, key)
                    self._supervisors.start(plan, lock)
            finally:
                os.close(lock)
        except OSError as error:
            raise Unavailable(f"process {spec.id} cannot be started: {error}") from error

    def _plan(self, spec: ProcessSpec, folder: Path, rung: Rung, key: Key | None) -> dict[str, Any]:
        """Say everything that the shim needs; see ``shim`` for what it does with it."""
        scratch = folder / "tmp"
        scratch.mkdir(mode=0o700, exist_ok=True)
        uid = own_uid(folder) if rung.own_uid else 0
        plan: dict[str, Any] = {}
        if key is not None and self._servers is not None:
            uid = self._servers.uid(key, folder)
        limits = self._rlimits(spec.memory_bytes, own_uid=rung.own_uid)
        plan = {
            "directory": str(folder),
            "log": str(spec.log),
            "log_limit": self._log_limit,
            "uid": uid,
            "memory_bytes": spec.memory_bytes or sys.maxsize,
            "rlimits": limits,
            "timeout_s": spec.timeout_s,
            "grace_s": _STOP_GRACE_S,
        }
        if rung.binary is None:
            plan |= plain_plan(spec)
        else:
            plan |= sandbox_plan(rung, spec, folder, self._root, self._etc) | {
                "uid_map": uid_map(uid)
            }
        if key is not None and self._servers is not None:
            plan["warm"] = self._servers.offer(key, spec, folder, limits)
        if uid:
            tree.give(spec.ml, uid)
            tree.give(scratch, uid)
        return plan | {"cgroups": self._control_groups(spec, folder)}

    def _control_groups(self, spec: ProcessSpec, folder: Path) -> list[str]:
        """Make them for a process with a memory limit; entering one can take milliseconds."""
        if spec.memory_bytes is None:
            return []
        name = "clary-" + hashlib.sha256(os.fsencode(folder)).hexdigest()[:24]
        return [str(group.make(name, spec.memory_bytes)) for group in self._groups]

    def _rlimits(self, memory_bytes: int | None, *, own_uid: bool) -> list[tuple[int, int]]:
        limits = [(resource.RLIMIT_CORE, 0), (resource.RLIMIT_NOFILE, _NOFILE)]
        controllers = {name for group in self._groups for name in group.controllers}
        if "memory" not in controllers and memory_bytes is not None:
            limits.append((resource.RLIMIT_AS, memory_bytes + _RLIMIT_SLACK))
        if own_uid or memory_bytes is None or "pids" not in controllers:
            limits.append((resource.RLIMIT_NPROC, cgroups.PIDS_MAX))
        hard = {kind: resource.getrlimit(kind)[1] for kind, _ in limits}
        return [(k, n if hard[k] == resource.RLIM_INFINITY else min(n, hard[k])) for k, n in limits]
