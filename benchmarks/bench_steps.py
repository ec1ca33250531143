"""What orchestration costs a trivial step: ours, isolated and durable, beside three engines."""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from pathlib import Path
from statistics import median

from figure import Figure, peer_python

import clary

PEERS = Path(__file__).resolve().parent / "peers"
REQUIREMENTS = {
    "metaflow": ("metaflow>=2.19,<3", "setuptools<81"),
    "dagster": ("dagster>=1.11,<2",),
    "prefect": ("prefect>=3.4,<4", "fastapi<0.116"),
}
STEPS = {"chain": 20, "fan": 100}
RUNS = 5


@clary.step
def zero() -> int:
    """Begin."""
    return 0


@clary.step
def increase(number: int) -> int:
    """Do next to nothing."""
    return number + 1


@clary.pipeline
def chain() -> None:
    """Run 20 steps, each on the result of the one before."""
    number = zero()
    for _ in range(STEPS["chain"] - 1):
        number = increase(number)


@clary.pipeline
def fan() -> None:
    """Run 100 steps that do not depend on each other."""
    for number in range(STEPS["fan"]):
        increase(number)


def figures() -> list[Figure]:
    """Measure both shapes, ours between the peers."""
    peers = {name: _peer(name) for name in REQUIREMENTS}
    ours = _ours()
    goals = [("metaflow", 1 / 50), ("dagster", 1 / 10), ("prefect", 1.0)]
    return [
        Figure(
            f"{shape} of {STEPS[shape]}, a step",
            ours[shape] * 1e3,
            "ms",
            round(peers[name][shape] * share * 1e3, 2),
            name,
            peers[name][shape] * 1e3,
        )
        for shape in STEPS
        for name, share in goals
    ]


def _ours() -> dict[str, float]:
    with tempfile.TemporaryDirectory() as home:
        session = clary.connect(home)
        try:
            for pipeline in (chain, fan):  # the fork server starts with the first step
                pipeline.start().wait()
            return {
                "chain": median(_seconds(chain) for _ in range(RUNS)) / STEPS["chain"],
                "fan": median(_seconds(fan) for _ in range(RUNS)) / STEPS["fan"],
            }
        finally:
            session.close()


def _seconds(pipeline: clary.Pipeline) -> float:
    begin = time.perf_counter()
    run = pipeline.start().wait()
    took = time.perf_counter() - begin
    if run.status != "Succeeded":
        raise RuntimeError(f"it ended as {run.status}")
    return took


def _peer(name: str) -> dict[str, float]:
    python = peer_python(name, REQUIREMENTS[name])
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [str(python), str(PEERS / f"{name}_steps.py"), folder],
            check=True,
            capture_output=True,
            text=True,
            cwd=folder,
        )
    times: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return times
