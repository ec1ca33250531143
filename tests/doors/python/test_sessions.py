"""Pipelines run in this process: results, failures, and what a session is to others."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
import time
import urllib.request
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pytest
import xgboost
from sklearn.linear_model import LinearRegression

import clary
from clary.doors.python.session import connect
from clary.governance.presence import find
from clary.kernel.resource import Query

FACTOR = 2
pytestmark = pytest.mark.usefixtures("session")


@clary.step
def rows(n: int) -> pd.DataFrame:
    return pd.DataFrame({"x": [float(i) for i in range(n)]})


@clary.step
def split(frame: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    return frame[1:], len(frame)


@clary.step
def doubled(values: list[float], frame: pd.DataFrame) -> dict[str, float]:
    return {"sum": FACTOR * (sum(values) + float(frame["x"].sum()))}


@clary.step
def fit(frame: pd.DataFrame) -> LinearRegression:
    return LinearRegression().fit(frame[["x"]], frame["x"])


@clary.step
def predicted(model: LinearRegression, at: float) -> float:
    return float(model.predict(pd.DataFrame({"x": [at]}))[0])


@clary.step
def written(text: str, count: int = 1) -> Path:
    path = Path("note.txt")
    path.write_text(text * count)
    return path


@clary.step
def read(path: Path) -> str:
    return path.read_text()


class Halves(NamedTuple):
    low: int
    high: int


@clary.step
def halved(n: int) -> Halves:
    return Halves(n // 2, n - n // 2)


@clary.step
def spread(halves: Halves) -> int:
    return halves.high - halves.low


@clary.step
def square(x: int) -> int:
    return x * x


@clary.step
def added(values: list[int], pair: tuple[int, str], **more: int) -> int:
    assert isinstance(pair, tuple)
    return sum(values) + pair[0] + sum(more.values())


@pytest.fixture(scope="module")
def ran(session):
    """Run a pipeline with values of all forms, once."""

    @clary.pipeline
    def whole(n: int = 4, word: str = "ab", at: float = 2) -> None:
        rest, count = split(rows(n))
        report = doubled([1.0, 2], rest)
        predicted(fit(rest), at)
        read(written(f"{word}-{n} ", count=2))
        spread(halved(9))
        squares = square.map([1, 2, 3])
        added(squares, (count, "x"), seven=7, sum=5)
        with clary.when(report["sum"] >= 18):
            read.options(name="reached")(written.options(name="w2")("yes"))
        with clary.otherwise():
            clary.fail("too small")

    return whole.start(n=4).wait(120)


@pytest.mark.parametrize(
    ("step", "value"),
    [
        ("doubled", {"sum": 18.0}),
        ("read", "ab-4 ab-4 "),
        ("reached", "yes"),
        ("spread", 1),
        ("square-2", 4),
        ("added", 14 + 4 + 12),
    ],
)
def test_values_travel_between_steps(ran, step, value):
    assert ran[step].result() == value


def test_results_come_back(ran):
    rest, count = ran["split"].result()
    assert (rest["x"].tolist(), count) == ([1.0, 2.0, 3.0], 4)
    assert ran["split"].result("result-2") == 4
    assert ran["predicted"].result() == pytest.approx(2.0)
    assert ran["written"].result().read_text() == "ab-4 ab-4 "
    assert list(ran["split"].outputs) == ["result-1", "result-2"]


def test_a_pickle_is_loaded_only_when_asked_for(ran, tmp_path):
    with pytest.raises(clary.InvalidInput, match=r"legal: result\(unpickle=True\)"):
        ran["fit"].result()
    assert ran["fit"].result(unpickle=True).predict(pd.DataFrame({"x": [5.0]})) == pytest.approx(5)
    assert (ran["fit"].download(tmp_path) / "result/model.tar.gz").exists()


def test_an_execution_says_how_it_is(ran, session):
    assert (ran.status, ran.reason) == ("Succeeded", "")
    assert ran.parameters == {"n": "4", "word": "ab", "at": "2.0"}
    assert ran["fail"].status == "NotStarted"
    assert ran["when-doubled"].outcome == "True"
    assert session.execution(ran.id).ref == ran.ref
    with pytest.raises(clary.InvalidInput, match=r"step nope: .* has none; legal: rows, split"):
        ran["nope"]
    with pytest.raises(clary.InvalidInput, match="result nope: there is none; legal: result"):
        ran["read"].result("nope")


def test_progress_is_told_line_by_line(ran, capsys):
    ran.wait(show=True)
    said = capsys.readouterr().out
    assert " rows Succeeded\n" in said
    assert "\nfail          -\n" in said
    ran.wait()
    assert capsys.readouterr().out == ""


@clary.step
def broken(n: int) -> int:
    print("about to divide")
    return n // 0


@clary.step
def liar() -> int:
    return "three"  # type: ignore[return-value]


@clary.step
def forgetful() -> tuple[int, int]:
    return (1,)  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (broken.options(name="step"), "ZeroDivisionError: integer division or modulo by zero"),
        (liar.options(name="step"), "it declares to return int, but returned the str 'three'"),
        (forgetful.options(name="step"), "it declares to return 2 values, but returned 1"),
    ],
)
def test_a_failed_step_says_why(step, said):
    @clary.pipeline
    def failing(n: int = 1) -> None:
        step(n) if step.function is broken.function else step()

    with pytest.raises(clary.JobFailed) as failed:
        failing.start().wait(60)
    assert said in failed.value.reason
    if step.function is broken.function:
        assert "about to divide" in failed.value.log_tail
        assert "in broken" in failed.value.log_tail
        assert "run.py" not in failed.value.log_tail
        assert failed.value.log_tail in failed.value.__notes__[0]


def test_a_failed_execution_goes_on(tmp_path):
    @clary.step
    def flaky(data: Path) -> int:
        return int(data.read_text())

    @clary.pipeline
    def twice(data: clary.File) -> None:
        flaky(data)

    (tmp_path / "n.txt").write_text("seven")
    run = twice.start(data=tmp_path / "n.txt")
    with pytest.raises(clary.JobFailed):
        run.wait(60)
    run.retry()
    with pytest.raises(clary.JobFailed):
        run.wait(60)
    assert run["flaky"].attempts == 2


def test_a_running_execution_is_stopped():
    @clary.step
    def sleepy() -> None:
        time.sleep(600)

    @clary.pipeline
    def long() -> None:
        sleepy()

    run = long.start()
    with pytest.raises(clary.Unavailable, match="has not ended after"):
        run.wait(0.5)
    with pytest.raises(clary.Unavailable, match="and has no result"):
        run["sleepy"].result()
    run.stop()
    with pytest.raises(clary.JobFailed, match="it was stopped"):
        run.wait(60)


def test_what_stays_equal_is_not_done_again():
    @clary.step(cache=True)
    def dear(n: int) -> int:
        return len({"a", "b", "c"}) + n

    @clary.pipeline
    def cheap(n: int = 1) -> None:
        dear(n)

    first, again, other = (cheap.start(n=n).wait(60)["dear"] for n in (1, 1, 2))
    assert (first.cached, again.cached, other.cached) == (False, True, False)
    assert again.result() == first.result() == 4


def test_a_registered_model_scores_a_batch(session):
    @clary.step
    def boosted(frame: pd.DataFrame) -> xgboost.Booster:
        return xgboost.train({"max_depth": 2}, xgboost.DMatrix(frame[["x"]], frame["x"]), 50)

    @clary.pipeline
    def registering() -> None:
        frame = rows(20)
        for model, group in ((boosted(frame), "Boosted"), (fit(frame), "Linear")):
            version = clary.register(model, group=group, metrics=doubled([], frame))
            container = {"ModelPackageName": version["ModelPackageArn"]}
            made = clary.raw_step(
                {
                    "Name": f"Make{group}",
                    "Type": "Model",
                    "Arguments": {"PrimaryContainer": container, "ExecutionRoleArn": session.role},
                }
            )
            lines = written.options(name=f"lines{group}")("3.0\n")
            arguments = {
                "ModelName": made["ModelName"],
                "TransformInput": {
                    "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": lines}},
                    "ContentType": "text/csv",
                    "SplitType": "Line",
                },
                "TransformOutput": {"S3OutputPath": f"s3://{session.bucket}/scores/{group}"},
                "TransformResources": {"InstanceCount": 1, "InstanceType": "ml.m5.large"},
            }
            clary.raw_step({"Name": f"Score{group}", "Type": "Transform", "Arguments": arguments})

    registering.start().wait(120)
    for group in ("Boosted", "Linear"):
        found = session.platform.objects.read(session.bucket, f"scores/{group}/note.txt.out")
        score = json.loads(b"".join(found))
        assert (score if group == "Boosted" else score[0]) == pytest.approx(3, abs=0.5)


@clary.step
def asks_the_platform() -> list[str]:
    import boto3  # noqa: PLC0415 - what jobs import is theirs

    found = boto3.client("sagemaker").list_pipelines()["PipelineSummaries"]
    return [one["PipelineName"] for one in found]


@clary.pipeline
def asking() -> None:
    asks_the_platform()


def test_a_job_reaches_the_session(session):
    there = find(session.home)
    assert "asking" in asking.start().wait(60)["asks_the_platform"].result()
    with urllib.request.urlopen(f"{there.endpoint}/_clary/health") as answer:
        assert json.load(answer) == {"status": "ready"}


def test_connecting_again_is_the_same_session(session):
    assert connect(session.home) is session


SCRIPT = """
import sys, time
from pathlib import Path
import clary

