"""Python environments made by ``uv``, of wheels only, so that no package's code runs here.

An environment is drafted beside its place and renamed into it. A lock file is held meanwhile, also
by the installer itself, so that nobody starts over while an orphan of a killed server still writes.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from clary.jobs.ports import Built, Interpreter
from clary.kernel.errors import ClaryError, InvalidInput, NotSupported, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

_ID = re.compile(r"[0-9a-f]{24}")
_URL = re.compile(r"\b(?:https?|file|git\+\w+)://[^\s`'\",)]+")
_UNREACHABLE = re.compile(
    r"error sending request|failed to fetch|dns error|timed out|connection (?:refused|reset)",
    re.IGNORECASE,
)
_LOOK_S = 0.1
_MEASURE_S = 2.0
_LEAST_FREE_BYTES = 512 * 1024**2
_LONGEST_REASON = 800
_GONE = frozenset({"VIRTUAL_ENV", "CONDA_PREFIX", "PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP"})


class UvEnvironments:
    """An ``EnvironmentBuilder`` that calls ``uv``, with whatever index its own settings name.

    Parameters
    ----------
    root
        Where the environments lie.
    timeout_s
        How long locking or building one may take.
    limit_bytes
        How large one may become.
    """

    def __init__(
        self, root: Path, *, timeout_s: float = 1800.0, limit_bytes: int = 20 * 1024**3
    ) -> None:
        self._root = root.absolute()
        self._timeout_s = timeout_s
        self._limit_bytes = limit_bytes

    def interpreters(self) -> Sequence[Interpreter]:
        """Find the Pythons of this machine, the server's own first."""
        found = {_own().minor: _own()}
        command = [_uv(), "python", "list", "--only-installed", "--output-format", "json"]
        listed = subprocess.run(command, env=_environment(), capture_output=True, check=False)
        for one in msgspec.json.decode(listed.stdout or b"[]"):
            if one["implementation"] == "cpython" and one["variant"] == "default":
                real = Path(one["path"]).resolve()
                interpreter = Interpreter(real, one["version"])
                found.setdefault(interpreter.minor, interpreter)
        return tuple(found.values())

    def lock(
        self, requirements: Sequence[str], interpreter: Interpreter, check: Callable[[], None]
    ) -> str:
        """Pin every package that ``requirements`` need, each with the digests of its files.

        Raises
        ------
        InvalidInput
            There is no such set of packages for this Python; says which requirement, and why.
        NotSupported
            uv is not installed.
        Unavailable
            The package index does not answer.
        """
        with tempfile.TemporaryDirectory(prefix="clary-lock-") as folder:
            asked, pinned = Path(folder) / "requirements.txt", Path(folder) / "lock.txt"
            asked.write_text("\n".join([*requirements, ""]))
            command = [_uv(), "pip", "compile", "-q", str(asked), "-o", str(pinned)]
            command += ["--python", str(interpreter.path), "--only-binary", ":all:"]
            command += ["--generate-hashes", "--no-header", "--no-annotate"]
            command += ["--no-emit-index-url", "--no-emit-find-links"]
            said = self._run(command, check)
            if said is not None:
                problem = f"no packages for Python {interpreter.version} meet them: {said}"
                raise InvalidInput("requirements", problem)
            return pinned.read_text()

    def build(self, lock: str, interpreter: Interpreter, check: Callable[[], None]) -> str:
        """Install a lock unless that has been done, and return the environment's id.

        Raises
        ------
        ClaryError
            A package cannot be installed, or the environment grows too large; says which.
        Unavailable
            The package index does not answer, or it takes too long.
        """
        known = f"{interpreter.path}\n{interpreter.version}\n{lock}"
        environment = hashlib.sha256(known.encode()).hexdigest()[:24]
        if self.folder(environment) is not None:
            return environment
        with self._alone(environment, check) as held:
            if self.folder(environment) is None:
                self._draft(environment, lock, interpreter, held, check)
        return environment

    def folder(self, environment: str) -> Path | None:
        """Where an environment lies; None when it is not built."""
        if not _ID.fullmatch(environment):
            return None
        folder = self._root / environment
        return folder if folder.is_dir() else None

    def built(self) -> Sequence[Built]:
        """Every environment, the newest first."""
        folders = [path for path in self._root.glob("*") if _ID.fullmatch(path.name)]
        found = [
            Built(path.name, _size(path), datetime.fromtimestamp(path.stat().st_mtime, UTC))
            for path in folders
        ]
        return sorted(found, key=lambda one: one.built_at, reverse=True)

    def remove(self, environment: str) -> None:
        """Remove an environment; removing an absent one is no error."""
        folder = self.folder(environment)
        if folder is not None:
            gone = self._root / f".draft-{environment}-{secrets.token_hex(8)}"
            folder.rename(gone)
            shutil.rmtree(gone)

    def _draft(
        self,
        environment: str,
        lock: str,
        interpreter: Interpreter,
        held: int,
        check: Callable[[], None],
    ) -> None:
        for left in self._root.glob(f".draft-{environment}-*"):
            shutil.rmtree(left)
        draft = self._root / f".draft-{environment}-{secrets.token_hex(8)}"
        try:
            self._fill(draft, lock, interpreter, held, check)
            os.sync()  # a rename that outlives its files would be an environment of empty files
            draft.rename(self._root / environment)
        finally:
            shutil.rmtree(draft, ignore_errors=True)

    def _fill(
        self,
        draft: Path,
        lock: str,
        interpreter: Interpreter,
        held: int,
        check: Callable[[], None],
    ) -> None:
        python = str(interpreter.path)
        make = [_uv(), "venv", "-q", "--relocatable", "--python", python, str(draft)]
        self._must(self._run(make, check, held=held))
        pinned = draft / "lock.txt"
        pinned.write_text(lock)
        install = [_uv(), "pip", "install", "-q", "--python", str(draft / "bin" / "python")]
        install += ["--only-binary", ":all:", "--no-deps", "--require-hashes", "-r", str(pinned)]
        self._must(self._run(install, check, draft=draft, held=held))
        # of the bare interpreter, because that of the environment runs what its packages' .pth say
        compile_all = [python, "-I", "-S", "-m", "compileall", "-qq", "-j", "2", str(draft / "lib")]
        self._run(compile_all, check, draft=draft, held=held)  # fails on templates, which is fine

    @staticmethod
    def _must(said: str | None) -> None:
        if said is not None:
            raise ClaryError(f"the environment cannot be built: {said}")

    def _run(
        self,
        command: Sequence[str],
        check: Callable[[], None],
        *,
        draft: Path | None = None,
        held: int | None = None,
    ) -> str | None:
        """Run a command to its end; returns what it complained of when it failed."""
        deadline = time.monotonic() + self._timeout_s
        measured = time.monotonic()
        with tempfile.TemporaryFile() as output:
            process = subprocess.Popen(
                command,
                cwd="/",
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=() if held is None else (held,),
            )
            try:
                while process.poll() is None:
                    check()
                    if time.monotonic() > deadline:
                        raise Unavailable(f"it takes longer than {self._timeout_s:.0f} s")
                    if draft is not None and time.monotonic() - measured > _MEASURE_S:
                        self._bound(draft)
                        measured = time.monotonic()
                    time.sleep(_LOOK_S)
            finally:
                process.kill()
                process.wait()
            output.seek(0)
            said = _readable(output.read().decode("utf-8", "replace"))
        if process.returncode and _UNREACHABLE.search(said):
            raise Unavailable(f"the package index does not answer: {said}")
        if draft is not None:
            self._bound(draft)
        return said if process.returncode else None

    def _bound(self, draft: Path) -> None:
        if _size(draft) > self._limit_bytes:
            raise ClaryError(f"the environment is larger than {self._limit_bytes >> 20} MiB")
        if shutil.disk_usage(self._root).free < _LEAST_FREE_BYTES:
            raise ClaryError("the environment does not fit: no space is left on this machine")

    @contextmanager
    def _alone(self, environment: str, check: Callable[[], None]) -> Iterator[int]:
        """Hold an environment's lock file, which the processes that are started hold as well."""
        self._root.mkdir(mode=0o755, parents=True, exist_ok=True)
        file = os.open(self._root / f".lock-{environment}", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            while not _locked(file):
                check()
                time.sleep(_LOOK_S)
            yield file
        finally:
            os.close(file)


def _locked(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _own() -> Interpreter:
    version = ".".join(map(str, sys.version_info[:3]))
    name = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    path = Path(sys.base_exec_prefix) / "bin" / name
    return Interpreter((path if path.exists() else Path(sys.executable)).resolve(), version)


def _uv() -> str:
    """Find uv beside this interpreter or on the PATH. Raises NotSupported."""
    if importlib.util.find_spec("uv") is not None:
        from uv import find_uv_bin  # noqa: PLC0415 - an extra

        return find_uv_bin()
    if found := shutil.which("uv"):
        return found
    raise NotSupported(
        "environments are built by uv, which is not installed here: "
        "pip install 'clary[environments]'"
    )


def _environment() -> Mapping[str, str]:
    """Give uv the server's variables, and the Pythons of pyenv to look through."""
    kept = {name: value for name, value in os.environ.items() if name not in _GONE}
    pyenv = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser() / "versions"
    path = [os.environ.get("PATH", os.defpath), *map(str, sorted(pyenv.glob("*/bin")))]
    fixed = {"UV_PYTHON_DOWNLOADS": "never", "UV_NO_PROGRESS": "1", "NO_COLOR": "1"}
    return kept | fixed | {"PATH": os.pathsep.join(path)}


def _readable(said: str) -> str:
    """Keep the end of what uv said, on one line, without the address of any index."""
    words = re.findall(r"[!-~]+", said)  # no signs that only draw a tree
    plain = _URL.sub("<the index>", " ".join(words))
    return plain if len(plain) <= _LONGEST_REASON else f"{plain[:_LONGEST_REASON]}…"


def _size(folder: Path) -> int:
    """Measure the files below a folder, as far as they are still there."""
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            try:
                total += Path(path, name).lstat().st_size
            except FileNotFoundError:
                continue
    return total
