"""What real files hold beside the commonest: series, dates, samples, functions of a column."""

from __future__ import annotations

import datetime as dt
import json

import pytest

import clary
from clary.flows.model import Node
from clary.flows.wrangler import documents, operators, trained
from clary.kernel.errors import InvalidInput

FUNCTION = "import pandas as pd\n\ndef custom_func(series: pd.Series) -> pd.Series:\n  return {}"


def node(name: str, operator: str, parameters: dict, *before: str, **more) -> dict:
    return {
        "node_id": name,
        "type": "TRANSFORM",
        "operator": f"sagemaker.{operator}_0.1",
        "parameters": parameters,
        "inputs": [{"name": "df", "node_id": one, "output_name": "default"} for one in before],
        "outputs": [{"name": "default"}],
        **more,
    }


def file(*nodes: dict) -> dict:
    start = {"node_id": "a", "type": "SOURCE", "operator": "sagemaker.s3_source_0.1"}
    place = {"s3ExecutionContext": {"s3Uri": "s3://b/a.csv", "s3ContentType": "csv"}}
    start |= {"parameters": {"dataset_definition": place}, "outputs": [{"name": "default"}]}
    return {"metadata": {"version": 1}, "nodes": [start, *nodes]}


def rows(tmp_path, given: list[dict], *nodes: dict) -> list[dict]:
    place = tmp_path / "a.flow"
    place.write_text(json.dumps(file(*nodes)))
    return clary.Flow.load(place).to_arrow({"a": given}).to_pylist()


def series(kind: str, **block) -> dict:
    return {"operator": kind, f"{kind}_parameters": block}


DATED = {
    "input_column": "t",
    "output_column": "date",
    "output_mode": "Ordinal",
    "output_format": "Columns",
    "infer_datetime_format": False,
    "date_time_format": "%d/%m/%Y",
    **dict.fromkeys(("month", "day", "hour", "minute", "second"), False),
    **dict.fromkeys(("year", "week_of_year", "day_of_year", "quarter"), True),
}
FILLED = {
    "hm_input_type": "Along column",
    "hm_input_type_Along column_parameters": {
        "hmac_output_column": "",
        "hmac_id_column": "k",
        "hmac_strategy": "Constant Value",
        "hmac_leftovernans": "Fill with Forward/Backward feed",
        "hmac_strategy_Constant Value_parameters": {"hmac_custom_value": "7.0"},
        "hmac_sequence_column": "x",
        "hmac_timestamp_column": "t",
    },
}


def function(code: str = FUNCTION, **more) -> dict:
    block = {"return_type": "string", "udf_mode": "Pandas", "input_col": "x", "output_col": "y"}
    told = {**block, "pandas_code": code, **more}
    return {"operator": "Python (User-Defined Function)", "udf_parameters": told}


KNOWN = [
    ("spark.time_series", series("Featurize datetime", **DATED), "dates.featurize"),
    (
        "spark.time_series",
        series("Validate timestamps", timestamp_column='a "b"', policy="drop"),
        "rows.filter",
    ),
    ("spark.time_series", series("Handle missing", **FILLED), "missing.fill"),
    (
        "spark.sampling",
        {"sampling_method": "Random", "random_parameters": {"sample_size": 9, "seed": 1}},
        "sampling.sample",
    ),
    (
        "spark.manage_rows",
        {"operator": "Drop duplicates", "drop_duplicates_parameters": {}},
        "rows.drop_duplicates",
    ),
    (
        "spark.custom_code",
        {"operator": "Python (PySpark)", "pyspark_parameters": {"code": "df = df"}, "name": "x"},
        "custom.pyspark",
    ),
    ("spark.custom_code", function(), "custom.pandas"),
    ("dataset.identity", {}, "rows.filter"),
    ("visualizations.quick_model", {"name": "m", "label": "y"}, "analysis.quick_model"),
    (
        "visualizations.feature_correlation",
        {"name": "c", "correlation_type": "non-linear"},
        "analysis.correlation",
    ),
    (
        "visualizations.multicolinearity",
        {"analysis": "Lasso", "lasso_parameters": {"l1": 1, "label": "y"}},
        "analysis.multicollinearity",
    ),
]


@pytest.mark.parametrize(("theirs", "parameters", "ours"), KNOWN)
def test_operators_of_real_files_are_read_and_written(theirs, parameters, ours):
    operator, given = operators.read(f"sagemaker.{theirs}_0.1", parameters)
    assert operator == ours
    one = Node("n", operator, given, ("a",))
    kept = operators.write(one, parameters)
    assert kept[1:] == (f"sagemaker.{theirs}_0.1", parameters)
    assert (kept[0] == "DATASET") == theirs.startswith("dataset.")
    fresh = operators.write(one, None)
    assert fresh[1].startswith("sagemaker.")
    assert operators.read(*fresh[1:]) == (operator, given)


def test_fresh_nodes_are_written_in_the_commonest_words():
    filled = Node("n", "missing.fill", {"columns": ["x"], "value": 0}, ("a",))
    assert operators.write(filled, None)[1] == "sagemaker.spark.handle_missing_0.1"


