"""Model quality jobs on the files that they get: data sets, captures, labels that come late."""

import json
from pathlib import Path

import numpy as np
import pytest

from clary.kernel.errors import InvalidInput
from clary.monitoring.programs import model_quality_data
from clary.monitoring.programs.model_quality import run

EXAMPLES = Path(__file__).parents[4] / "shared" / "examples" / "monitoring"
STEP = "pipeline__quality_check_step__model_quality__"
needs_examples = pytest.mark.skipif(not EXAMPLES.is_dir(), reason="the examples are not here")
INPUT = "/opt/ml/processing/input"
CAPTURES = '{"sagemakerCaptureJson": {"captureIndexNames": ["endpointInput", "endpointOutput"]}}'
BINARY = {"problem_type": "BinaryClassification", "probability_attribute": "0"}


class Job:
    """A job's ``/opt/ml`` and what its program made of it."""

    def __init__(self, folder):
        self.ml = folder
        self.output = folder / "processing" / "output"

    def put(self, name, text):
        file = self.ml / "processing" / "input" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return f"{INPUT}/{name}"

    def run(self, **environment):
        defaults = {
            "dataset_source": f"{INPUT}/data",
            "output_path": "/opt/ml/processing/output",
            "analysis_type": "MODEL_QUALITY",
        }
        return run(defaults | environment, self.ml)

    def document(self, name):
        return json.loads((self.output / f"{name}.json").read_text())


@pytest.fixture
def job(tmp_path):
    return Job(tmp_path)


def sheet(*rows):
    lines = [",".join(map(str, row)) for row in rows]
    return "\n".join(lines) + "\n"


def captured(event, answer, given="", **more):
    sides = {"endpointOutput": {"mode": "OUTPUT", "data": answer, "encoding": "CSV"}}
    if given:
        sides["endpointInput"] = {"mode": "INPUT", "data": given, "encoding": "CSV"}
    return json.dumps({"captureData": sides, "eventMetadata": {"eventId": event, **more}})


def labelled(event, label):
    return json.dumps(
        {
            "groundTruthData": {"data": str(label), "encoding": "CSV"},
            "eventMetadata": {"eventId": event},
        }
    )


def people(seed, rows, *, shift=0.0):
    """Make inputs whose chance is known, and a model's score that knows a part of it."""
    generator = np.random.default_rng(seed)
    inputs = generator.normal(size=(rows, 3)) + np.array([shift, 0, 0])
    chances = 1 / (1 + np.exp(-(1.5 * inputs[:, 0] + inputs[:, 0] * inputs[:, 1])))
    scores = 1 / (1 + np.exp(-1.2 * inputs[:, 0]))
    return inputs.round(4), scores.round(6), generator.random(rows) < chances


def baseline(job, seed=1, rows=4000):
    inputs, scores, labels = people(seed, rows)
    table = [("a", "b", "c", "score", "label")]
    table += [(*x, s, int(y)) for x, s, y in zip(inputs, scores, labels, strict=True)]
    job.put("baseline/x.csv", sheet(*table))
    job.run(
        problem_type="BinaryClassification",
        dataset_source=f"{INPUT}/baseline",
        dataset_format='{"csv": {"header": true}}',
        probability_attribute="score",
        ground_truth_attribute="label",
    )
    constraints = job.document("constraints")
    return job.put("constraints/constraints.json", json.dumps(constraints)), constraints


def traffic(job, seed, rows, *, shift=0.0):
    inputs, scores, labels = people(seed, rows, shift=shift)
    lines = [
        captured(f"e{at}", str(score), ",".join(map(str, row)))
        for at, (row, score) in enumerate(zip(inputs, scores, strict=True))
    ]
    job.put("data/e/v/2026/01/02/03/x.jsonl", "\n".join(lines))
    return scores, labels


def live(job, constraints, **more):
    return job.run(
        **BINARY,
        dataset_format=CAPTURES,
        monitoring_input_type="ENDPOINT_INPUT",
        baseline_constraints=constraints,
        **more,
    )


@needs_examples
def test_the_baseline_that_people_have(job):
    job.put("data/x.csv", (EXAMPLES / f"{STEP}baseline_dataset.csv").read_text())
    bad = job.put("bad.json", (EXAMPLES / f"{STEP}bad_cases__constraints.json").read_text())
    found = job.run(
        problem_type="Regression",
        inference_attribute="Prediction",
        ground_truth_attribute="Label",
        baseline_constraints=bad,
    )
    assert [one.metric_name for one in found] == ["mse"]
    expected = json.loads((EXAMPLES / f"{STEP}statistics.json").read_text())
    statistics = job.document("statistics")
    assert statistics["dataset"]["item_count"] == 100
    for name in ("mae", "mse", "rmse"):
        metric = statistics["regression_metrics"][name]
        assert metric["value"] == pytest.approx(expected["regression_metrics"][name]["value"])
        assert metric["standard_deviation"] == "NaN"
    assert "mse" in job.document("constraints")["regression_constraints"]
    (violation,) = job.document("constraint_violations")["violations"]
    assert violation["constraint_check_type"] == "GreaterThanThreshold"


