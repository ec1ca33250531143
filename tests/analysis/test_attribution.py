"""Attribution by the kind of model, its drift, and partial dependence."""

import csv

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clary.analysis import attribution_drift as drift
from clary.analysis.attribution import explain, logit, order
from clary.analysis.partial_dependence import partial_dependence
from clary.kernel.errors import InvalidInput, NotSupported

xgboost = pytest.importorskip("xgboost")
linear_model = pytest.importorskip("sklearn.linear_model")


@pytest.fixture(scope="module")
def data():
    generator = np.random.default_rng(1)
    rows = generator.normal(size=(400, 5))
    label = 3 * rows[:, 0] + rows[:, 1] * rows[:, 2] + 0.1 * rows[:, 3]
    return rows, label


def test_trees_tell_their_own_contributions(data):
    rows, label = data
    model = xgboost.XGBRegressor(n_estimators=20, max_depth=3, n_jobs=1).fit(rows, label)
    found = explain(model, rows[:50], rows, list("abcde"))
    assert (found.method, found.scale, found.values.shape) == ("tree", "margin", (50, 1, 5))
    sums = found.values.sum(2)[:, 0] + found.expected[0]
    np.testing.assert_allclose(sums, model.predict(rows[:50]), atol=1e-4)
    asked = explain(model.predict, rows[:50], rows[:30], list("abcde"))
    assert asked.method == "kernel"
    sizes = [dict(zip("abcde", one.summary()[0], strict=True)) for one in (found, asked)]
    assert drift.ndcg(*sizes) > 0.97


def test_classes_have_an_output_each(data, tmp_path):
    rows, label = data
    classes = np.digitize(label, [-1, 1])
    model = xgboost.XGBClassifier(n_estimators=5, max_depth=2, n_jobs=1).fit(rows, classes)
    found = explain(model, rows[:7], rows, list("abcde"))
    assert found.values.shape == (7, 3, 5)
    document = found.document(["label0", "label1", "label2"], "mean_sq")
    assert list(document["label1"]["global_shap_values"]) == list("abcde")
    found.write(tmp_path / "out.csv", ["x", "y", "z"])
    with (tmp_path / "out.csv").open() as file:
        head, *lines = list(csv.reader(file))
    assert head[:6] == ["a_x", "b_x", "c_x", "d_x", "e_x", "a_y"]
    assert np.array(lines, float).shape == (7, 15)


def test_a_linear_model_has_a_closed_form(data):
    rows, label = data
    model = linear_model.Ridge().fit(rows, label)
    found = explain(model, rows[:20], rows[:9], list("abcde"))
    asked = explain(model.predict, rows[:20], rows[:9], list("abcde"))
    assert (found.method, asked.method) == ("linear", "kernel")
    np.testing.assert_allclose(found.values, asked.values, atol=1e-9)
    np.testing.assert_allclose(found.expected, asked.expected, atol=1e-9)


def test_ways_of_summing_up(data):
    rows, _ = data
    found = explain(lambda x: x[:, 0] - x[:, 1], rows, np.zeros((1, 5)), list("abcde"))
    np.testing.assert_allclose(found.summary()[0, 0], np.abs(rows[:, 0]).mean())
    np.testing.assert_allclose(found.summary("median")[0, 1], np.median(-rows[:, 1]))
    np.testing.assert_allclose(found.summary("mean_sq")[0, :2], (rows[:, :2] ** 2).mean(0))
    with pytest.raises(InvalidInput, match="mean_abs, median, mean_sq"):
        found.summary("max")


def test_what_has_no_predictions_is_refused(data):
    with pytest.raises(NotSupported, match="a str gives no predictions"):
        explain("model", data[0], data[0], list("abcde"))
    booster = xgboost.train({"nthread": 1}, xgboost.DMatrix(data[0], data[1]), 1)
    with pytest.raises(InvalidInput, match="4 columns, and the model has 5 features"):
        explain(booster, data[0][:, :4], data[0], list("abcd"))


def test_log_odds_are_finite():
    assert logit(np.array([0.5])).tolist() == [0.0]
    assert np.isfinite(logit(np.array([0.0, 1.0]))).all()


names = st.lists(st.sampled_from("abcdefgh"), min_size=1, unique=True)


