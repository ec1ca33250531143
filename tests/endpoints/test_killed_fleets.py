"""A server killed on a fleet's way: the next one goes on, nothing is doubled, nothing is left."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from tests.endpoints.fleet_world import BUCKET, World, invocation

from clary.kernel.clock import now
from clary.kernel.resource import Bucket

CODE = {"code/inference.py": "def model_fn(f): pass\ndef predict_fn(data, model): return data"}
SERVER = textwrap.dedent(
    """
    import os, signal, sys, threading
    from pathlib import Path
    from tests.endpoints.fleet_world import World
    home, call, number = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    world = World(home, lease_s=0.3, drain_s=0.05)
    real, count = getattr(world.runner, call), 0
    def dying(*arguments, **named):
        global count
        count += 1
        if count == number: os.kill(os.getpid(), signal.SIGKILL)
        found = real(*arguments, **named)
        if count == -number: os.kill(os.getpid(), signal.SIGKILL)
        return found
    object.__setattr__(world.runner, call, dying)
    world.worker.start()
    threading.Event().wait(60)
    """
)


def killed_server(home, call, number):
    """Run a server that kills itself before the n-th call of its runner; after it when negative."""
    ran = subprocess.run(
        [sys.executable, "-c", SERVER, str(home), call, str(number)],
        cwd=Path(__file__).parents[2],
        timeout=60,
        check=False,
    )
    assert ran.returncode == -9


def prepared(home):
    world = World(home, lease_s=0.3, drain_s=0.05)
    world.objects.create_bucket(Bucket(BUCKET, "123456789012", "us-east-1", now()))
    ref = world.create("fleet", CODE, count=2, wait=False)
    return world, ref


@pytest.mark.parametrize(
    ("call", "number"),
    [("workspace", 2), ("workspace", 6), ("start", 1), ("start", -1), ("start", 2), ("start", -2)],
)
def test_killed_while_it_starts_workers(tmp_path, call, number):
    world, ref = prepared(tmp_path)
    killed_server(tmp_path, call, number)
    world.worker.start()
    try:
        world.wait(ref, lambda state: state.status == "InService")
        assert world.serials(ref) == [1, 2]
        assert world.processes() == ["fleet-1-0", "fleet-2-0"]
        assert world.client(ref).ask(invocation(b"1", "text/csv")).body == b"[[1.0]]"
    finally:
        world.close()


@pytest.mark.parametrize(
    ("call", "number"), [("stop", 1), ("stop", -1), ("discard", 1), ("discard", -2)]
)
def test_killed_while_it_ends_workers(tmp_path, call, number):
    world, ref = prepared(tmp_path)
    world.worker.start()
    world.wait(ref, lambda state: state.status == "InService")
    assert world.worker.stop()
    world.change("retire", ref)
    killed_server(tmp_path, call, number)
    world.worker = world.new_worker()
    world.worker.start()
    try:
        world.wait(ref, lambda state: state is None)
        left = [path.name for path in world.runner._root.iterdir() if path.name[0] != "."]
        assert left == []
    finally:
        world.close()
