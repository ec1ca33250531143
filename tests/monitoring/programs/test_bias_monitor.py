"""Bias on captured requests and their labels, held against a baseline."""

from __future__ import annotations

import json

import numpy as np
import pytest

from clary.analysis import bias_report
from clary.analysis.bias_report import Analysis, BiasMetrics, FacetValue, MetricValue
from clary.kernel.errors import InvalidInput
from clary.monitoring.programs import clarify

CONFIG = {
    "headers": ["approved", "age", "income"],
    "label": "approved",
    "label_values_or_threshold": [1],
    "facet": [{"name_or_index": "age", "value_or_threshold": [40]}],
    "group_variable": "income",
}
ENVIRONMENT = {
    "analysis_type": "MODEL_BIAS",
    "dataset_source": "/opt/ml/processing/input/endpoint",
    "dataset_format": '{"sagemakerCaptureJson":{"captureIndexNames":["endpointInput"]}}',
    "ground_truth_source": "/opt/ml/processing/input/groundtruth",
    "output_path": "/opt/ml/processing/output",
    "start_time": "2026-01-02T03:00:00Z",
    "end_time": "2026-01-02T04:00:00Z",
    "probability_attribute": "0",
    "publish_cloudwatch_metrics": "Enabled",
}
HOUR = "2026/01/02/03"


@pytest.fixture
def ml(tmp_path):
    """A job's folder: 400 answers that favour the young, labels that do not."""
    draw = np.random.default_rng(3)
    requests, labels = [], []
    for number in range(400):
        age, income = int(draw.integers(20, 70)), int(draw.integers(1, 4))
        score = 0.9 if (age <= 40) == (draw.random() < 0.8) else 0.2
        data = {
            "endpointInput": {"data": f"{age},{income}", "encoding": "CSV"},
            "endpointOutput": {"data": str(score), "encoding": "CSV"},
        }
        event = {"eventId": str(number), "inferenceTime": "2026-01-02T03:30:00Z"}
        requests.append({"captureData": data, "eventMetadata": event, "eventVersion": "0"})
        if number % 10:
            truth = {"data": str(int(draw.random() < 0.5)), "encoding": "CSV"}
            labels.append({"groundTruthData": truth, "eventMetadata": {"eventId": str(number)}})
    put(tmp_path, "processing/input/config/analysis_config.json", CONFIG)
    folder = tmp_path / "processing/input"
    for name, lines in (("endpoint/e/AllTraffic", requests), ("groundtruth", labels)):
        file = folder / name / HOUR / "x.jsonl"
        file.parent.mkdir(parents=True)
        file.write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"capt')
    return tmp_path


def put(ml, name, document):
    file = ml / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(document))


def baseline(**values):
    metrics = tuple(MetricValue(name, value=value) for name, value in values.items())
    facets = {"age": (FacetValue("(40, 80]", metrics),)}
    stage = BiasMetrics("approved", facets, "1")
    return json.loads(bias_report.write(Analysis(post_training_bias_metrics=stage)))


def run(ml, **more):
    said = clarify.run({**ENVIRONMENT, **more}, ml)
    output = ml / "processing/output"
    return said, json.loads((output / "analysis.json").read_text())


def test_bias_that_has_grown_is_a_violation(ml):
    put(ml, "processing/baseline/constraints/analysis.json", baseline(DPPL=0.05, DI=0.97, RD=0.9))
    path = "/opt/ml/processing/baseline/constraints/analysis.json"
    said, found = run(ml, baseline_constraints=path)
    assert said == "CompletedWithViolations: Job completed successfully with 2 violations."
    document = json.loads((ml / "processing/output/constraint_violations.json").read_text())
    assert document["version"] == "1.0"
    (facet,) = found["post_training_bias_metrics"]["facets"]["age"]
    values = {one["name"]: one["value"] for one in facet["metrics"]}
    assert list(values) == ["DI", "DPPL", "RD"]
    for violation, name, bound in zip(
        document["violations"], ("DPPL", "DI"), (0.05, 0.97), strict=True
    ):
        del violation["clary"]
        assert violation == {
            "facet": "age",
            "facet_value": "40",
            "metric_name": name,
            "constraint_check_type": "bias_drift_check",
            "description": f"Metric value {values[name]} doesn't meet the baseline constraint "
            f"requirement {bound}",
        }
    assert found["clary"]["merged"]["requests_without_label"] == 40
    assert found["clary"]["merged"]["unreadable_lines"] == 2


