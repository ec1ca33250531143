"""How soon the server answers, and how fast: beside a bare application under the same uvicorn."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from contextlib import closing, contextmanager
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from bare import __file__ as bare_file
from figure import Figure, interleaved_s
from served import DEADLINE_S, Line, free_port, serving, start, stop, wait_ready

if TYPE_CHECKING:
    from collections.abc import Callable

ROLE = "arn:aws:iam::123456789012:role/clary"
DEFINITION = {
    "Version": "2020-12-01",
    "Steps": [{"Name": "End", "Type": "Fail", "Arguments": {"ErrorMessage": "as planned"}}],
}
CALLS = 100


def bare(port: int, size: int) -> subprocess.Popen[bytes]:
    """Start the bare application."""
    return subprocess.Popen((sys.executable, bare_file, str(port), str(size)))


def readiness_s(begin: Callable[[int], subprocess.Popen[bytes]]) -> float:
    """Return the time from the start of a server to its first answer."""
    port = free_port()
    began = time.perf_counter()
    process = begin(port)
    wait_ready(process, port)
    took_s = time.perf_counter() - began
    stop(process)
    return took_s


def readiness(folder: Path) -> Figure:
    """Measure ours on a home that is new each time."""
    mine, least = [], []
    for number in range(5):
        home = folder / f"home-{number}"
        mine.append(readiness_s(lambda port, home=home: start(home, port)))
        least.append(readiness_s(lambda port: bare(port, 16)))
    return Figure(
        "ready after its start, new home", median(mine), "s", 2, "bare application", median(least)
    )


def ended_execution(served) -> str:
    """Run a pipeline that fails at once; return its execution's ARN."""
    client = served.client("sagemaker")
    client.create_pipeline(
        PipelineName="bench",
        PipelineDefinition=json.dumps(DEFINITION),
        ClientRequestToken="0" * 32,
        RoleArn=ROLE,
    )
    arn = client.start_pipeline_execution(PipelineName="bench", ClientRequestToken="1" * 32)
    arn = arn["PipelineExecutionArn"]
    until = time.monotonic() + DEADLINE_S
    while time.monotonic() < until:
        found = client.describe_pipeline_execution(PipelineExecutionArn=arn)
        if found["PipelineExecutionStatus"] == "Failed":
            return arn
        time.sleep(0.05)
    raise TimeoutError(found)


@contextmanager
def line(to):
    """Open a connection that is warm."""
    with closing(Line(to)) as opened:
        yield opened


def latency(folder: Path) -> Figure:
    """Measure DescribePipelineExecution on one kept connection, each request signed."""
    with serving(folder / "home") as served:
        arn = ended_execution(served)
        request = served.signed("DescribePipelineExecution", {"PipelineExecutionArn": arn})
        with line(served.address) as ours:
            size = len(ours.ask(request))
            port = free_port()
            limit = bare(port, size)
            try:
                wait_ready(limit, port)
                with line(("127.0.0.1", port)) as theirs:
                    actions = [lambda: ours.ask(request), lambda: theirs.ask(request)]
                    interleaved_s(CALLS, *actions)
                    mine, least = interleaved_s(10 * CALLS, *actions)
            finally:
                stop(limit)
    return Figure(
        "DescribePipelineExecution, p50", mine * 1000, "ms", 3, "bare application", least * 1000
    )


def figures():
    """Measure both."""
    with tempfile.TemporaryDirectory() as folder:
        return [readiness(Path(folder)), latency(Path(folder))]
