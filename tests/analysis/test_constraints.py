"""constraints.json and constraint_violations.json, in every dialect."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from clary.analysis import constraints, violations
from clary.kernel.errors import InvalidInput

EXAMPLES = Path(__file__).parents[3] / "shared" / "examples" / "monitoring"


def example(name):
    file = EXAMPLES / name
    if not file.exists():
        pytest.skip("needs the example files")
    return file.read_bytes()


@pytest.mark.parametrize("case", ["good", "bad"])
def test_constraints_of_the_present_dialect_stay_as_they_are(case):
    data = example(f"pipeline__quality_check_step__data_quality__{case}_cases__constraints.json")
    assert json.loads(constraints.write(constraints.read(data))) == json.loads(data)


def test_constraints_of_the_first_dialect_are_written_in_the_present_one():
    read = constraints.read(example("monitor__constraints.json"))
    assert constraints.read(constraints.write(read)) == read
    compared = json.loads(constraints.write(read))["monitoring_config"]
    assert compared["domain_content_threshold"] == 1.0
    assert compared["distribution_constraints"] == {
        "perform_comparison": "Enabled",
        "comparison_threshold": 1.0,
    }
    assert read.settings(read.features[0]).categorical == 1.0


def test_violations_stay_as_they_are():
    data = example("monitor__constraint_violations.json")
    assert json.loads(violations.write(violations.read(data))) == json.loads(data)


def test_camel_case_and_switches_of_other_dialects():
    read = constraints.read(
        json.dumps(
            {
                "features": [
                    {
                        "name": "a",
                        "inferred_type": "String",
                        "string_constraints": {
                            "domains": ["x"],
                            "monitoringConfigOverrides": {"domain_content_threshold": 0.5},
                        },
                        "monitoringConfigOverrides": {"evaluate_constraints": "Disabled"},
                    }
                ],
                "monitoring_config": {
                    "datatype_check_threshold": 0.2,
                    "distribution_constraints": {
                        "enable_comparisons": False,
                        "categorical_drift_method": "ChiSquared",
                    },
                },
            }
        )
    )
    own = read.settings(read.features[0])
    assert (own.evaluates, own.domain, own.datatype) == (False, 0.5, 0.2)
    assert (own.compares, own.categorical_method) == (False, "ChiSquared")
    assert read.settings().evaluates


def test_what_is_not_said_has_the_format_s_defaults():
    assert constraints.read('{"features": []}').settings() == constraints.Settings(
        evaluates=True,
        emits_metrics=True,
        datatype=1.0,
        domain=1.0,
        compares=True,
        numeric=0.1,
        method="Robust",
        categorical=0.1,
        categorical_method="LInfinity",
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[", "constraints.json: not valid JSON"),
        ("[]", "constraints.json: Expected `object`"),
        ('{"regression_constraints": {}}', "holds 'regression_constraints'; legal: features"),
        ('{"features": [], "clary": {"drift": {"thresholds": {"psi": 1}}}}', "legal: chi_sq"),
        ('{"features": [], "dataset": {"item_count": 1}}', "holds 'features', 'dataset'"),
        ('{"features": [{"name": "a", "completeness": 2}]}', "features[0].completeness"),
        ('{"features": [{"name": "a", "inferred_type": "Int"}]}', "Integral"),
        ('{"features": [{"name": "a"}, {"name": "a"}]}', "'a' is there more than once"),
    ],
)
def test_what_is_no_such_document_is_refused_by_its_place(text, said):
    with pytest.raises(InvalidInput) as raised:
        constraints.read(text)
    assert said in str(raised.value)
