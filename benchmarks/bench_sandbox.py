"""What isolating a job's process costs: the runner's start to its end, beside a plain process."""

from __future__ import annotations

import itertools
import subprocess
import sys
import tempfile
from pathlib import Path

from figure import Figure, interleaved_s

from clary.adapters.process.runner import ProcessRunner
from clary.jobs.ports import ProcessSpec

ARGV = (sys.executable, "-I", "-S", "-c", "pass")
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
RUNS = 41


def figures():
    """Measure a Python that does nothing, run by the runner and by ``subprocess``."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        runner = ProcessRunner(root / "processes")
        numbers = itertools.count()

        def isolated():
            name = f"bench-{next(numbers)}"
            ml = runner.workspace(name)
            log = root / f"{name}.log"
            runner.start(
                ProcessSpec(
                    id=name, argv=ARGV, environment=ENVIRONMENT, ml=ml, cwd="/opt/ml", log=log
                )
            )
            ended = runner.wait(name, 30.0)
            assert ended is not None, name
            assert ended.exit_code == 0, (ended, log.read_text())

        def plain():
            subprocess.run(ARGV, env=ENVIRONMENT, check=True, stdin=subprocess.DEVNULL)

        isolated()  # probes the ladder once
        with_sandbox, without = interleaved_s(RUNS, isolated, plain)
        for number in range(next(numbers)):
            runner.discard(f"bench-{number}")
    return [
        Figure(
            "isolated process less a plain one",
            (with_sandbox - without) * 1000,
            "ms",
            20,
            "the plain process itself",
            without * 1000,
        )
    ]
