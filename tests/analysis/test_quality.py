"""Metrics against scikit-learn, documents against the ones people have."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as oracle

from clary.analysis.estimates import Estimate, Estimates
from clary.analysis.quality import read_quality
from clary.analysis.quality_binary import Counts, binary, ranking
from clary.analysis.quality_constraints import (
    broken,
    broken_estimates,
    read_quality_constraints,
    suggest,
    unchecked,
)
from clary.analysis.quality_multiclass import multiclass
from clary.analysis.quality_regression import THEIRS, regression
from clary.kernel.errors import InvalidInput

EXAMPLES = Path(__file__).parents[3] / "shared" / "examples" / "monitoring"
STEP = "pipeline__quality_check_step__model_quality__"
needs_examples = pytest.mark.skipif(not EXAMPLES.is_dir(), reason="the examples are not here")


def close(found, expected):
    assert found == pytest.approx(expected, rel=1e-12, abs=1e-12)


rows = st.integers(2, 60).flatmap(
    lambda n: st.tuples(
        st.lists(st.booleans(), min_size=n, max_size=n),
        st.lists(st.sampled_from([0.0, 0.1, 0.5, 0.51, 0.9, 1.0]), min_size=n, max_size=n),
    )
)


@given(rows)
@settings(max_examples=150, deadline=None)
def test_binary_metrics_are_those_of_scikit_learn(case):
    labels, scores = np.array(case[0]), np.array(case[1])
    predictions = scores > 0.5
    quality = binary(labels, predictions, scores)
    values = {name: one.value for name, one in quality.metrics.items()}
    close(values["accuracy"], oracle.accuracy_score(labels, predictions))
    for name, beta in (("f0_5", 0.5), ("f1", 1), ("f2", 2)):
        if labels.any() or predictions.any():
            close(values[name], oracle.fbeta_score(labels, predictions, beta=beta))
        else:
            assert values[name] is None
    if labels.any():
        close(values["recall"], oracle.recall_score(labels, predictions))
        close(values["false_negative_rate"], 1 - values["true_positive_rate"])
    if predictions.any():
        close(values["precision"], oracle.precision_score(labels, predictions))
    if labels.any() and not labels.all():
        close(values["auc"], oracle.roc_auc_score(labels, scores))
        fpr, tpr, _ = oracle.roc_curve(labels, scores, drop_intermediate=False)
        curve = quality.members["receiver_operating_characteristic_curve"]
        close(curve["false_positive_rates"], [*fpr, 1.0])
        close(curve["true_positive_rates"], [*tpr, 1.0])
    else:
        assert values["auc"] is None
        assert quality.metrics["auc"].error
    matrix = oracle.confusion_matrix(labels, predictions, labels=[False, True])
    found = quality.members["confusion_matrix"]
    assert [[found[a][p] for p in "01"] for a in "01"] == matrix.tolist()


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=60))
@settings(max_examples=150, deadline=None)
def test_multiclass_metrics_are_those_of_scikit_learn(pairs):
    labels, predictions = np.array(pairs).T
    quality = multiclass(labels, predictions, ["a", "b", "c", "d"])
    for name, beta in (("weighted_f0_5", 0.5), ("weighted_f1", 1), ("weighted_f2", 2)):
        expected = oracle.fbeta_score(
            labels, predictions, beta=beta, average="weighted", zero_division=0
        )
        close(quality.metrics[name].value, expected)
    precision = oracle.precision_score(labels, predictions, average="weighted", zero_division=0)
    close(quality.metrics["weighted_precision"].value, precision)
    close(quality.metrics["accuracy"].value, oracle.accuracy_score(labels, predictions))
    most = max(np.bincount(labels)) / len(labels)
    close(quality.metrics["accuracy_best_constant_classifier"].value, most)
    close(quality.metrics["weighted_precision_best_constant_classifier"].value, most**2)


@given(st.lists(st.tuples(*[st.floats(-1e6, 1e6)] * 2), min_size=2, max_size=60))
@settings(max_examples=100, deadline=None)
def test_regression_metrics_are_those_of_scikit_learn(pairs):
    labels, predictions = np.array(pairs).T
    quality = regression(labels, predictions)
    assert quality.metrics["mae"].value == pytest.approx(
        oracle.mean_absolute_error(labels, predictions), rel=1e-9
    )
    assert quality.metrics["rmse"].value == pytest.approx(
        oracle.root_mean_squared_error(labels, predictions), rel=1e-9
    )
    if np.ptp(labels) > 1e-3:
        assert quality.metrics["r2"].value == pytest.approx(
            oracle.r2_score(labels, predictions), rel=1e-6, abs=1e-6
        )


def test_curves_and_areas_of_many_scores():
    generator = np.random.default_rng(3)
    scores = generator.random(20_000)
    labels = generator.random(20_000) < scores
    quality = binary(labels, scores > 0.5, scores)
    close(quality.metrics["auc"].value, oracle.roc_auc_score(labels, scores))
    curve = quality.members["receiver_operating_characteristic_curve"]
    assert len(curve["true_positive_rates"]) == 502
    area = np.trapezoid(curve["true_positive_rates"], curve["false_positive_rates"])
    assert area == pytest.approx(quality.metrics["auc"].value, abs=1e-4)


def test_deviations_need_two_hundred_rows_and_are_the_same_every_time():
    generator = np.random.default_rng(1)
    labels = generator.normal(size=2000)
    predictions = labels + generator.normal(size=2000)
    few = regression(labels[:199], predictions[:199]).to_document()["regression_metrics"]
    assert {one["standard_deviation"] for one in few.values()} == {"NaN"}
    first, second = (regression(labels, predictions) for _ in range(2))
    assert first == second
    draws = [
        np.mean(np.abs(predictions - labels)[generator.permutation(2000)[:1600]])
        for _ in range(400)
    ]
    assert first.metrics["mae"].standard_deviation == pytest.approx(np.std(draws), rel=0.8)


def test_undefined_metrics_say_why():
    labels = np.zeros(5, dtype=bool)
    document = binary(labels, labels, np.linspace(0, 0.4, 5)).to_document()
    found = document["binary_classification_metrics"]
    assert found["auc"] == {
        "value": None,
        "standard_deviation": "NaN",
        "error": "no label is positive",
    }
    assert found["precision"]["error"] == "no prediction is positive"
    assert found["accuracy"]["value"] == 1.0
    assert regression(np.ones(3), np.zeros(3)).metrics["r2"].error == "all labels are equal"
    assert regression(np.zeros(0), np.zeros(0)).metrics["mae"].error == "there are no rows"
    assert binary(labels[:0], labels[:0], np.zeros(0)).metrics["auc"].value is None
    assert ranking(np.zeros(0), np.zeros(0)).curves() == {}
    none = np.zeros(0, dtype=np.intp)
    assert multiclass(none, none, []).metrics["accuracy"].value is None


def test_a_thousand_classes_are_the_most():
    many = np.arange(1001)
    with pytest.raises(InvalidInput, match="1001 distinct values"):
        multiclass(many, many, [str(one) for one in many])


@needs_examples
@pytest.mark.parametrize(
    "name",
    [
        f"{STEP}statistics.json",
        "model_card__evaluation_metrics__model_monitor_model_quality_regression.json",
        "model_card__evaluation_metrics__model_monitor_model_quality_binary_classification.json",
    ],
)
def test_statistics_that_people_have_come_back_unchanged(name):
    text = (EXAMPLES / name).read_text()
    assert read_quality(text).to_document() == json.loads(text)


@needs_examples
@pytest.mark.parametrize("case", ["good", "bad"])
def test_constraints_that_people_have_come_back_unchanged(case):
    text = (EXAMPLES / f"{STEP}{case}_cases__constraints.json").read_text()
    assert read_quality_constraints(text).to_document() == json.loads(text)


@needs_examples
def test_the_example_is_computed_again():
    rows = np.genfromtxt(EXAMPLES / f"{STEP}baseline_dataset.csv", delimiter=",", names=True)
    found = regression(rows["Label"], rows["Prediction"])
    expected = read_quality((EXAMPLES / f"{STEP}statistics.json").read_text())
    for name, metric in expected.metrics.items():
        value = found.extra[THEIRS] if name == "r2" else found.metrics[name].value
        assert value == pytest.approx(metric.value, rel=1e-12), name
        assert found.metrics[name].standard_deviation is None
    good = read_quality_constraints((EXAMPLES / f"{STEP}good_cases__constraints.json").read_text())
    bad = read_quality_constraints((EXAMPLES / f"{STEP}bad_cases__constraints.json").read_text())
    assert set(suggest(found).bounds) == set(good.bounds)
    for quality in (expected, found):
        assert {one.metric_name for one in broken(quality, bad)} == {"mse"}
        assert not broken(quality, good)


def test_thresholds_of_r2_are_held_against_the_r2_they_were_made_of():
    labels = np.array([0.0, 1.0, 0.0, 1.0])
    quality = regression(labels, labels * 0.5 + 0.25)
    assert (quality.metrics["r2"].value, quality.extra[THEIRS]) == (0.75, 0.0)
    bound = {"r2": {"threshold": 0.5, "comparison_operator": "LessThanThreshold"}}
    theirs = read_quality_constraints(json.dumps({"regression_constraints": bound}))
    ours = read_quality_constraints(
        json.dumps({"regression_constraints": bound, "clary": {"r2": "labels"}})
    )
    assert [one.description for one in broken(quality, theirs)] == [
        "Metric r2 with 0.0 was LessThanThreshold 0.5"
    ]
    assert not broken(quality, ours)


@needs_examples
def test_a_confusion_matrix_gives_the_metrics_of_the_example():
    name = "model_card__evaluation_metrics__model_monitor_model_quality_binary_classification.json"
    expected = read_quality((EXAMPLES / name).read_text())
    matrix = expected.members["confusion_matrix"]
    counts = Counts(matrix["1"]["1"], matrix["0"]["1"], matrix["0"]["0"], matrix["1"]["0"])
    for metric, value in {**counts.values(), **counts.constant()}.items():
        assert value == pytest.approx(expected.metrics[metric].value, abs=1e-13), metric


def test_bounds_are_suggested_and_broken():
    generator = np.random.default_rng(0)
    scores = generator.random(1000)
    good = binary(generator.random(1000) < scores, scores > 0.5, scores)
    constraints = suggest(good)
    assert list(constraints.bounds)[:3] == ["recall", "precision", "accuracy"]
    assert constraints.bounds["false_positive_rate"].comparison_operator == "GreaterThanThreshold"
    assert not any("constant" in name for name in constraints.bounds)
    assert read_quality_constraints(json.dumps(constraints.to_document())) == constraints
    assert not broken(good, constraints)
    bad = binary(generator.random(1000) < 0.5, scores > 0.5, scores)
    found = {one.metric_name: one for one in broken(bad, constraints)}
    assert {"auc", "accuracy", "false_positive_rate"} <= set(found)
    assert found["auc"].description == (
        f"Metric auc with {bad.metrics['auc'].value} +/- {bad.metrics['auc'].standard_deviation} "
        f"was LessThanThreshold {constraints.bounds['auc'].threshold}"
    )
    negative = np.zeros(3, dtype=bool)
    empty = binary(negative, negative, np.zeros(3))
    assert "auc" in unchecked(empty, constraints)
    assert "auc" not in {one.metric_name for one in broken(empty, constraints)}
    assert unchecked(binary(negative, negative), constraints)["auc"] == "is not measured"
    with pytest.raises(InvalidInput, match="bounds binary_classification_metrics"):
        broken(regression(np.ones(2), np.ones(2)), constraints)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[1]", "object"),
        ("{}", "holds no"),
        ('{"regression_metrics": {"mae": {"value": "x"}}}', "mae.value"),
        ("{", "not valid JSON"),
    ],
)
def test_documents_that_are_none_are_refused(text, said):
    with pytest.raises(InvalidInput, match=said):
        read_quality(text)


def test_bounds_that_are_none_are_refused():
    text = '{"regression_constraints": {"mae": {"threshold": 1, "comparison_operator": "Up"}}}'
    with pytest.raises(InvalidInput, match=r"regression_constraints.*comparison_operator"):
        read_quality_constraints(text)


def test_violations_say_the_same_as_plain_values():
    generator = np.random.default_rng(0)
    scores = generator.random(500)
    good = binary(generator.random(500) < scores, scores > 0.5, scores)
    constraints = suggest(good)
    bad = binary(generator.random(500) < 0.5, scores > 0.5, scores)
    found = {one.metric_name: one for one in broken(bad, constraints)}["auc"]
    assert found.clary == {
        "value": bad.metrics["auc"].value,
        "standard_deviation": bad.metrics["auc"].standard_deviation,
        "threshold": constraints.bounds["auc"].threshold,
    }
    estimates = Estimates(9, {"auc": Estimate(0.4, 0.3, 0.5), "f1": Estimate(0.5, 0.1, 0.99)})
    (early,) = broken_estimates(estimates, constraints)
    assert early.description.startswith(
        "Metric auc with 0.4 (0.3 to 0.5), estimated for 9 answers without labels, was LessThan"
    )
    assert early.clary["estimated"] == {"value": 0.4, "lower": 0.3, "upper": 0.5, "rows": 9}
