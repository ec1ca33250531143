from __future__ import annotations

import csv
import io

import numpy as np
import pytest

import clary
from clary.experiments.jobs import component_of
from clary.jobs.model import PROCESSING
from clary.kernel.errors import InvalidInput, LimitExceeded, NotFound
from clary.kernel.resource import Query


class Figure:
    def savefig(self, file, **options):
        file.write(f"drawn as {options['format']}".encode())


class Page:
    def to_html(self):
        return "<p>"


def rows_of(experiment):
    found = clary.runs(experiment)
    return found.to_dict("records")


def content(session, uri):
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return b"".join(session.platform.objects.read(bucket, key))


def test_a_run_logs_and_is_compared(session, tmp_path):
    (tmp_path / "notes.txt").write_text("as planned")
    with clary.run("tries", "first", tags={"team": "a"}) as run:
        assert repr(run) == "ActiveRun('tries', 'first')"
        run.log_parameters({"rate": 0.5, "kind": "x", "deep": True})
        for value in (3.0, 2.0):
            run.log_metric("loss", value)
        run.log_metrics({"acc": 0.9}, step=7)
        run.tags["late"] = "yes"
        files = {
            "notes.txt": run.log_file(tmp_path / "notes.txt"),
            "plots/curve.png": run.log_figure("plots/curve", Figure()),
            "page.html": run.log_figure("page", Page()),
            "table.csv": run.log_table("table", [{"a": 1, "b": "x,y"}, {"a": 2, "b": ""}]),
        }
    (row,) = rows_of("tries")
    assert (row["run"], row["status"]) == ("first", "Completed")
    assert (row["params.rate"], row["params.kind"], row["params.deep"]) == (0.5, "x", "True")
    assert (row["metrics.loss"], row["metrics.acc"]) == (2.0, 0.9)
    assert (row["tags.team"], row["tags.late"]) == ("a", "yes")
    found = session.platform.experiments.runs.get(
        session.ref("experiment-trial-component", "tries-first")
    )
    assert found.outputs == files
    assert (found.metrics["loss"].last_step, found.metrics["acc"].last_step) == (1, 7)
    assert content(session, files["notes.txt"]) == b"as planned"
    assert content(session, files["plots/curve.png"]) == b"drawn as png"
    table = list(csv.DictReader(io.StringIO(content(session, files["table.csv"]).decode())))
    assert table == [{"a": "1", "b": "x,y"}, {"a": "2", "b": ""}]


def test_a_run_that_fails_says_why_and_goes_on_later(session):
    def fail():
        with clary.run("fails", "one") as run:
            run.log_metric("loss", 1.0)
            return 1 / 0

    with pytest.raises(ZeroDivisionError):
        fail()
    found = session.platform.experiments.runs.get(
        session.ref("experiment-trial-component", "fails-one")
    )
    assert (found.status, found.message) == ("Failed", "ZeroDivisionError: division by zero")
    with clary.run("fails", "one") as run:
        run.log_metric("loss", 2.0)
    (row,) = rows_of("fails")
    assert (row["status"], row["metrics.loss"]) == ("Completed", 2.0)


def test_what_is_logged_is_there_before_the_end(session):
    with clary.run("long", "one") as run:
        for value in range(1_000):
            run.log_metric("loss", float(value))
        (row,) = rows_of("long")
        assert row["metrics.loss"] == 999.0


def test_names_are_made_and_checked(session):
    with clary.run("named"):
        pass
    with clary.run("named"):
        pass
    assert len(rows_of("named")) == 2
    for names in (("a b",), ("x" * 60,), ("ok", "-no"), ("ok", "é")):
        with pytest.raises(InvalidInput, match="is not a name; legal: 1 to 59 letters"):
            clary.run(*names)
    with pytest.raises(InvalidInput, match="experiment: missing; legal: a name; none in a job"):
        clary.run()
    with pytest.raises(NotFound):
        clary.runs("no-such")


def test_what_cannot_be_kept_is_refused(session):
    with clary.run("bad", "one") as run:
        with pytest.raises(InvalidInput, match="a int cannot be drawn"):
            run.log_figure("x", 3)
        with pytest.raises(InvalidInput, match="row 1 has other keys"):
            run.log_table("x", [{"a": 1}, {"b": 1}])
        with pytest.raises(InvalidInput, match="leaves the run"):
            run.log_table("../x", [])


def test_parameters_of_any_number_are_kept(session):
    given = {"i": np.int64(3), "d": np.float64(0.25), "f": np.float32(0.5), "b": np.bool_(True)}
    given |= {"nan": float("nan"), "huge": 2**70, "text": np.str_("x"), "none": None}
    with clary.run("numbers", "one") as run:
        run.log_parameters(given)
        run.log_metric("loss", np.float32(1.5), step=np.int64(9))
    (row,) = rows_of("numbers")
    found = {name: row[f"params.{name}"] for name in given}
    numbers = {"i": 3, "d": 0.25, "f": 0.5}
    texts = {"b": "True", "nan": "nan", "huge": str(2**70), "text": "x", "none": "None"}
    assert found == numbers | texts
    assert row["metrics.loss"] == 1.5


@pytest.mark.parametrize(
    ("name", "step", "said"), [("", None, "0; legal: 1 to 255"), ("x", 2**70, "out of bounds")]
)
def test_a_metric_that_cannot_be_kept_takes_no_other_with_it(session, name, step, said):
    with clary.run("refusing", f"one-{step is None}".lower()) as run:
        run.log_metric("loss", 1.0)
        with pytest.raises(InvalidInput, match=said):
            run.log_metric(name, 2.0, step)
        run.log_metric("x", 3.0)
    row = rows_of("refusing")[0]
    assert (row["status"], row["metrics.loss"], row["metrics.x"]) == ("Completed", 1.0, 3.0)


def test_what_could_not_be_written_is_written_later(session):
    def overdo(run):
        with run:
            run.log_metric("loss", 1.0)
            run.log_parameters({f"p{number}": number for number in range(2_001)})

    run = clary.run("much", "one")
    with pytest.raises(LimitExceeded):
        overdo(run)
    (row,) = rows_of("much")
    assert row["status"] == "Failed"
    run._parameters.popitem()
    run.flush()
    (row,) = rows_of("much")
    assert (row["metrics.loss"], row["params.p0"]) == (1.0, 0)


@clary.step
def work(n: int) -> float:
    with clary.run() as mine:
        for value in range(n):
            mine.log_metric("inner", value)
        mine.log_metric("diverged", float("nan"))
    with clary.run("from-jobs", "one") as other:
        other.log_parameter("n", n)
        other.log_metric("loss", 0.25)
        other.log_table("t", [{"a": 1}])
        other.tags["where"] = "job"
    return 1.0


@clary.pipeline
def works(n: int = 3):
    work(n)


def test_a_job_logs_to_its_own_run_and_to_others(session):
    works.start().wait()
    (row,) = rows_of("from-jobs")
    assert (row["params.n"], row["metrics.loss"], row["tags.where"]) == (3.0, 0.25, "job")
    assert row["status"] == "Completed"
    (job,) = session.platform.jobs.list(Query(PROCESSING)).items
    inner = session.platform.experiments.runs.get(component_of(job.ref)).metrics["inner"]
    assert (inner.count, inner.last) == (3, 2.0)
