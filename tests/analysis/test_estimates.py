"""Performance without labels, against labels that the estimates never saw."""

import json
import zlib
from binascii import b2a_base64
from random import Random

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as oracle
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from clary.analysis.boosting import Trees, boost
from clary.analysis.calibration import calibrate, read_calibration
from clary.analysis.estimates import estimate_binary
from clary.analysis.estimators import fit_estimator, read_estimator
from clary.analysis.feature_matrix import fit_encoder
from clary.analysis.outcomes import Outcomes
from clary.kernel.errors import InvalidInput

COLUMNS = 6


def chances(inputs):
    """The concept, which never changes; no linear model can learn all of it."""
    linear = 1.2 * inputs[:, 0] - 0.8 * inputs[:, 1] - 0.4
    bent = 0.9 * inputs[:, 0] * inputs[:, 2] + np.sin(2 * inputs[:, 3])
    return 1 / (1 + np.exp(-(linear + bent)))


def drawn(generator, rows, shift=0.0, scale=1.0):
    inputs = generator.normal(size=(rows, COLUMNS)) * scale
    inputs[:, 0] += shift
    inputs[:, 2] -= shift / 2
    return inputs, generator.random(rows) < chances(inputs)


def columns(inputs):
    return {f"x{at}": inputs[:, at] for at in range(inputs.shape[1])}


@pytest.fixture(scope="module")
def model():
    """A good model, and what is known of it."""
    generator = np.random.default_rng(0)
    fitted = HistGradientBoostingClassifier(max_iter=80, random_state=0).fit(
        *drawn(generator, 20_000)
    )
    inputs, labels = drawn(generator, 20_000)
    scores = fitted.predict_proba(inputs)[:, 1]
    outcomes = Outcomes(labels, None, scores)
    known = fit_estimator("BinaryClassification", outcomes, columns(inputs))
    return fitted, read_estimator(known.to_text(), field="estimator")


@pytest.mark.parametrize(
    ("shift", "scale"), [(0, 1), (0.7, 1), (-0.7, 1), (1.2, 0.8), (-1.2, 1), (0, 0.6)]
)
def test_estimates_follow_inputs_that_move(model, shift, scale):
    fitted, known = model
    inputs, labels = drawn(np.random.default_rng(9), 40_000, shift, scale)
    scores = fitted.predict_proba(inputs)[:, 1]
    said = scores > 0.5
    found = known.estimate(Outcomes([], None, scores), columns(inputs), 0.5)
    assert found.rows == 40_000
    measured = {
        "auc": oracle.roc_auc_score(labels, scores),
        "accuracy": oracle.accuracy_score(labels, said),
        "f1": oracle.f1_score(labels, said),
        "precision": oracle.precision_score(labels, said),
        "recall": oracle.recall_score(labels, said),
    }
    assert found.metrics["auc"].value == pytest.approx(measured["auc"], abs=0.01)
    for name, value in measured.items():
        assert found.metrics[name].value == pytest.approx(value, abs=0.03), name


def test_inputs_mend_what_a_weak_model_cannot_tell():
    generator = np.random.default_rng(1)
    weak = LogisticRegression().fit(*drawn(generator, 20_000))
    inputs, labels = drawn(generator, 20_000)
    scores = weak.predict_proba(inputs)[:, 1]
    outcomes = Outcomes(labels, None, scores)
    told = fit_estimator("BinaryClassification", outcomes, columns(inputs))
    blind = fit_estimator("BinaryClassification", outcomes, {})
    moved, labels = drawn(generator, 20_000, 0.7)
    scores = weak.predict_proba(moved)[:, 1]
    measured = oracle.roc_auc_score(labels, scores)
    answers = Outcomes([], None, scores)
    with_inputs = told.estimate(answers, columns(moved), 0.5).metrics["auc"]
    without = blind.estimate(answers, {}, 0.5).metrics["auc"]
    assert abs(without.value - measured) > 0.025
    assert abs(with_inputs.value - measured) < 0.012
    assert with_inputs.lower <= measured <= with_inputs.upper
    nothing = {name: [None] * len(scores) for name in columns(moved)}
    unseen = told.estimate(answers, nothing, 0.5).metrics["auc"]
    assert unseen.value == pytest.approx(without.value, abs=1e-6)


