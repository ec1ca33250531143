"""The report finds what was put into the data, and says nothing of what was not."""

from __future__ import annotations

import html
import json

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from clary.flows.insights import sampled
from clary.flows.insights.analyses import ANALYSES, analyse
from clary.flows.insights.report import report
from clary.kernel.errors import InvalidInput, LimitExceeded

ROWS = 3_000


@pytest.fixture(scope="module")
def connection():
    with duckdb.connect() as made:
        yield made


@pytest.fixture(scope="module")
def spoiled(connection):
    """A table with one of each fault."""
    random = np.random.default_rng(7)
    age = random.normal(40, 10, ROWS)
    bought = (age + random.normal(0, 5, ROWS) > 42).astype(int)
    label = np.where(bought == 1, "yes", "no").astype(object)
    label[:4] = "perhaps"
    income = random.normal(3e4, 2e3, ROWS)
    income[::50] = -999
    columns = {
        "number": np.arange(ROWS),
        "age": age,
        "leak": bought * 2.0 + random.normal(0, 0.01, ROWS),
        "noise": random.normal(0, 1, ROWS),
        "income": income,
        "city": random.choice(["Rome", "Oslo", "n/a"], ROWS, p=[0.5, 0.3, 0.2]),
        "code": [f"{at:05d}-x" for at in range(ROWS)],
        "half": np.where(random.random(ROWS) < 0.6, np.nan, 1.5 * age),
        "same": ["all"] * ROWS,
        "nothing": pa.nulls(ROWS, pa.float64()),
        "size": np.where(random.random(ROWS) < 0.02, "large", random.integers(1, 90, ROWS)),
        "wild": np.where(np.arange(ROWS) == 5, np.inf, random.normal(0, 1, ROWS)),
        "bought": label,
    }
    table = pa.table({name: pa.array(values) for name, values in columns.items()})
    table = pa.concat_tables([table, table.slice(0, 100)])
    connection.register("spoiled", table)
    return connection.table("spoiled")


def test_the_report_names_each_fault_and_no_other(spoiled):
    told = report(spoiled, target="bought")
    found = {(one.code, one.column) for one in told.warnings}
    assert found == {
        ("target_leakage", "leak"),
        ("rare_label", "bought"),
        ("duplicate_rows", ""),
        ("disguised_missing", "income"),
        ("disguised_missing", "city"),
        ("constant", "same"),
        ("constant", "nothing"),
        ("missing", "half"),
        ("mixed_types", "size"),
        ("infinite", "wild"),
        ("outliers", "income"),
    } | {one for one in found if one in {("high_cardinality", "code"), ("identifier", "number")}}
    assert [one.severity for one in told.warnings] == sorted(
        (one.severity for one in told.warnings), key=["high", "medium", "low"].index
    )
    assert told.duplicates == 100
    assert told.powers[0].column == "leak"
    assert told.quick_model.score > 0.9 > told.quick_model.guessing
    assert told.quick_model.importances[0][0] == "leak"


def test_columns_that_tell_rows_apart_are_named(connection):
    made = connection.sql("SELECT i AS id, 'u' || i AS name, i % 7 AS day FROM range(500) t(i)")
    found = {(one.code, one.column) for one in report(made).warnings}
    assert found == {("identifier", "id"), ("high_cardinality", "name")}


def test_a_report_is_the_same_every_time_and_reads_alone(spoiled):
    first, second = report(spoiled, target="bought"), report(spoiled, target="bought")
    assert first.to_json() == second.to_json()
    page = first.to_html("<b>")
    assert "<b>" not in page.partition("</style>")[2].replace("<body>", "")
    assert "http" not in page
    told = json.loads(first.to_json())
    assert told["rows"] == ROWS + 100
    assert [one["name"] for one in told["columns"]] == spoiled.columns


def test_each_warning_of_the_page_has_the_step_that_helps(spoiled):
    found = report(spoiled, target="bought")
    page = html.unescape(found.to_html())
    helped = [one for one in found.warnings if one.operator]
    assert page.count("<code>.") == len(helped) > 0
    assert '<code>.drop("leak")</code>' in page
    assert """<code>.formula('nullif("income", (-999))', "income")</code>""" in page


def test_no_other_target_is_advised(connection):
    made = connection.sql(
        "SELECT random() AS x, CASE WHEN i = 7 THEN 1e6 WHEN i > 20 THEN i % 50 END AS y "
        "FROM range(400) t(i)"
    )
    its = {one.code: one.step for one in report(made, target="y").warnings if one.column == "y"}
    assert its.pop("missing_target") == '.drop_missing("y")'
    assert its.pop("skewed_target").startswith(".formula(")
    assert set(its.values()) <= {""}