@needs_examples
def test_the_captures_and_labels_that_people_have(job):
    job.put("data/x.jsonl", (EXAMPLES / "monitor__capture.jsonl").read_text())
    job.put("groundtruth/2026/01/02/03/x.jsonl", (EXAMPLES / "monitor__actuals.jsonl").read_text())
    job.run(**BINARY, dataset_format=CAPTURES, ground_truth_source=f"{INPUT}/groundtruth")
    statistics = job.document("statistics")
    assert statistics["dataset"]["item_count"] == 44
    assert statistics["clary"]["merged"] == {
        "requests": 44,
        "requests_without_label": 0,
        "labels": 44,
        "labels_without_request": 0,
        "labels_repeated": 0,
        "unreadable_lines": 0,
    }


def test_an_alarm_comes_before_the_labels_and_the_labels_confirm_it(job):
    constraints, bounds = baseline(job)
    _, labels = traffic(job, 2, 3000, shift=-1.5)
    early = {one.metric_name: one for one in live(job, constraints)}
    assert "auc" in early
    assert "estimated for 3000 answers without labels" in early["auc"].description
    statistics = job.document("statistics")
    assert statistics["dataset"]["item_count"] == 0
    auc = statistics["binary_classification_metrics"]["auc"]
    assert auc == {"value": None, "standard_deviation": "NaN", "error": "there are no rows"}
    estimated = statistics["clary"]["estimated"]
    assert (estimated["rows"], estimated["rows_with_inputs"]) == (3000, 3000)
    assert estimated["level"] == 0.95
    job.put(
        "groundtruth/2026/01/03/00/x.jsonl",
        "\n".join(labelled(f"e{at}", int(label)) for at, label in enumerate(labels)),
    )
    late = {
        one.metric_name: one
        for one in live(job, constraints, ground_truth_source=f"{INPUT}/groundtruth")
    }
    assert "estimated" not in late["auc"].description
    statistics = job.document("statistics")
    measured = statistics["binary_classification_metrics"]["auc"]["value"]
    told = estimated["metrics"]["auc"]
    assert told["lower"] <= measured <= told["upper"]
    assert measured < bounds["binary_classification_constraints"]["auc"]["threshold"]
    assert "estimated" not in statistics["clary"]


def test_half_of_the_labels_have_come(job):
    constraints, _ = baseline(job)
    _, labels = traffic(job, 3, 2000)
    known = [labelled(f"e{at}", int(labels[at])) for at in range(0, 2000, 2)]
    job.put("groundtruth/x.jsonl", "\n".join([*known, labelled("stranger", 1), '{"trunc']))
    live(job, constraints, ground_truth_source=f"{INPUT}/groundtruth")
    statistics = job.document("statistics")
    merged = statistics["clary"]["merged"]
    assert statistics["dataset"]["item_count"] == 1000
    assert statistics["clary"]["estimated"]["rows"] == 1000
    assert (merged["requests"], merged["requests_without_label"]) == (2000, 1000)
    assert (merged["labels_without_request"], merged["unreadable_lines"]) == (1, 1)
    assert "x.jsonl, line 1002: Input data was truncated" in merged["unreadable"][0]


def test_of_many_answers_a_sample_is_estimated(job, monkeypatch):
    constraints, _ = baseline(job)
    traffic(job, 6, 2000)
    live(job, constraints)
    whole = job.document("statistics")["clary"]["estimated"]
    monkeypatch.setattr(model_quality_data, "_MOST_ROWS", 500)
    live(job, constraints)
    some = job.document("statistics")["clary"]["estimated"]
    assert (whole["rows"], some["rows"], some["rows_with_inputs"]) == (2000, 500, 500)
    assert some["metrics"]["auc"]["value"] == pytest.approx(
        whole["metrics"]["auc"]["value"], abs=0.04
    )


def test_a_window_without_a_request_is_reported(job):
    constraints, _ = baseline(job)
    (job.ml / "processing" / "input" / "data").mkdir()
    assert live(job, constraints) == ()
    statistics = job.document("statistics")
    assert statistics["dataset"]["item_count"] == 0
    assert statistics["clary"]["unchecked"]["accuracy"] == "there are no rows"
    assert job.document("constraint_violations") == {"violations": []}