@pytest.mark.parametrize(
    ("theirs", "parameters"),
    [
        ("spark.time_series", series("Lag features", lag=8, sequence_column="x")),
        ("spark.time_series", series("Validate timestamps", timestamp_column="t", policy="flag")),
        ("spark.time_series", series("Validate timestamps", timestamp_column=[1], policy="drop")),
        ("spark.time_series", series("Featurize datetime", **{**DATED, "date_time_format": []})),
        ("spark.custom_code", function(return_type="vector")),
        ("spark.custom_code", function(udf_mode="Python")),
        ("spark.custom_code", function(input_col="a'] = 1; import os #")),
        (
            "spark.sampling",
            {"sampling_method": "Random", "random_parameters": {"sample_size": 0.5}},
        ),
        ("spark.sampling", {"sampling_method": "Weighted"}),
        (
            "spark.manage_rows",
            {"operator": "Drop duplicates", "drop_duplicates_parameters": {"keep": "last"}},
        ),
    ],
)
def test_what_files_have_not_shown_is_not_guessed(theirs, parameters):
    with pytest.raises(InvalidInput, match="not known here"):
        operators.read(f"sagemaker.{theirs}_0.1", parameters)
    assert documents.read(file(node("n", theirs, parameters, "a"))).unknown


def test_dates_are_taken_apart(tmp_path):
    step = node("n", "spark.time_series", series("Featurize datetime", **DATED), "a")
    [made] = rows(tmp_path, [{"t": "31/12/2023"}], step)
    del made["t"]
    parts = {"year": 2023, "week_of_year": 52, "day_of_year": 365, "quarter": 4}
    assert made == {f"date_{name}": value for name, value in parts.items()}


def test_rows_without_a_time_go_and_equal_times_stay(tmp_path):
    told = series("Validate timestamps", timestamp_column="t", policy="drop")
    step = node("n", "spark.time_series", told, "a")
    texts = ["2024-01-01", "soon", None, "2024-01-01", "2024-02-01 10:00:00"]
    made = rows(tmp_path, [{"t": one} for one in texts], step)
    assert [one["t"] for one in made] == [texts[0], texts[3], texts[4]]
    noon = dt.datetime(2024, 1, 1, 12)
    made = rows(tmp_path, [{"t": noon}, {"t": None}, {"t": noon}], step)
    assert made == [{"t": noon}, {"t": noon}]


def test_series_are_filled_with_a_constant(tmp_path):
    step = node("n", "spark.time_series", series("Handle missing", **FILLED), "a")
    made = rows(tmp_path, [{"k": 1, "x": 1.5}, {"k": 1, "x": None}], step)
    assert [one["x"] for one in made] == [1.5, 7.0]


def test_a_function_of_a_column_runs_in_the_sandbox(tmp_path):
    code = FUNCTION.format("pd.Series([one.upper() for one in series])")
    step = node("n", "spark.custom_code", function(code), "a")
    made = rows(tmp_path, [{"x": "a"}, {"x": "b"}], step)
    assert made == [{"x": "a", "y": "A"}, {"x": "b", "y": "B"}]
    short = node("n", "spark.custom_code", function(FUNCTION.format("series[:1]")), "a")
    with pytest.raises(clary.ClaryError, match=r"\bn\b.*[Ll]ength"):
        rows(tmp_path, [{"x": "a"}, {"x": "b"}], short)


def outliers(columns: list[str], told) -> dict:
    block = {"standard_deviations": 4, "input_column": columns, "fix_method": "Remove"}
    name = "standard_deviation_numeric_outliers_parameters"
    parameters = {"operator": "Standard deviation numeric outliers", name: block}
    return node("n", "spark.handle_outliers", parameters, "a", trained_parameters={name: told})


def limits(column: str | None, low, high) -> dict:
    named = {"input_column": column} if column else {}
    return {"_hash": "x", "lower_threshold": low, "upper_threshold": high, **named}


def test_thresholds_of_outliers_are_kept(tmp_path):
    told = [limits("y", 0, 2.5), limits("x", -1.5, 1)]
    written = file(outliers(["x", "y"], told))
    found = documents.read(written)
    state = found.fitted.learned(found.flow.node("n")).state
    assert state == {"x": {"lower": -1.5, "upper": 1}, "y": {"lower": 0, "upper": 2.5}}
    again = json.loads(documents.write(found.flow, found.fitted, document=written))
    assert again["nodes"][1]["trained_parameters"] == written["nodes"][1]["trained_parameters"]
    fresh = documents.read(documents.write(found.flow, found.fitted))
    assert (fresh.flow, fresh.fitted) == (found.flow, found.fitted)
    given = [{"x": 0.0, "y": 1.0}, {"x": 9.0, "y": 1.0}, {"x": 0.0, "y": 9.0}]
    assert rows(tmp_path, given, outliers(["x", "y"], told)) == given[:1]
    [alone] = [one["x"] for one in rows(tmp_path, given[:2], outliers(["x"], limits(None, 5, 9)))]
    assert alone == 9.0


@pytest.mark.parametrize(
    "told",
    [
        [limits("x", 0, 1), limits("z", 0, 1)],
        [limits("x", float("nan"), 1), limits("y", 0, 1)],
        [limits("x", "0", 1), limits("y", 0, 1)],
        [limits("x", 10**400, 1), limits("y", 0, 1)],
        [limits(["x", "y"], 0, 1)],
        [],
    ],
)
def test_thresholds_that_do_not_fit_are_refused(told):
    with pytest.raises(InvalidInput, match=r"node n .*two numbers for each column"):
        documents.read(file(outliers(["x", "y"], told)))


def test_states_of_other_forms_are_learned_anew():
    for told in ("P)h", [1], {"lower": 1}, None):
        assert not documents.read(file(outliers(["x"], told))).fitted.nodes
    empty = Node("n", "numeric.standard", {}, ("a",))
    assert trained.read(empty, {"scale_values_parameters": {}}) is None