@clary.step
def waits(gate: str) -> int:
    while not Path(gate).exists():
        time.sleep(0.05)
    return 7

@clary.step
def ends(n: int) -> int:
    return n + 1

@clary.pipeline
def durable(gate: str = "/tmp/open") -> None:
    ends(waits(gate))

if __name__ == "__main__":
    clary.connect(sys.argv[1])
    run = durable.start()
    print(run.id, flush=True)
    run.wait()
"""


def script(tmp_path, text, *words):
    path = tmp_path / "program.py"
    path.write_text(textwrap.dedent(text))
    return subprocess.Popen(
        [sys.executable, str(path), *map(str, words)], stdout=subprocess.PIPE, text=True
    )


def until(condition, limit_s=60):
    end = time.monotonic() + limit_s
    while not (found := condition()):
        assert time.monotonic() < end
        time.sleep(0.02)
    return found


def test_a_killed_sessions_work_is_finished_by_the_next(tmp_path):
    home = tmp_path / "home"
    text = SCRIPT.replace("Path(gate).exists()", "time.time() > float(gate)")
    text = text.replace('"/tmp/open"', repr(str(time.time() + 5)))
    process = script(tmp_path, text, home)
    id_ = process.stdout.readline().strip()
    with connect(tmp_path / "other"):  # a session of another home does not touch it
        pass
    until(lambda: list((home / "processes").glob("[a-zA-Z0-9]*")))
    process.kill()
    process.wait()
    assert find(home) is None
    with connect(home) as session:
        run = session.execution(id_).wait(60)
        assert run["ends"].result() == 8
        query = Query("processing-job", limit=10)
        assert len(session.platform.jobs.list(query).items) == 2
        assert until(lambda: find(home))


def test_a_session_beside_a_server_uses_it(tmp_path):
    home = tmp_path / "home"
    argv = [sys.executable, "-m", "clary", "up", "--home", str(home), "--port", "0", "--attached"]
    server = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout.readline().startswith("clary serves")
        with connect(home):
            assert find(home).pid == server.pid
            assert asking.start().wait(60)["asks_the_platform"].result() == ["asking"]
            server.stdin.close()
            server.wait(60)
            assert until(lambda: find(home)).pid != server.pid
            assert asking.start().wait(60).status == "Succeeded"
    finally:
        server.kill()
        server.wait()
        server.stdout.close()