def test_intervals_hold_what_is_measured_as_often_as_they_say():
    generator = np.random.default_rng(2)
    held = {"auc": 0, "accuracy": 0, "precision": 0}
    for _ in range(60):
        scores = generator.beta(2, 3, size=2500)
        labels = generator.random(2500) < scores**1.5
        calibration = calibrate(scores[:2000], labels[:2000])
        window, truth = scores[2000:], labels[2000:]
        found = estimate_binary(window, window > 0.4, calibration).metrics
        measured = {
            "auc": oracle.roc_auc_score(truth, window),
            "accuracy": oracle.accuracy_score(truth, window > 0.4),
            "precision": oracle.precision_score(truth, window > 0.4),
        }
        for name, value in measured.items():
            held[name] += found[name].lower <= value <= found[name].upper
    assert all(count >= 53 for count in held.values()), held


def test_many_rows_are_estimated_as_finely_as_few():
    generator = np.random.default_rng(3)
    scores = generator.random(20_000)
    calibration = calibrate(scores, generator.random(20_000) < scores)
    many = estimate_binary(np.tile(scores, 5), np.tile(scores > 0.5, 5), calibration).metrics
    few = estimate_binary(scores, scores > 0.5, calibration).metrics
    assert many["auc"].value == pytest.approx(few["auc"].value, abs=1e-9)
    assert many["auc"].upper - many["auc"].lower < few["auc"].upper - few["auc"].lower
    assert json.loads(json.dumps(many["auc"].to_document())).keys() == {"value", "lower", "upper"}


def test_what_is_undefined_is_left_out():
    calibration = calibrate(np.repeat([0.1, 0.9], 50), np.repeat([False, True], 50))
    found = estimate_binary(np.full(20, 0.1), np.zeros(20, dtype=bool), calibration).metrics
    assert "precision" not in found
    assert "auc" not in found
    assert found["accuracy"].value == 1.0


@given(
    st.lists(
        st.tuples(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.75, 1.0]), st.booleans()),
        min_size=1,
        max_size=200,
    )
)
@settings(max_examples=100, deadline=None)
def test_calibration_is_isotonic_regression_of_bins(rows):
    scores, labels = (np.array(column) for column in zip(*rows, strict=True))
    found = calibrate(scores, labels)
    assert (found.rows.sum(), found.positives.sum()) == (len(rows), labels.sum())
    shares = found.positives / found.rows
    assert (np.diff(shares) > 0).all()
    assert (np.diff(found.scores) > 0).all()
    again = read_calibration(json.loads(json.dumps(found.to_document())), field="x")
    assert (again.probabilities(scores) == found.probabilities(scores)).all()
    if len(rows) >= 20 * 6:
        return
    bins = len(rows) // 20
    if bins <= 1:
        assert len(found.rows) == 1


def test_calibration_equals_scikit_learn_where_scores_repeat():
    generator = np.random.default_rng(4)
    scores = generator.integers(0, 40, size=8000) / 40
    labels = generator.random(8000) < np.clip(scores + generator.normal(0, 0.1, 8000), 0, 1)
    found = calibrate(scores, labels)
    expected = IsotonicRegression().fit(scores, labels)
    sums = np.repeat(found.positives / found.rows, found.rows).sum()
    assert sums == pytest.approx(expected.predict(scores).sum())
    blocks = np.unique(expected.predict(scores))
    assert found.positives / found.rows == pytest.approx(blocks)


@pytest.mark.parametrize(
    "document",
    [
        [],
        {"scores": [0.5], "positives": [2], "rows": [1]},
        {"scores": [0.5, 0.5], "positives": [0, 1], "rows": [1, 1]},
        {"scores": [], "positives": [], "rows": []},
        {"scores": [0.5], "positives": [1, 2], "rows": [3]},
    ],
)
def test_calibrations_that_are_none_are_refused(document):
    with pytest.raises(InvalidInput):
        read_calibration(document, field="x")


