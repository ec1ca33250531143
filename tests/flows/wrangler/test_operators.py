"""The tables of operators fit the transforms there are, and are read and written alike."""

from __future__ import annotations

import pytest
from msgspec.structs import fields

from clary.flows import transforms
from clary.flows.insights.analyses import ANALYSES
from clary.flows.model import Node
from clary.flows.wrangler import operators
from clary.flows.wrangler.rules import put

KNOWN = transforms.catalogue() | ANALYSES


@pytest.mark.parametrize("rule", operators.RULES, ids=lambda one: f"{one.theirs} {one.ours}")
def test_every_parameter_of_ours_exists(rule):
    if rule.ours in ("source", "destination"):
        return
    known = {one.encode_name for one in fields(KNOWN[rule.ours])}
    assert {one.ours for one in rule.fields} | set(rule.constant) <= known


@pytest.mark.parametrize(
    ("operator", "parameters", "ours", "given"),
    [
        (
            "manage_columns",
            {
                "operator": "Move column",
                "move_column_parameters": {
                    "move_type": "Move after",
                    "move_after_parameters": {"column_to_move": "a", "target_column": "b"},
                },
            },
            "columns.move",
            {"columns": ["a"], "to": "after", "after": "b"},
        ),
        (
            "handle_missing",
            {
                "operator": "Impute",
                "impute_parameters": {
                    "column_type": "Numeric",
                    "numeric_parameters": {"strategy": "Mean", "input_column": ["a", "b"]},
                },
            },
            "missing.impute",
            {"columns": ["a", "b"], "strategy": "mean"},
        ),
        (
            "process_numeric",
            {
                "operator": "Scale values",
                "scale_values_parameters": {
                    "scaler": "Min-max scaler",
                    "min_max_scaler_parameters": {"min": 0, "max": 2, "input_column": "a"},
                },
            },
            "numeric.min_max",
            {"columns": ["a"], "minimum": 0, "maximum": 2},
        ),
        (
            "join_multi_keys",
            {
                "join_keys": [{"left": "a", "right": "a"}, {"left": "b", "right": "c"}],
                "join_type": "leftouter",
            },
            "combine.join",
            {"on": ["a", ["b", "c"]], "how": "left"},
        ),
        (
            "handle_outliers",
            {
                "operator": "Standard deviation numeric outliers",
                "standard_deviation_numeric_outliers_parameters": {
                    "standard_deviations": 4,
                    "input_column": "a",
                    "fix_method": "Clip",
                },
            },
            "outliers.standard_deviation",
            {"columns": ["a"], "deviations": 4, "fix": "clip"},
        ),
        (
            "format_string",
            {
                "operator": "Left pad",
                "left_pad_parameters": {"input_column": "a", "width": 3, "fill_character": "0"},
            },
            "strings.pad",
            {"columns": ["a"], "side": "left", "width": 3, "fill": "0"},
        ),
        (
            "custom_formula",
            {"output_column": "z", "formula": "`x` + 1"},
            "columns.formula",
            {"formula": "`x` + 1", "output": "z", "dialect": "spark"},
        ),
        (
            "custom_code",
            {"operator": "SQL", "sql_parameters": {"code": "SELECT * FROM df"}},
            "custom.sql",
            {"sql": "SELECT * FROM df"},
        ),
    ],
)
def test_operators_are_read_and_written(operator, parameters, ours, given):
    theirs = f"sagemaker.spark.{operator}_0.1"
    assert operators.read(theirs, parameters) == (ours, given)
    written = operators.write(Node("a", ours, given, ("b",)), None)
    assert operators.read(*written[1:]) == (ours, given)
    assert operators.write(Node("a", ours, given, ("b",)), parameters)[2] == parameters
    put(parameters, "operator", "Dream")
    if operator not in ("custom_formula", "join_multi_keys"):
        with pytest.raises(Exception, match="Dream"):
            operators.read(theirs, parameters)


def test_what_they_do_not_have_is_written_as_ours():
    node = Node("a", "rows.filter", {"condition": "x > 1"}, ("b",))
    written = operators.write(node, None)
    assert written == ("TRANSFORM", "clary.rows.filter_0.1", {"condition": "x > 1"})
    assert operators.read(*written[1:]) == ("rows.filter", {"condition": "x > 1"})
    both = Node("a", "strings.affix", {"columns": ["x"], "prefix": "a", "suffix": "b"}, ("b",))
    assert operators.write(both, None)[1] == "clary.strings.affix_0.1"
