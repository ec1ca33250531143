"""A server that is killed at any point of a job: another one ends the job, and runs it once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.jobs.conftest import ACCOUNT, BUCKET, REGION, World, job, processing

from clary.jobs import model
from clary.kernel.clock import now
from clary.kernel.resource import Bucket

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = """
import os, time
print("the script runs", flush=True)
open("/opt/ml/processing/out/text", "w").write(open("/opt/ml/processing/in/a.txt").read())
open("/opt/ml/processing/out/more", "w").write("more")
"""
LONG_SCRIPT = SCRIPT + "time.sleep(1.1)"  # from a second on, a job's upload is a stage of its own
POINTS = [f"{side}:{number}" for number in range(1, 4) for side in ("before", "after")]
LATE_POINTS = [f"{side}:{number}" for number in (3, 4) for side in ("before", "after")]


@contextmanager
def server(home, point):
    command = [sys.executable, "-m", "tests.jobs.server", str(home), point]
    path = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
    process = subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": path}, stdout=subprocess.PIPE
    )
    try:
        assert process.stdout.readline() == b"ready\n"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.fixture
def home(tmp_path):
    world = World(tmp_path, lease_s=0.5)
    world.objects.create_bucket(Bucket(BUCKET, ACCOUNT, REGION, now()))
    world.put("in/a.txt", "content")
    world.put("code/s.py", SCRIPT)
    return world


def request():
    return processing(
        "code/s.py",
        inputs=[("in", f"s3://{BUCKET}/in/", "/opt/ml/processing/in", {})],
        outputs=[("out", f"s3://{BUCKET}/out", "/opt/ml/processing/out", "EndOfJob")],
    )


@pytest.mark.parametrize(
    ("script", "point"),
    [
        *((SCRIPT, point) for point in (*POINTS, "start", "put", "discard")),
        *((LONG_SCRIPT, point) for point in LATE_POINTS),
    ],
    ids=lambda value: "" if "\n" in value else value,
)
def test_killed_at(home, script, point):
    home.put("code/s.py", script)
    ref = job("processing", "j")
    home.jobs.create(ref, request(), actor="tester", kept={"More": ("out", "more")})
    with server(home.home, point) as process:
        assert process.wait(60) == -signal.SIGKILL
    home.worker.start()
    done = home.wait(ref)
    assert done.status == "Completed", done.body
    assert home.read("out/text") == b"content"
    assert home.jobs.kept(ref) == {"More": "more"}
    assert [line for line in home.log(ref) if "runs" in line] == ["the script runs"]
    actions = [event.action for event in home.store.events(ref=ref)]
    assert actions.count("processing-job.completed") == 1
    produced = [link for link in home.store.links(ref, incoming=False) if link.role == "out"]
    assert len(produced) == 1
    assert home.worker.stop()


def test_a_running_process_is_looked_after_by_the_next_server(home):
    home.put("code/s.py", SCRIPT + "\nwhile not os.path.exists('/opt/ml/go'): time.sleep(0.01)\n")
    ref = job("processing", "long")
    home.jobs.create(ref, request(), actor="tester")
    with server(home.home, "never"):
        home.wait(ref, until=lambda one: one.body.get("stage") == "Running" and started(home, ref))
    state = model.read(home.jobs.get(ref))
    process = state.process("algo-1")
    assert home.runner.status(process).state == "running"
    home.worker.start()
    (home.runner.workspace(process) / "go").touch()
    assert home.wait(ref).status == "Completed"
    assert model.read(home.jobs.get(ref)).attempt == 1
    assert home.worker.stop()


def started(world, ref):
    process = model.read(world.jobs.get(ref)).process("algo-1")
    status = world.runner.status(process)
    return status is not None and status.started_at is not None and status.state == "running"


def test_processes_that_vanish_are_started_again_but_not_for_ever(home):
    home.put("code/s.py", SCRIPT + "\ntime.sleep(600)\n")
    ref = job("processing", "lost")
    home.jobs.create(ref, request(), actor="tester")
    home.worker.start()
    for attempt in range(1, model.MOST_LOSSES + 1):
        home.wait(
            ref,
            until=lambda one, attempt=attempt: (
                model.read(one).attempt == attempt
                and model.read(one).stage == "Running"
                and started(home, ref)
            ),
        )
        home.runner.discard(model.read(home.jobs.get(ref)).process("algo-1"))
    done = home.wait(ref)
    assert done.status == "Failed"
    assert model.read(done).failure.startswith("InternalServerError: a process ")
    assert model.read(done).failure.endswith(", 3 times")
    assert home.worker.stop()


def test_stopping_the_worker_leaves_the_job_to_the_next(home):
    home.put("code/s.py", SCRIPT + "\nwhile not os.path.exists('/opt/ml/go'): time.sleep(0.01)\n")
    ref = job("processing", "handed")
    home.jobs.create(ref, request(), actor="tester")
    home.worker.start()
    home.wait(ref, until=lambda _: started(home, ref))
    before = time.monotonic()
    assert home.worker.stop()
    assert time.monotonic() - before < 30
    second = home.new_worker()
    second.start()
    process = model.read(home.jobs.get(ref)).process("algo-1")
    (home.runner.workspace(process) / "go").touch()
    assert home.wait(ref).status == "Completed"
    assert second.stop()