def test_trees_learn_steps_and_missing_values():
    generator = np.random.default_rng(5)
    rows = generator.normal(size=(6000, 3))
    rows[generator.random(6000) < 0.3, 1] = np.nan
    target = np.where(rows[:, 0] > 0, 2.0, 0.0) + np.isnan(rows[:, 1])
    noisy = target + generator.normal(size=6000)
    trees = boost(rows, noisy, loss="squared", generator=generator)
    assert np.sqrt(np.mean((trees.values(rows) - target) ** 2)) < 0.25
    for at in range(0, 6000, 500):
        assert trees.values(rows[at : at + 1])[0] == pytest.approx(naive(trees, rows[at]))


def naive(trees, row):
    """Walk each tree for one row."""
    total = 0.0
    for asked, cuts, leaves in zip(trees.columns, trees.cuts, trees.leaves, strict=True):
        place = 0
        for column, cut in zip(asked, cuts, strict=True):
            value = row[column]
            bin_ = 0 if np.isnan(value) else 1 + sum(edge <= value for edge in trees.edges[column])
            place = 2 * place + (bin_ > cut)
        total += leaves[place]
    return total


def test_trees_look_at_the_columns_that_say_most():
    generator = np.random.default_rng(10)
    rows = generator.normal(size=(3000, 200))
    target = 3.0 * (rows[:, 150] > 0) + generator.normal(size=3000)
    trees = boost(rows, target, loss="squared", generator=generator)
    asked = {column for columns in trees.columns for column in columns}
    assert 150 in asked
    assert len(asked) <= 32
    assert np.corrcoef(trees.values(rows), rows[:, 150] > 0)[0, 1] > 0.9


def test_trees_learn_nothing_from_noise():
    generator = np.random.default_rng(6)
    rows = generator.normal(size=(4000, 5))
    labels = (generator.random(4000) < 0.3).astype(float)
    start = np.full(4000, np.log(0.3 / 0.7))
    trees = boost(rows, labels, loss="logistic", generator=generator, start=start)
    assert np.abs(trees.values(rows)).mean() < 0.1


def test_trees_refuse_what_does_not_fit():
    trees = Trees(((0.5,),), ((0,),), ((1,),), ((1.0, 2.0),))
    assert trees.values(np.array([[0.0], [1.0]])).tolist() == [1.0, 2.0]
    with pytest.raises(InvalidInput, match="have 2 columns, not 1"):
        trees.values(np.zeros((1, 2)))
    for bad in (
        Trees(((0.5,),), ((1,),), ((1,),), ((1.0, 2.0),)),
        Trees(((0.5,),), ((0,),), ((1,),), ((1.0,),)),
        Trees(((0.5,),), ((0,),), (), ()),
    ):
        with pytest.raises(InvalidInput, match="do not fit together"):
            bad.check()


def test_columns_of_any_type_become_numbers():
    target = np.array([0.0, 1.0] * 50)
    given_columns = {
        "number": ["1.5", None, "x", *["2"] * 97],
        "kind": ["a", "b"] * 50,
        "rare": ["only once", *["z"] * 99],
        "flag": np.array([True, False] * 50),
    }
    encoder = fit_encoder(given_columns, target)
    assert encoder.categories[0] is None
    assert encoder.categories[1] == {"a": 0.0, "b": 1.0}
    assert list(encoder.categories[2]) == ["z"]
    found = encoder.matrix({"number": [3], "kind": ["b"], "rare": ["new"], "flag": [1]}, 1)
    assert found[0, :2].tolist() == [3.0, 1.0]
    assert np.isnan(found[0, 2])


def test_a_regression_is_told_by_its_inputs():
    generator = np.random.default_rng(7)

    def rows(count, low):
        x = generator.uniform(low, 1, size=count)
        return x, x + generator.normal(size=count) * (0.2 + 2 * (x > 0.5))

    x, labels = rows(5000, 0)
    known = fit_estimator("Regression", Outcomes(labels, x), {"x": x, "kind": ["a", "b"] * 2500})
    known = read_estimator(known.to_text(), field="x")
    x, labels = rows(3000, 0.6)
    found = known.estimate(Outcomes([], x), {"x": x, "kind": ["a"] * 3000}, 0.5)
    mae, mse = np.mean(np.abs(labels - x)), np.mean((labels - x) ** 2)
    for name, value in (("mae", mae), ("mse", mse), ("rmse", np.sqrt(mse))):
        assert found.metrics[name].lower <= value <= found.metrics[name].upper, name
        assert found.metrics[name].value == pytest.approx(value, rel=0.1)
    assert "r2" not in found.metrics
    none = known.estimate(Outcomes([], [None]), {"x": [1], "kind": ["a"]}, 0.5)
    assert (none.rows, none.metrics) == (0, {})


