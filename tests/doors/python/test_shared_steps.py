"""Steps that share a sandbox: nothing of one is seen by another, and none takes others along."""

from __future__ import annotations

import builtins
import ctypes
import math
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pandas as pd  # noqa: TC002 - annotations of steps are read
import pytest

import clary
from clary.adapters.sqlite import SqliteStore
from clary.doors.python.session import connect
from clary.kernel.names import Ref
from clary.kernel.resource import Query

pytestmark = pytest.mark.usefixtures("session")
STEPS = 12


def sandbox() -> str:
    """Name it by its first process too: a number of a namespace that is gone is given again."""
    since = Path("/proc/1/stat").read_text().rpartition(") ")[2].split()[19]
    return f"{Path('/proc/self/ns/pid').stat().st_ino} since {since}"


@clary.step
def where(_: int) -> dict:
    return {"sandbox": sandbox(), "pid": os.getpid(), "parent": os.getppid()}


@clary.step(process=True)
def alone(_: int) -> dict:
    return {"sandbox": sandbox()}


@clary.step
def messy(n: int) -> dict:
    os.environ["LEFT"] = "x"
    builtins.left = True
    random.seed(n)
    drawn = random.random()
    Path("left").touch()
    Path(os.environ["TMPDIR"], "left").touch()
    Path("/dev/shm/left").touch()
    os.chdir("/")
    subprocess.Popen(["/bin/sleep", "1000"], start_new_session=True)
    print("messy says", n)
    return {"drawn": drawn, "sandbox": sandbox()}


@clary.step
def clean(before: dict) -> dict:
    found = {
        "environment": "LEFT" in os.environ,
        "builtins": hasattr(builtins, "left"),
        "folder": {one.name for one in Path().iterdir()} - {"input", "output"},
        "scratch": list(Path(os.environ["TMPDIR"]).iterdir()),
        "shared memory": list(Path("/dev/shm").iterdir()),
        "processes": [
            one.name
            for one in Path("/proc").glob("[0-9]*")
            if b"sleep" in (one / "cmdline").read_bytes()
        ],
        "drawn": random.random() == before["drawn"],
    }
    assert sandbox() == before["sandbox"]
    return {name: str(value) for name, value in found.items() if value}


@clary.step
def one() -> int:
    return 1


@clary.step
def ends(n: int, how: str) -> int:
    if how == "exit":
        os._exit(3)
    if how == "segfault":
        ctypes.string_at(0)
    if how == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "sys.exit":
        sys.exit(4)
    if how == "memory":
        raise MemoryError
    raise ValueError("no good")


@clary.step
def rows_of(frame: pd.DataFrame) -> int:
    return len(frame)


@clary.step
def given(value: Any) -> Any:
    return value


@clary.step
def ratio(total: float) -> float:
    return total / math.inf * math.inf


@clary.step
def kills_host(n: int) -> bool:
    is_shared = "SAGEMAKER_BASE_DIR" in os.environ
    if is_shared:
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(10)
    return is_shared


@clary.step
def prints(count: int) -> int:
    for number in range(count):
        print(f"line {number:08}")
    return count


@clary.step
def slow(n: int, seconds: float) -> str:
    print("begun", flush=True)
    time.sleep(seconds)
    print("done")
    return f"{n} {sandbox()}"


@clary.step
def many(n: int) -> list[int]:
    return list(range(n))


@clary.step
def total(numbers: list[int]) -> int:
    return sum(numbers)


@clary.step
def links(n: int) -> int:
    folder = Path(os.environ["SAGEMAKER_BASE_DIR"], "processing/output/result")
    (folder / "leak").symlink_to("/etc/passwd")
    return n


@clary.step(retries=3)
def later(at: float) -> bool:
    assert time.time() >= at
    return True


@clary.step(cache=True)
def remembered(n: int) -> int:
    return n + 1


def run(body, **values):
    return clary.pipeline(name=body.__name__.replace("_", "-"))(body).start(**values)


def test_steps_share_a_sandbox_but_no_process():
    def sharing() -> None:
        first = where(0)
        alone(0)
        where.options(after=[first])(0)

    done = run(sharing).wait()
    first, second = done["where"].result(), done["where-2"].result()
    assert first["sandbox"] == second["sandbox"] != done["alone"].result()["sandbox"]
    assert first["parent"] == second["parent"]
    assert first["pid"] != second["pid"]


