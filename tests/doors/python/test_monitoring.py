"""clary.monitoring: baselines and checks in this process, and schedules of endpoints."""

import json
import time

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import xgboost

import clary
from clary.kernel.errors import InvalidInput, NotFound


@pytest.fixture
def people():
    draw = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "age": draw.integers(18, 80, 2000),
            "income": draw.lognormal(8, 1, 2000),
            "city": draw.choice(["Bern", "Basel", "Chur"], 2000),
        }
    )


def test_the_same_data_from_every_kind_of_table_is_fine(people, tmp_path):
    usual = clary.monitoring.baseline(people)
    assert repr(usual) == "<baseline of 3 columns from 2000 rows>"
    people.to_csv(tmp_path / "people.csv", index=False)
    people.to_parquet(tmp_path / "people.parquet")
    tables = [people, pl.from_pandas(people), pa.Table.from_pandas(people)]
    for data in (*tables, tmp_path / "people.csv", str(tmp_path / "people.parquet")):
        report = clary.monitoring.check(data, usual)
        assert report.is_ok, report
        assert report.rows == 2000


def test_what_has_changed_is_named_and_survives_its_files(people, tmp_path):
    folder = clary.monitoring.baseline(people).save(tmp_path / "usual")
    assert sorted(one.name for one in folder.iterdir()) == ["constraints.json", "statistics.json"]
    changed = people.assign(income=people.income * 3, city="Thun").drop(columns="age")
    changed["extra"] = 1
    report = clary.monitoring.check(changed, folder)
    found = {(one.feature_name, one.constraint_check_type) for one in report.violations}
    assert {
        ("Missing columns", "missing_column_check"),
        ("Extra columns", "extra_column_check"),
        ("income", "baseline_drift_check"),
        ("city", "categorical_values_check"),
    } <= found
    assert "income: baseline_drift_check" in repr(report)
    assert report.save(tmp_path / "constraint_violations.json").stat().st_size
    assert "columns of the baseline are missing: age" in report.page(
        tmp_path / "report.html", title="People"
    ).read_text("utf-8")
    assert {one.name for one in report.drifts if one.is_significant} == {"income", "city"}


def test_columns_that_no_longer_go_together_are_named(people, tmp_path):
    together = people.sort_values("age").assign(income=np.sort(people.income))
    folder = clary.monitoring.baseline(together).save(tmp_path / "usual")
    report = clary.monitoring.check(people, folder)
    assert report.is_ok
    assert not any(one.is_significant for one in report.drifts)
    (changed,) = report.correlations.significant
    assert changed.columns == ("age", "income")
    saved = json.loads(report.save(tmp_path / "constraint_violations.json").read_text("utf-8"))
    assert saved["clary"]["correlations"]["changed"][0]["features"] == ["age", "income"]


def test_what_cannot_be_is_refused(people, tmp_path):
    with pytest.raises(InvalidInput, match="is a int"):
        clary.monitoring.baseline(7)
    with pytest.raises(InvalidInput, match="there is nothing at"):
        clary.monitoring.baseline(tmp_path / "none.csv")
    with pytest.raises(InvalidInput, match="has no row"):
        clary.monitoring.baseline(people[:0])
    with pytest.raises(InvalidInput, match=r"has no statistics\.json"):
        clary.monitoring.check(people, tmp_path)
    assert clary.monitoring.check(people[:0], clary.monitoring.baseline(people)).rows == 0


def shows(monitor, path):
    explains(monitor)
    page = monitor.page(path).read_text("utf-8")
    assert "DataQuality of endpoint sums" in page
    assert "200 of 600 rows lie above" in page
    assert "Nothing that is recorded has changed upstream" in page
    assert "<b>b</b>: its distribution has moved" in page
    assert page.count("<svg class='chart'") >= 2


def explains(monitor):
    """Say what is behind it: while all is there, without the captures, without the baseline."""
    [b] = clary.monitoring.explain(monitor, "b").causes
    assert b.checks == ("baseline_drift_check",)
    assert (b.before["values"], b.now["values"]) == ("400", "600")
    assert max(b.moved, key=lambda one: one.now - one.before).what.startswith("above 0.")
    [rows] = [one for one in b.rows if "lie above" in one.what]
    assert (rows.count, rows.of, len(rows.examples)) == (200, 600, 5)
    assert all(float(one.value) >= 5 and one.event_id and one.at for one in rows.examples)
    with pytest.raises(NotFound, match="'c'"):
        clary.monitoring.explain("sums-data-quality", "c")
    with pytest.raises(NotFound):
        monitor.explain(execution="19990101")
    whole = clary.monitoring.explain(monitor)
    assert whole.notes == ()


def loses(session, monitor):
    """Explain what is left where captures and the baseline are gone."""
    objects = session.platform.objects
    captures = objects.list(session.bucket, prefix="sums/capture/").objects
    for one in captures:
        objects.delete(session.bucket, one.key)
    gone = monitor.explain(execution=monitor.executions()[0].name)
    assert gone.notes == (f"{len(captures)} of {len(captures)} captured objects are gone.",)
    assert [one.rows for one in gone.causes if one.of == "b"] == [()]
    for one in objects.list(session.bucket, prefix="clary/baselines/").objects:
        objects.delete(session.bucket, one.key)
    left = monitor.explain("b")
    assert left.baseline_at is None
    assert "The baseline cannot be read" in left.notes[0]
    assert "has moved" in left.causes[0].said[0]
    assert left.causes[0].rows == ()


def test_an_endpoint_is_looked_at(tmp_path):
    with clary.connect(tmp_path / "home") as session:
        rows = np.random.default_rng(2).random((400, 2))
        booster = xgboost.train({"nthread": 1}, xgboost.DMatrix(rows, rows.sum(1)), 3)
        endpoint = clary.endpoints.deploy(booster, "sums", capture=True)
        usual = pd.DataFrame(
            {"sum": endpoint.predict(rows).ravel(), "a": rows[:, 0], "b": rows[:, 1]}
        )
        baseline = clary.monitoring.baseline(usual)
        for wrong in ("7m", "1d", "", "90m"):
            with pytest.raises(InvalidInput, match="every"):
                clary.monitoring.schedule(endpoint, baseline, every=wrong)
        with pytest.raises(NotFound):
            clary.monitoring.schedule("nobody", baseline)
        monitor = clary.monitoring.schedule(endpoint, baseline, every="24h")
        assert repr(monitor) == "<monitor sums-data-quality: Scheduled>"
        for row in rows[:200]:
            endpoint.predict([row[0], row[1] + 5.0])
        session.platform.captures.close()
        look = monitor.run(120)
        assert look.status == "CompletedWithViolations", look.reason
        assert {
            one.feature_name
            for one in look.violations
            if one.constraint_check_type == "baseline_drift_check"
        } & {"a", "b"} == {"b"}
        assert [one.name for one in monitor.executions()] == [look.name]
        shows(monitor, tmp_path / "report.html")
        loses(session, monitor)
        assert [one.name for one in clary.monitoring.list()] == ["sums-data-quality"]
        again = clary.monitoring.schedule("sums", baseline, every="5m")
        again.stop()
        until = time.monotonic() + 30
        while clary.monitoring.get("sums-data-quality").status != "Stopped":
            assert time.monotonic() < until
            time.sleep(0.05)
        again.delete()
        assert clary.monitoring.list() == []