def test_many_classes_are_told_by_their_probabilities():
    generator = np.random.default_rng(8)

    def rows(count, shift):
        inputs = generator.normal(size=(count, 2)) + np.array([shift, 0])
        odds = np.exp(np.column_stack((inputs[:, 0], inputs[:, 1], np.zeros(count))))
        truth = odds / odds.sum(axis=1, keepdims=True)
        labels = (truth.cumsum(axis=1) < generator.random((count, 1))).sum(axis=1)
        sharp = odds**1.8
        return sharp / sharp.sum(axis=1, keepdims=True), labels

    vectors, labels = rows(20_000, 0)
    outcomes = Outcomes(labels, None, vectors)
    known = fit_estimator("MulticlassClassification", outcomes, {})
    known = read_estimator(known.to_text(), field="x")
    vectors, labels = rows(20_000, 1)
    found = known.estimate(Outcomes([], None, [str(one.tolist()) for one in vectors]), {}, 0.5)
    said = vectors.argmax(axis=1)
    assert found.rows == 20_000
    for name, value in {
        "accuracy": oracle.accuracy_score(labels, said),
        "weighted_f1": oracle.f1_score(labels, said, average="weighted"),
        "weighted_precision": oracle.precision_score(labels, said, average="weighted"),
    }.items():
        one = found.metrics[name]
        assert one.value == pytest.approx(value, abs=0.015), name
        assert 0.002 < one.upper - one.lower < 0.04, name
    named = Outcomes([], [str(one) for one in said], vectors)
    assert known.estimate(named, {}, 0.5).metrics["accuracy"] == found.metrics["accuracy"]
    assert known.estimate(Outcomes([], ["x"], vectors[:1]), {}, 0.5).rows == 0
    assert known.estimate(Outcomes([], None, ["nothing"]), {}, 0.5).rows == 0
    with pytest.raises(InvalidInput, match="are of 2 classes, not 3"):
        known.estimate(Outcomes([], None, [[0.5, 0.5]]), {}, 0.5)


def test_too_little_gives_no_estimator():
    few = Outcomes([0, 1] * 50, [0, 1] * 50, [0.1, 0.9] * 50)
    for problem in ("BinaryClassification", "Regression"):
        assert fit_estimator(problem, few, {}) is None
    assert fit_estimator("BinaryClassification", Outcomes([0, 1], [0, 1]), {}) is None


def changed(document, draw):
    """Change one value somewhere in a document."""
    places = list(document) if isinstance(document, dict) else list(range(len(document)))
    if not places:
        return
    place = draw.choice(places)
    inner = document[place]
    if isinstance(inner, dict | list) and inner and draw.random() < 0.8:
        changed(inner, draw)
    else:
        others = [None, -1, 0, 1e308, float("nan"), "x", [], {}, 10**12, [1, 2]]
        document[place] = draw.choice(others)


def test_estimators_that_were_changed_are_refused_or_harmless():
    generator, draw = np.random.default_rng(11), Random(1)
    x = generator.normal(size=400)
    scores = 1 / (1 + np.exp(-x))
    inputs = {"a": x, "b": ["u", "v"] * 200}
    labels = generator.random(400) < scores
    known = [
        fit_estimator("BinaryClassification", Outcomes(labels, None, scores), inputs),
        fit_estimator("Regression", Outcomes(x + generator.normal(size=400), x), inputs),
    ]
    refused = 0
    for _ in range(300):
        document = msgspec.to_builtins(draw.choice(known))
        changed(document, draw)
        packed = zlib.compress(msgspec.msgpack.encode(document))
        text = b2a_base64(packed, newline=False).decode()
        try:
            found = read_estimator(text, field="estimator")
            given_columns = {name: [1, 2] for name in found.encoder.names}
            found.estimate(Outcomes([], [1.0, 2.0], [0.1, 0.9]), given_columns, 0.5)
        except InvalidInput:
            refused += 1
    assert refused > 100
