"""Deequ's rules: what a baseline's rows fulfil becomes a constraint."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest

from clary.analysis import constraints, suggestions
from clary.analysis.profiles import Profile
from clary.analysis.profiling import of_batches
from clary.kernel.errors import InvalidInput


def suggested(values, kind=None):
    batch = pa.RecordBatch.from_pydict({"x": pa.array(values, kind)})
    return suggestions.suggest(of_batches(["x"], [batch])).features[0]


@pytest.mark.parametrize(
    ("values", "kind", "completeness"),
    [
        ([1, 2], "Integral", 1.0),
        ([1.5, 2.0], "Fractional", 1.0),
        (["1", "x"], "String", 1.0),
        ([1] * 90 + [None] * 10, "Integral", 0.84),  # 0.9 - 1.96 * 0.03 = 0.8412
        ([1] * 20 + [None] * 80, "Integral", 0.0),  # too few for a rule
        ([True, False], "String", 1.0),
    ],
)
def test_types_and_completeness(values, kind, completeness):
    found = suggested(values)
    assert (found.inferred_type, found.completeness) == (kind, completeness)


def test_a_column_of_nothing_has_no_type_and_no_bound():
    found = suggested([None, None], pa.string())
    assert (found.inferred_type, found.completeness) == ("Unknown", 0.0)
    assert found.num_constraints is found.string_constraints is None


@pytest.mark.parametrize(("values", "is_so"), [([0, 1.5], True), ([-1, 3], False)])
def test_what_is_never_negative(values, is_so):
    assert suggested(values).num_constraints.is_non_negative is is_so
    assert suggested([float("-inf"), 1.0]).num_constraints.is_non_negative is False


def test_a_closed_range_of_categories_is_the_domain_most_frequent_first():
    found = suggested(["b"] * 3 + ["a"] * 5)
    assert found.string_constraints == constraints.Strings(domains=("a", "b"))


def test_categories_that_cover_ninety_per_cent_are_a_domain_with_a_threshold():
    values = ["a"] * 60 + ["b"] * 35 + ["c", "c", "d", "e", "f"][:5]
    found = suggested(values).string_constraints
    assert found is None  # three of six occur once: too many
    found = suggested(["a"] * 60 + ["b"] * 35 + ["c"] * 4 + ["d"]).string_constraints
    assert found.domains == ("a", "b")
    assert found.monitoring_config_overrides.domain_content_threshold == 0.9  # 0.95 - 0.0427


def test_texts_of_too_many_values_have_no_domain():
    assert suggested([f"{n}x" for n in range(121)] * 3).string_constraints is None
    assert len(suggested([f"{n}x" for n in range(120)] * 3).string_constraints.domains) == 120


def test_the_whole_document_is_the_public_one():
    batch = pa.RecordBatch.from_pydict({"x": [1, 2]})
    document = json.loads(constraints.write(suggestions.suggest(of_batches(["x"], [batch]))))
    assert document["monitoring_config"] == {
        "evaluate_constraints": "Enabled",
        "emit_metrics": "Enabled",
        "datatype_check_threshold": 1.0,
        "domain_content_threshold": 1.0,
        "distribution_constraints": {
            "perform_comparison": "Enabled",
            "comparison_threshold": 0.1,
            "comparison_method": "Robust",
            "categorical_comparison_threshold": 0.1,
            "categorical_drift_method": "LInfinity",
        },
    }
    assert list(document) == ["version", "features", "monitoring_config", "clary"]


def test_nothing_suggests_nothing():
    with pytest.raises(InvalidInput, match="no rows"):
        suggestions.suggest(Profile())
