"""A flow's own code, run over a table in a sandbox: no network, no file but its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from uuid import uuid4

import pyarrow as pa
from msgspec import Struct

from clary.flows.steps import Program
from clary.jobs.ports import ProcessSpec
from clary.kernel.codec import build, from_json, to_json
from clary.kernel.errors import InvalidInput, LimitExceeded

if TYPE_CHECKING:
    from clary.jobs.ports import JobRunner

Programs = Callable[[Program, pa.Table], pa.Table]
"""Runs code over a table."""
_MEMORY_BYTES = 4 << 30
_TIMEOUT_S = 600.0
_LARGEST = 2 << 30
_LONGEST = 32 << 10
_PROGRAM = Path(__file__).parent / "programs" / "custom_code.py"
_INSIDE = "/opt/ml"


class Failure(Struct, frozen=True):
    """How code failed, and at which of its lines; 0: at none."""

    error: str
    line: int = 0


class Sandbox:
    """Runs code as a process of its own, which sees the table and nothing else.

    Parameters
    ----------
    runner
        What isolates processes on this machine.
    memory_bytes, timeout_s
        What a program may use.
    """

    def __init__(
        self,
        runner: JobRunner,
        *,
        memory_bytes: int = _MEMORY_BYTES,
        timeout_s: float = _TIMEOUT_S,
    ) -> None:
        self._runner = runner
        self._memory = memory_bytes
        self._timeout_s = timeout_s

    def run(self, program: Program, table: pa.Table) -> pa.Table:
        """Run a program over a table.

        Raises
        ------
        InvalidInput
            The code failed: says how, and at which of its lines.
        LimitExceeded
            It took too long, too much memory, or gave too large a table.
        """
        name = f"flow-{uuid4().hex}"
        folder = self._runner.workspace(name)
        try:
            _put(folder, program, table)
            self._runner.start(self._spec(name, folder))
            status = self._runner.wait(name, self._timeout_s + 30)
            ended_by = status.ended_by if status else "timeout"
            if ended_by == "timeout":
                raise LimitExceeded(f"the code ran for more than {self._timeout_s:g} s")
            if ended_by == "memory":
                raise LimitExceeded(f"the code took more than {self._memory} bytes of memory")
            return _result(folder)
        finally:
            self._runner.discard(name)

    def _spec(self, name: str, folder: Path) -> ProcessSpec:
        return ProcessSpec(
            id=name,
            argv=(sys.executable, "-I", str(_PROGRAM), _INSIDE),
            environment={"PATH": "/usr/bin:/bin", "HOME": "/tmp", "LANG": "C.UTF-8"},  # noqa: S108 - the sandbox's own
            ml=folder,
            cwd=_INSIDE,
            log=folder.parent / "code.log",
            readable=(_PROGRAM.parent,),
            network=False,
            memory_bytes=self._memory,
            timeout_s=self._timeout_s,
            preload=("json", "numpy", "pandas", "pyarrow"),
        )


def beside(program: Program, table: pa.Table) -> pa.Table:
    """Run a program as a child of this process: for jobs, which are in a sandbox of their own.

    Raises
    ------
    InvalidInput
        The code failed: says how, and at which of its lines.
    LimitExceeded
        It took too long, or gave too large a table.
    """
    with TemporaryDirectory(prefix="clary-code-") as place:
        folder = Path(place)
        _put(folder, program, table)
        argv = [sys.executable, str(_PROGRAM), place]
        try:
            subprocess.run(argv, timeout=_TIMEOUT_S, stdin=subprocess.DEVNULL, check=False)
        except subprocess.TimeoutExpired:
            raise LimitExceeded(f"the code ran for more than {_TIMEOUT_S:g} s") from None
        return _result(folder)


def _put(folder: Path, program: Program, table: pa.Table) -> None:
    told = {"language": program.language, "code": program.code}
    (folder / "program.json").write_bytes(to_json(told))
    place = str(folder / "input.arrow")
    with pa.OSFile(place, "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)


def _result(folder: Path) -> pa.Table:
    failure, output = folder / "failure.json", folder / "output.arrow"
    if failure.is_file() and not failure.is_symlink():
        with failure.open("rb") as reading:
            told = build(Failure, from_json(reading.read(_LONGEST), field="code"), field="code")
        line = f"line {told.line}: " if told.line else ""
        raise InvalidInput("code", f"{line}{told.error}")
    if not output.is_file() or output.is_symlink():
        raise InvalidInput("code", "ended without a result")
    if output.stat().st_size > _LARGEST:
        raise LimitExceeded(f"the code gave more than {_LARGEST} bytes")
    try:
        with pa.OSFile(str(output)) as file:
            made = pa.ipc.open_file(file).read_all()
        made.validate(full=True)  # the code may have written it itself
    except (pa.ArrowException, OSError) as error:
        raise InvalidInput("code", f"gave no table: {error}") from None
    return made