def test_what_a_step_leaves_is_gone_for_the_next():
    def leaving() -> None:
        clean(messy(7))

    done = run(leaving).wait()
    assert done["clean"].result() == {}
    assert done["messy"].logs() == ["messy says 7"]
    assert done["clean"].logs() == []


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ("exit", "exit code: 3"),
        ("segfault", "139"),
        ("killed", "137"),
        ("sys.exit", "4"),
        ("memory", "MemoryError"),
        ("error", "ValueError: no good"),
    ],
)
def test_a_step_that_dies_fails_alone(how, why):
    def dying(how: str) -> None:
        ends(one(), how)
        square = one.options(name="beside")()
        one.options(name="after", after=[square])()

    failed = run(dying, how=how)
    with pytest.raises(clary.JobFailed, match="Step ends failed"):
        failed.wait()
    assert failed["one"].status == failed["beside"].status == "Succeeded"
    assert why in failed["ends"].reason, failed["ends"].reason


def test_a_step_whose_sandbox_was_killed_runs_again_by_itself():
    def killing() -> None:
        kills_host(one())
        one.options(name="beside")()

    done = run(killing).wait()
    assert done["kills_host"].result() is False


@pytest.mark.parametrize("count", [3, 4_000, 20_000])
def test_every_line_of_the_log_is_kept(count):
    def printing(count: int) -> None:
        prints(count)

    done = run(printing, count=count).wait()
    assert done["prints"].logs() == [f"line {number:08}" for number in range(count)]


def test_large_values_travel_too():
    def large(n: int) -> None:
        total(many(n))

    for n in (10, 10_000, 60_000):
        assert run(large, n=n).wait()["total"].result() == sum(range(n))


def test_values_go_from_step_to_step_as_they_are():
    def whole() -> None:
        with clary.when(ratio(math.nan) <= 1.0):
            one()
        given({1, 2})
        given(given({1: "a", "b": (2, None)}))
        given(given({"value": 1}))

    done = run(whole).wait()
    assert (done["when-ratio"].outcome, done["one"].status) == ("False", "NotStarted")
    assert done["given"].result(unpickle=True) == {1, 2}
    assert done["given-3"].result(unpickle=True) == {1: "a", "b": (2, None)}
    assert done["given-5"].result() == {"value": 1}


@pytest.mark.parametrize("kind", [str, Path])
def test_a_frame_may_be_the_path_of_a_table(kind, tmp_path):
    (tmp_path / "rows.csv").write_text("a,b\n1,2\n3,4\n")

    def counting() -> None:
        rows_of(kind(tmp_path / "rows.csv"))

    assert run(counting).wait()["rows_of"].result() == 2


def test_a_link_out_of_the_outputs_is_refused():
    def linking() -> None:
        links(1)

    with pytest.raises(clary.JobFailed, match="is a link to '/etc/passwd'"):
        run(linking).wait()


def test_a_failed_step_is_tried_again():
    def trying(at: float) -> None:
        later(at)

    done = run(trying, at=time.time() + 2.5).wait()  # a busy machine begins late
    assert done["later"].attempts > 1


def test_results_are_reused():
    def reusing(n: int) -> None:
        remembered(n)

    assert not run(reusing, n=1).wait()["remembered"].cached
    again = run(reusing, n=1).wait()["remembered"]
    assert again.cached
    assert again.result() == 2


def test_a_long_step_becomes_a_job_of_its_own(session):
    def long(n: int) -> None:
        slow(n, 1.0)

    started = run(long, n=5)
    job = None
    while job is None:
        for found in session.platform.store.select(Query("processing-job", limit=1)).items:
            if found.parent == started.ref:
                job = found
    assert job.status == "InProgress"
    assert job.body["shared"]
    while not started["slow"].logs():  # its log is written while it runs
        time.sleep(0.01)
    started.wait()
    assert started["slow"].logs() == ["begun", "done"]
    assert session.platform.store.get(job.ref).body["attempt"] == 1