def test_a_wide_matrix_says_what_it_leaves_out(connection):
    many = connection.sql(
        f"SELECT {', '.join(f'i % {n + 2} AS c{n}' for n in range(45))} FROM range(200) t(i)"
    )
    assert "40 of 45 columns" in report(many).to_html()


def test_notebooks_show_it_in_a_frame_of_its_own(spoiled):
    found = report(spoiled, target="bought")
    assert repr(found) == f"<Report of {ROWS + 100:,} rows, warnings: {len(found.warnings)}>"
    shown = found._repr_html_()
    assert shown.startswith("<iframe srcdoc='&lt;!doctype html&gt;")
    assert shown.count("'") == 4
    counted = analyse("analysis.duplicates", spoiled, {})
    assert counted._repr_html_().startswith("<iframe")
    assert len(repr(counted)) < 80


def test_what_comes_from_data_is_escaped(connection):
    made = connection.sql(
        "SELECT '<script>' || (i % 3) AS \"<i>\", i % 2 AS y FROM range(100) t(i)"
    )
    page = report(made, target="y").to_html()
    assert "<script>" not in page
    assert "<i>" not in page


def test_a_regression_is_measured_by_its_error(connection):
    made = connection.sql(
        "SELECT i / 100.0 AS x, hash(i) % 97 AS noise, (i / 100.0) ^ 2 AS y FROM range(2000) t(i)"
    )
    told = report(made, target="y")
    assert told.target.problem == "regression"
    assert told.quick_model.metric == "MSE"
    assert told.quick_model.r2 > 0.9
    assert told.powers[0].column == "x"


@pytest.mark.parametrize(
    ("sql", "target", "said"),
    [
        ("SELECT 1 AS x WHERE false", "", "has no rows"),
        ("SELECT 1 AS x, 2 AS y", "y", "has 1 values"),
        ("SELECT 1 AS x", "z", "no column 'z'"),
        ("SELECT i AS x, 't' || i AS y FROM range(500) t(i)", "y", "500 classes"),
    ],
)
def test_what_cannot_be_reported_is_refused(connection, sql, target, said):
    with pytest.raises(InvalidInput, match=said):
        report(connection.sql(sql), target=target)


def test_too_many_columns_are_refused(connection):
    wide = pa.table({f"c{at}": [1] for at in range(sampled.MOST_COLUMNS + 1)})
    connection.register("wide", wide)
    with pytest.raises(LimitExceeded, match="1001 columns"):
        report(connection.table("wide"))


def test_a_sample_has_each_row_as_likely(connection):
    made = connection.sql("SELECT i FROM range(200000) t(i)")
    kept = sampled.look(made, rows=2_000, seed=3).sample.column("i").to_numpy()
    assert len(kept) == len(set(kept)) == 2_000
    assert list(kept) == sorted(kept)
    counts, _ = np.histogram(kept, 10, (0, 200_000))
    assert counts.min() > 140
    assert counts.max() < 260


@pytest.mark.parametrize("operator", sorted(ANALYSES))
def test_every_analysis_gives_json_and_a_page(spoiled, operator):
    parameters = {
        "analysis.histogram": {"column": "age", "color": "city", "facet": "bought"},
        "analysis.scatter": {"x": "age", "y": "income", "color": "bought"},
        "analysis.multicollinearity": {"target": "age"},
        "analysis.quick_model": {"target": "bought"},
        "analysis.target_leakage": {"target": "bought"},
        "analysis.decomposition": {"time": "number", "value": "age", "period": 12},
        "analysis.series_anomalies": {"time": "number", "value": "income", "period": 12},
    }.get(operator, {})
    found = analyse(operator, spoiled, parameters)
    assert json.loads(found.to_json())
    assert found.to_html(operator).startswith("<!doctype html>")


def test_an_unknown_analysis_or_parameter_is_refused(spoiled):
    with pytest.raises(InvalidInput, match="no analysis"):
        analyse("analysis.magic", spoiled, {})
    with pytest.raises(InvalidInput, match="colour"):
        analyse("analysis.histogram", spoiled, {"column": "age", "colour": "city"})
    with pytest.raises(InvalidInput, match="no column 'height'"):
        analyse("analysis.histogram", spoiled, {"column": "height"})
