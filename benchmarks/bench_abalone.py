"""What the pipeline of `clary demo` takes beyond its scripts, from a new home to the scores."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import median

from figure import Figure

DATA = Path(__file__).resolve().parent.parent / "examples/abalone/data.py"
JOBS = 8
RUNS = 3
TICK_S = 0.002


def read(path: Path) -> dict[str, float]:
    """Read a record of the process runner; empty when it is not there (any more)."""
    with suppress(OSError, ValueError):
        return json.loads(path.read_bytes())
    return {}


@contextmanager
def watching(processes: Path):
    """Collect how long each job's process takes, from its supervisor's records."""
    took_s: dict[str, float] = {}
    over = threading.Event()

    def watch():
        while not over.wait(TICK_S):
            for end in processes.glob("[!.]*/exit.json"):
                name = end.parent.name
                started, ended = read(end.with_name("started.json")), read(end)
                if started and ended:
                    took_s[name] = ended["ended_at"] - started["started_at"]

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield took_s
    finally:
        over.set()
        thread.join()


def timed(*argv: str | Path) -> float:
    """Run a program; return its wall time."""
    began = time.perf_counter()
    done = subprocess.run(argv, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return time.perf_counter() - began


def figures():
    """Run the demo a few times, each on a home of its own."""
    beyond, own = [], []
    for _ in range(RUNS):
        with tempfile.TemporaryDirectory() as folder:
            home = Path(folder) / "home"
            data_s = timed(sys.executable, DATA, folder)
            demo = ("-m", "clary", "demo", "--no-monitor", "--home", home)
            with watching(home / "processes") as took_s:
                whole_s = timed(sys.executable, *demo)
            assert len(took_s) == JOBS, took_s
            own.append(data_s + sum(took_s.values()))
            beyond.append(whole_s - own[-1])
    return [
        Figure(
            "clary demo less its scripts (data.py and eight jobs)",
            median(beyond),
            "s",
            3,
            "the scripts' own time",
            median(own),
        )
    ]
