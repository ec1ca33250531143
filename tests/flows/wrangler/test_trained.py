"""What nodes have learned, as trained parameters and back."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clary.flows.model import Node
from clary.flows.wrangler import spark_models, trained
from clary.flows.wrangler.spark_models import SparkModel
from clary.kernel.errors import InvalidInput

NUMBER = st.none() | st.floats(allow_nan=False, allow_infinity=False)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(NUMBER, NUMBER), min_size=1, max_size=3))
@pytest.mark.parametrize(
    ("operator", "names"),
    [
        ("numeric.standard", ("mean", "deviation")),
        ("numeric.min_max", ("minimum", "maximum")),
        ("outliers.quantile", ("lower", "upper")),
    ],
)
def test_measures_come_back(operator, names, values):
    columns = [f"c{one}" for one in range(len(values))]
    state = {
        name: dict(zip(names, pair, strict=True))
        for name, pair in zip(columns, values, strict=True)
    }
    node = Node("a", operator, {"columns": columns}, ("b",))
    assert trained.read(node, trained.write(node, state)) == state


@settings(deadline=None, max_examples=40)
@given(st.lists(st.text(), max_size=9))
@pytest.mark.parametrize("operator", ["encode.one_hot", "encode.ordinal"])
def test_categories_come_back(operator, labels):
    node = Node("a", operator, {"column": "city"}, ("b",))
    state = {"categories": labels}
    assert trained.read(node, trained.write(node, state)) == state


def test_types_are_read_and_written():
    node = Node("a", "parse.infer", {}, ("b",))
    schema = {"schema": {"a": "long", "b": "float", "c": "bool", "d": "datetime", "e": "string"}}
    state = trained.read(node, schema)
    assert state == {
        "types": {"a": "bigint", "b": "double", "c": "boolean", "d": "timestamp", "e": "varchar"}
    }
    assert trained.read(node, trained.write(node, state)) == state
    with pytest.raises(InvalidInput, match=r"schema\.a: 'colour'"):
        trained.read(node, {"schema": {"a": "colour"}})
    with pytest.raises(InvalidInput, match=r"schema\.a: \[\]"):
        trained.read(node, {"schema": {"a": []}})


def scaler(**data) -> dict:
    text = spark_models.write(SparkModel("StandardScalerModel", data))
    return {"scale_values_parameters": {"standard_scaler_parameters": {"scaler_model": text}}}


def test_a_model_of_other_columns_is_refused():
    node = Node("a", "numeric.standard", {"columns": ["x"]}, ("b",))
    found = trained.read(node, scaler(std=[2.0], mean=[1.0]))
    assert found == {"x": {"deviation": 2.0, "mean": 1.0}}
    for wrong in (scaler(std=[1.0, 2.0], mean=[1.0, 2.0]), scaler(std=[1.0])):
        with pytest.raises(InvalidInput, match="is no vector of 1"):
            trained.read(node, wrong)
    assert trained.read(node, {"other": 1}) is None