def test_only_the_window_is_measured(job):
    lines = [
        captured(f"e{minute}", "0.9", inferenceTime=f"2026-01-02T03:{minute:02}:00Z")
        for minute in range(10)
    ]
    job.put("data/e/v/2026/01/02/03/x.jsonl", "\n".join(lines))
    job.put("groundtruth/x.jsonl", "\n".join(labelled(f"e{at}", 1) for at in range(10)))
    job.run(
        **BINARY,
        dataset_format=CAPTURES,
        ground_truth_source=f"{INPUT}/groundtruth",
        start_time="2026-01-02T03:02:00Z",
        end_time="2026-01-02T03:05:00",
    )
    assert job.document("statistics")["dataset"]["item_count"] == 3


def test_answers_of_batches_and_of_many_rows(job):
    job.put(
        "data/in.csv.out", sheet(*((at / 10, f"i{at}", "2026-01-02T03:04:05Z") for at in range(10)))
    )
    job.put("groundtruth/x.jsonl", "\n".join(labelled(f"i{at}", int(at > 5)) for at in range(10)))
    job.run(
        **BINARY,
        dataset_format='{"csv": {"header": false}}',
        monitoring_input_type="BATCH_TRANSFORM_INPUT",
        ground_truth_source=f"{INPUT}/groundtruth",
    )
    assert job.document("statistics")["binary_classification_metrics"]["accuracy"]["value"] == 1.0
    job.put("many/x.jsonl", "\n".join((captured("a", "1,2\n3,4"), captured("b", "5,6"))))
    job.put("truths/x.jsonl", "\n".join((labelled("a", "1\n2"), labelled("b", "5\n5"))))
    job.run(
        problem_type="Regression",
        inference_attribute="0",
        dataset_source=f"{INPUT}/many",
        dataset_format=CAPTURES,
        ground_truth_source=f"{INPUT}/truths",
    )
    statistics = job.document("statistics")
    assert statistics["dataset"]["item_count"] == 2
    assert statistics["regression_metrics"]["mae"]["value"] == 0.5
    assert "has 2 labels for 1 answers" in statistics["clary"]["merged"]["unreadable"][0]


def test_classes_with_names(job):
    rows = [("cat", "cat"), ("dog", "cat"), ("dog", "dog"), ("", "dog")] * 60
    job.put("data/x.csv", sheet(("label", "said"), *rows))
    job.run(
        problem_type="MulticlassClassification",
        inference_attribute="said",
        ground_truth_attribute="label",
    )
    statistics = job.document("statistics")
    metrics = statistics["multiclass_classification_metrics"]
    assert metrics["confusion_matrix"] == {
        "cat": {"cat": 60, "dog": 0},
        "dog": {"cat": 60, "dog": 60},
    }
    assert statistics["clary"] == {"rows_left_out": 60}
    bounds = job.document("constraints")["multiclass_classification_constraints"]
    assert bounds["weighted_f2"]["comparison_operator"] == "LessThanThreshold"


def test_a_regression_is_estimated_before_its_labels(job):
    generator = np.random.default_rng(5)

    def rows(count, where):
        x = generator.uniform(*where, size=count)
        truth = 2 * x + generator.normal(size=count) * np.where(x > 0.5, 3.0, 0.5)
        return x.round(5), (2 * x).round(5), truth.round(5)

    table = zip(*rows(4000, (0, 1)), strict=True)
    job.put("baseline/x.csv", sheet(("x", "said", "truth"), *table))
    asked = {"problem_type": "Regression"}
    job.run(
        **asked,
        dataset_source=f"{INPUT}/baseline",
        inference_attribute="said",
        ground_truth_attribute="truth",
    )
    constraints = job.put("constraints.json", json.dumps(job.document("constraints")))
    x, said, truth = rows(2000, (0.55, 1))
    lines = [captured(f"{at}", str(one), str(x[at])) for at, one in enumerate(said)]
    job.put("data/x.jsonl", "\n".join(lines))
    found = job.run(
        **asked, inference_attribute="0", dataset_format=CAPTURES, baseline_constraints=constraints
    )
    assert {"mae", "mse", "rmse"} <= {one.metric_name for one in found}
    told = job.document("statistics")["clary"]["estimated"]["metrics"]["mae"]
    assert told["lower"] <= np.mean(np.abs(said - truth)) <= told["upper"]


def test_metrics_are_published_for_the_schedule(job):
    constraints, _ = baseline(job)
    traffic(job, 4, 300)
    live(
        job,
        constraints,
        publish_cloudwatch_metrics="Enabled",
        metric_time="2026-01-02T03:00:00Z",
        sagemaker_endpoint_name="e",
        sagemaker_monitoring_schedule_name="s",
    )
    lines = (job.ml / "output/metrics/cloudwatch/cloudwatch_metrics.jsonl").read_text().splitlines()
    found = {one["MetricName"]: one for one in map(json.loads, lines)}
    assert found["estimated_auc"]["Timestamp"] == "2026-01-02T03:00:00Z"
    assert [one["Value"] for one in found["estimated_auc"]["Dimensions"]] == ["e", "s"]
    assert "auc" not in found