def test_more_long_steps_than_sandboxes():
    def longs() -> None:
        for number in range(6):
            slow(number, 0.6)

    done = run(longs).wait()
    assert len({one.result().split()[1] for one in done.steps.values()}) > 1


def test_a_stopped_execution_stops_what_runs():
    def stopping() -> None:
        slow(1, 100.0)

    started = run(stopping)
    while started["slow"].status != "Executing":
        time.sleep(0.01)
    started.stop()
    with pytest.raises(clary.JobFailed):
        started.wait()
    assert started.status == started["slow"].status == "Stopped"


def test_sandboxes_are_cleared_away(session):
    until = time.monotonic() + 20
    while left := list((session.home / "processes").glob("[a-zA-Z0-9]*")):
        assert time.monotonic() < until, [sorted(one.rglob("*")) for one in left]
        time.sleep(0.05)


PROGRAM = """
import sys, clary
import {module} as tests
with clary.connect(sys.argv[1]):
    started = clary.pipeline(name="killed")(tests.{name}).start()
    print(started.ref.name, flush=True)
    started.wait()
"""


def killed() -> None:
    numbers = many(3)
    for _ in range(STEPS):
        numbers = turned(numbers)


def killed_late() -> None:
    total(turned.options(name="long")(many(3), 1.5))


@clary.step
def turned(numbers: list[int], seconds: float = 0.0) -> list[int]:
    time.sleep(seconds)
    return [*numbers[1:], numbers[0]]


def start_and_kill(home, name, is_time):
    """Run a pipeline in a process that is killed when it is time; returns the execution's name."""
    program = PROGRAM.format(module=Path(__file__).stem, name=name)
    here = str(Path(__file__).parent)
    child = subprocess.Popen(
        [sys.executable, "-c", program, str(home)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([here, *sys.path])},
    )
    execution = child.stdout.readline().strip()
    is_time(execution)
    child.kill()
    child.wait()
    return execution


def check_once(opened, execution, steps):
    """Check that every job was made and completed once, and that nothing is left over."""
    ref = Ref(opened.account, "us-east-1", "pipeline-execution", execution)
    actions = Counter(
        (event.action, event.ref)
        for event in opened.platform.store.events(limit=10_000)
        if event.ref.kind in {"processing-job", "pipeline-step", "pipeline-execution"}
        and not event.action.endswith(".advanced")
    )
    assert set(actions.values()) == {1}, actions
    jobs = opened.platform.store.select(Query("processing-job", parent=ref)).items
    assert [job.status for job in jobs] == ["Completed"] * steps
    until = time.monotonic() + 20
    while left := [one.name for one in (opened.home / "processes").glob("[a-zA-Z0-9]*")]:
        assert time.monotonic() < until, left
        time.sleep(0.05)
    return {job.ref: job for job in jobs}


@pytest.mark.parametrize(
    "seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(2, 20))]
)
def test_a_process_killed_at_any_moment_loses_and_doubles_nothing(seed, tmp_path):
    wait_s = random.Random(seed).uniform(0.0, 0.25)
    execution = start_and_kill(tmp_path, "killed", lambda _: time.sleep(wait_s))
    with connect(tmp_path) as opened:
        done = opened.execution(execution).wait(timeout_s=60)
        assert done.status == "Succeeded"
        check_once(opened, execution, STEPS + 1)
        last = f"turned-{STEPS}"
        assert done[last].result() == [(n + STEPS) % 3 for n in range(3)]


def test_a_long_step_outlives_the_process_that_began_it(tmp_path):
    seen = threading.Event()

    def is_job(execution):
        with closing(SqliteStore(tmp_path / "metadata.db")) as store:
            while not seen.is_set():
                for job in store.select(Query("processing-job")).items:
                    if job.body.get("shared"):
                        seen.set()

    execution = start_and_kill(tmp_path, "killed_late", is_job)
    with connect(tmp_path) as opened:
        done = opened.execution(execution).wait(timeout_s=60)
        jobs = check_once(opened, execution, 3)
        assert done["total"].result() == 3
        assert [job.body["attempt"] for job in jobs.values()] == [1, 1, 1]
        assert not any(job.body.get("losses") for job in jobs.values())