@given(names=names, data=st.data())
def test_ndcg_is_one_for_the_same_order_and_least_for_the_reverse(names, data):
    sizes = data.draw(st.lists(st.floats(0.01, 10), min_size=len(names), max_size=len(names)))
    baseline = dict(zip(names, sizes, strict=True))
    assert drift.ndcg(
        baseline, {name: size**2 for name, size in baseline.items()}
    ) == pytest.approx(1)
    reverse = {name: -place for place, name in enumerate(reversed(order(baseline)), -len(names))}
    shuffled = dict(zip(names, data.draw(st.permutations(sizes)), strict=True))
    assert drift.ndcg(baseline, reverse) <= drift.ndcg(baseline, shuffled) + 1e-12 <= 1 + 1e-9


def test_ndcg_as_documented():
    live = {"SAT": 0.1, "GPA": 0.2, "rank": 0.7}
    baseline = {"SAT": 0.7, "GPA": 0.5, "rank": 0.05}
    wanted = (0.05 + 0.5 / np.log2(3) + 0.7 / 2) / (0.7 + 0.5 / np.log2(3) + 0.05 / 2)
    assert drift.ndcg(baseline, live) == pytest.approx(wanted)
    (found,) = drift.check(baseline, live, None)
    assert found.constraint_check_type == "feature_attribution_drift_check"
    assert (
        found.description
        == f"Feature attribution drift {found.clary['ndcg']} exceeds threshold 0.9"
    )
    with pytest.raises(InvalidInput, match="other features: rank"):
        drift.ndcg(baseline, {"SAT": 1, "GPA": 1})


def test_the_test_sees_what_ndcg_cannot():
    """Twenty features that matter about equally, of which five come to matter far less."""
    generator = np.random.default_rng(2)
    features = tuple(f"f{place}" for place in range(20))
    baseline, live = (np.abs(generator.normal(1, 0.3, (300, 20))) for _ in range(2))
    live[:, :5] *= 0.3
    sizes = [dict(zip(features, one.mean(0), strict=True)) for one in (baseline, live)]
    assert drift.ndcg(*sizes) > 0.9
    found = drift.shift(baseline, live, features)
    assert found.p_value == 0.001
    (violation,) = drift.check(*sizes, found)
    assert set(list(violation.clary["moved"])[:5]) == set(features[:5])


def test_chance_alone_is_rarely_taken_for_a_shift():
    generator = np.random.default_rng(4)
    values = [
        drift.shift(*np.abs(generator.normal(size=(2, 60, 6))), tuple("abcdef"), seed=turn).p_value
        for turn in range(60)
    ]
    assert sum(one <= 0.05 for one in values) <= 8
    assert 0.3 < np.mean(values) < 0.7


def test_a_sample_is_bounded_and_positive():
    rows = drift.sample(np.random.default_rng(0).normal(size=(2000, 3)))
    assert len(rows) == 500
    assert min(map(min, rows)) >= 0


@settings(deadline=None, max_examples=30)
@given(st.lists(st.floats(-5, 5), min_size=2, max_size=30), st.integers(1, 20))
def test_the_dependence_on_a_term_of_a_sum_is_the_term(column, resolution):
    rows = np.column_stack([column, np.arange(len(column), dtype=float)]).astype(object)

    def predict(given):
        found = given.astype(float)
        return np.column_stack([found[:, 0] ** 2 + found[:, 1], found[:, 1]])

    found = partial_dependence(predict, rows, 0, "x", resolution=resolution)
    mean = np.arange(len(column)).mean()
    np.testing.assert_allclose(found.predictions[0], np.square(found.values) + mean)
    np.testing.assert_allclose(found.predictions[1], mean)
    assert sum(found.distribution) == pytest.approx(1)
    assert found.document(["a", "b"])["data_type"] == "numerical"


def test_categories_are_values_of_their_own():
    rows = np.array([["x", 1], ["y", 2], ["x", 3]], dtype=object)
    found = partial_dependence(lambda x: (x[:, :1] == "x") * 1.0, rows, 0, "kind")
    assert (found.values, found.predictions) == (("x", "y"), ((1.0, 0.0),))
    assert found.distribution == (2 / 3, 1 / 3)
    with pytest.raises(InvalidInput, match="no value in the dataset"):
        partial_dependence(lambda x: x, np.array([[None]], dtype=object), 0, "kind")
    many = np.array([[f"v{n}"] for n in range(101)], dtype=object)
    with pytest.raises(InvalidInput, match="has 101"):
        partial_dependence(lambda x: x, many, 0, "kind")