def test_scripts_of_users_read_and_end(job):
    script = """
def preprocess_handler(record):
    if record.event_metadata.event_id != "skip":
        return {"score": float(record.endpoint_output.data.partition("|")[2])}
"""
    job.put("data/x.jsonl", "\n".join(captured(one, "x|0.9") for one in ("a", "b", "skip")))
    job.put("groundtruth/x.jsonl", "\n".join(labelled(one, 1) for one in ("a", "b", "skip")))
    done = job.ml / "done"
    job.run(
        problem_type="BinaryClassification",
        probability_attribute="score",
        dataset_format=CAPTURES,
        ground_truth_source=f"{INPUT}/groundtruth",
        record_preprocessor_script=job.put("pre.py", script),
        post_analytics_processor_script=job.put(
            "post.py", f"def postprocess_handler():\n    open({str(done)!r}, 'w').close()\n"
        ),
    )
    assert job.document("statistics")["dataset"]["item_count"] == 2
    assert done.exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"ground_truth_attribute": ""}, "ground_truth_attribute: is missing"),
        (
            {"ground_truth_attribute": "lable"},
            "'lable' names no column of the data set; legal: label, said",
        ),
        ({"ground_truth_attribute": "7"}, "'7' names no column"),
        ({"problem_type": "Ranking"}, "problem_type"),
        ({"inference_attribute": ""}, "inference_attribute: is missing"),
        ({"problem_type": "BinaryClassification"}, "no row can be used; the first has label 5"),
        ({"baseline_constraints": "/opt/ml/nothing.json"}, "no file"),
        ({"baseline_constraints": "/etc/passwd"}, "below /opt/ml/"),
        ({"start_time": "soon", "dataset_format": CAPTURES}, "'soon' is no time"),
        (
            {"monitoring_input_type": "BATCH_TRANSFORM_INPUT", "dataset_format": '{"parquet": {}}'},
            "parquet has no ids",
        ),
    ],
)
def test_what_cannot_be_is_refused(job, change, said):
    job.put("data/x.csv", sheet(("label", "said"), (5, 6), (7, 7)))
    given = {
        "problem_type": "Regression",
        "inference_attribute": "said",
        "ground_truth_attribute": "label",
    }
    with pytest.raises(InvalidInput, match=said):
        job.run(**given | change)


def test_an_estimator_that_is_none_is_refused(job):
    constraints, document = baseline(job, rows=300)
    traffic(job, 1, 10)
    for text in ("xx", "eJw=", 3):
        document["clary"]["estimator"] = text
        (job.ml / "processing/input/constraints/constraints.json").write_text(json.dumps(document))
        with pytest.raises(InvalidInput, match=r"constraints.clary.estimator: is no estimator"):
            live(job, constraints)


def test_attributes_that_fit_no_request_are_refused(job):
    job.put("data/x.jsonl", "\n".join((captured("a", "0.5"), captured("b", "0.5"), "{")))
    given = {"problem_type": "BinaryClassification", "dataset_format": CAPTURES}
    with pytest.raises(InvalidInput, match=r"none of 2 can be read; the first: .*line 1.*'score'"):
        job.run(**given, probability_attribute="score")
    job.put("data/x.jsonl", "{")
    job.run(**given, probability_attribute="score")
    assert job.document("statistics")["clary"]["merged"]["unreadable_lines"] == 1


def test_few_rows_give_bounds_but_no_estimator(job):
    _, document = baseline(job, rows=150)
    assert "estimator" not in document.get("clary", {})
    assert "auc" in document["binary_classification_constraints"]


@pytest.mark.parametrize(
    ("name", "text", "shape", "places"),
    [
        ("x.csv", "1,0\n2,0\n3,3\n", '{"csv": {"header": false}}', ("0", "1")),
        ("x.csv", "0,1\n1,0\n2,0\n3,3\n", '{"csv": {"header": true}}', ("0", "1")),
        (
            "x.jsonl",
            "\n".join(f'{{"a": {{"said": {one}}}, "true": {one // 3 * 3}}}' for one in (1, 2, 3)),
            '{"json": {"lines": true}}',
            ("$.a.said", "true"),
        ),
    ],
)
def test_columns_of_data_sets_are_found(job, name, text, shape, places):
    job.put(f"data/{name}", text)
    said, true = places
    job.run(
        problem_type="Regression",
        dataset_format=shape,
        inference_attribute=said,
        ground_truth_attribute=true,
    )
    assert job.document("statistics")["regression_metrics"]["mae"]["value"] == pytest.approx(1.0)
