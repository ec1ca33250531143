"""Feast in an environment of its own: its Python API line by line, and its feature server."""

from __future__ import annotations

import json
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from figure import peer_python
from served import DEADLINE_S, free_port, wait_ready

if TYPE_CHECKING:
    from collections.abc import Iterator

REQUIREMENTS = ("feast[duckdb]==0.67.0", "pandas<3", "uvicorn", "uvicorn-worker")
PROGRAM = Path(__file__).resolve().parent / "peers" / "feast_store.py"


class Feast:
    """A Feast store of so many entities of ten floats, on a folder."""

    def __init__(self, folder: Path, entities: int) -> None:
        self.folder = folder
        folder.mkdir()
        argv = [str(python()), str(PROGRAM), str(folder), str(entities)]
        self._process = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def measure(self, name: str, count: int = 0, runs: int = 1) -> list[float]:
        """Return what it took, in seconds."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([name, count, runs]) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"Feast ended with {self._process.wait()}"
        return json.loads(line)

    def close(self) -> None:
        """End it."""
        self._process.communicate(timeout=DEADLINE_S)

    @contextmanager
    def serving(self) -> Iterator[int]:
        """Serve it as its documentation says, by one worker; give the port."""
        port = free_port()
        argv = [str(python().parent / "feast"), "-c", str(self.folder), "serve"]
        argv += ["--host", "127.0.0.1", "--port", str(port), "--no-access-log"]
        process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_ready(process, port, "/health")
            yield port
        finally:
            process.terminate()
            process.wait(DEADLINE_S)


def python() -> Path:
    """Return its interpreter."""
    return peer_python("feast-0.67", REQUIREMENTS)