def test_what_chance_may_do_is_none(ml):
    put(ml, "processing/baseline/constraints/analysis.json", baseline(RD=0.55, DPPL=0.999))
    path = "/opt/ml/processing/baseline/constraints/analysis.json"
    said, found = run(ml, baseline_constraints=path)
    (facet,) = found["post_training_bias_metrics"]["facets"]["age"]
    recall = next(one for one in facet["metrics"] if one["name"] == "RD")
    assert recall["value"] > 0.55
    assert recall["clary"]["confidence_interval"][0] < 0.55
    assert said == "Completed: Job completed successfully with no violations."


def test_metrics_are_published_for_their_time(ml):
    run(ml)
    lines = (ml / "output/metrics/cloudwatch/bias.jsonl").read_text().splitlines()
    data = {one["MetricName"]: one for one in map(json.loads, lines)}
    assert "bias_metric_DPPL" in data
    told = {one["Name"]: one["Value"] for one in data["bias_metric_DPPL"]["Dimensions"]}
    assert told == {
        "BiasStage": "Post-Training",
        "Label": "approved",
        "LabelValue": "1",
        "Facet": "age",
        "FacetValue": "(40, 69]",
    }
    assert data["bias_metric_DPPL"]["Timestamp"] == ENVIRONMENT["start_time"]


def test_no_labels_yet_is_no_failure(ml):
    put(ml, "processing/baseline/constraints/analysis.json", baseline(DPPL=0.05))
    path = "/opt/ml/processing/baseline/constraints/analysis.json"
    said, found = run(ml, baseline_constraints=path, ground_truth_source="")
    assert said == "Completed: Job completed successfully with no violations."
    assert found["clary"]["merged"]["requests_without_label"] == 400
    document = json.loads((ml / "processing/output/constraint_violations.json").read_text())
    assert document["clary"]["unchecked"] == ["DPPL of age > 40: was not measured"]


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"version": 0.0, "features": [{"name": "age"}]}, "analysis.json.version: Expected `str`"),
        ({"version": "1.0"}, "holds neither"),
        ([1], "Expected `object`, got `array`"),
    ],
)
def test_a_baseline_of_another_kind_is_refused(ml, document, message):
    put(ml, "processing/baseline/constraints/analysis.json", document)
    path = "/opt/ml/processing/baseline/constraints/analysis.json"
    with pytest.raises(InvalidInput) as raised:
        run(ml, baseline_constraints=path)
    assert message in str(raised.value)


def test_answers_of_batches_have_their_features_beside_them(ml):
    lines = [
        {
            "SageMakerInferenceId": str(number),
            "SageMakerInferenceTime": "2026-01-02T03:30:00Z",
            "row": [20 + number % 50, number % 3],
            "score": 0.9 if number % 50 < 20 else 0.1,
        }
        for number in range(400)
    ]
    for file in (ml / "processing/input/endpoint").rglob("*.jsonl"):
        file.unlink()
    target = ml / "processing/input/endpoint/scores/rows.out"
    target.parent.mkdir(parents=True)
    target.write_text("".join(json.dumps(line) + "\n" for line in lines))
    _, found = run(
        ml,
        dataset_format='{"json":{"lines":true}}',
        monitoring_input_type="BATCH_TRANSFORM_INPUT",
        features_attribute="row",
        probability_attribute="",
        inference_attribute="score",
    )
    (facet,) = found["post_training_bias_metrics"]["facets"]["age"]
    assert facet["clary"]["rows"] == 360
    assert {one["name"]: one["value"] for one in facet["metrics"]}["DPPL"] > 0.9


def test_answers_that_are_no_labels_are_counted_and_named(ml):
    file = next((ml / "processing/input/endpoint").rglob("*.jsonl"))
    odd = ["[[]]", '[{"x": 1, "y": 2}]', "[[0.9]]"]
    lines = file.read_text().splitlines()
    for place, answer in enumerate(odd, start=1):
        line = json.loads(lines[place])
        line["captureData"]["endpointOutput"] = {"data": answer, "encoding": "JSON"}
        lines[place] = json.dumps(line)
    file.write_text("\n".join(lines))
    _, found = run(ml, probability_attribute="")
    merged = found["clary"]["merged"]
    assert merged["unreadable_lines"] == 4
    said = "\n".join(merged["unreadable"])
    for problem in ("line 2: data: has an empty list", "line 3: data: has the members x, y"):
        assert problem in said, said
