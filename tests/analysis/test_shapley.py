"""KernelSHAP against Shapley's own formula."""

from itertools import chain, combinations
from math import factorial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clary.analysis.shapley import design, kernel_shap
from clary.kernel.errors import InvalidInput


def brute_force(predict, row, background):
    """Sum what a feature adds to every coalition, weighted by how often it comes about."""
    count = len(row)

    def worth(coalition):
        mixed = background.copy()
        mixed[:, list(coalition)] = row[list(coalition)]
        return predict(mixed).mean(0)

    values = []
    for feature in range(count):
        others = [one for one in range(count) if one != feature]
        some = chain.from_iterable(combinations(others, size) for size in range(count))
        values.append(
            sum(
                factorial(len(one))
                * factorial(count - len(one) - 1)
                / factorial(count)
                * (worth((*one, feature)) - worth(one))
                for one in some
            )
        )
    return np.array(values).T, worth(())


def model(features, seed):
    """Make a model with interactions and two outputs."""
    generator = np.random.default_rng(seed)
    weights = generator.normal(size=(features, 2))
    pairs = generator.normal(size=(features, features))

    def predict(rows):
        rows = rows.astype(float)
        crossed = np.einsum("ni,ij,nj->n", rows, pairs, rows)
        return np.tanh(rows @ weights) + crossed[:, None] * [0.1, 0.3]

    return predict


@given(features=st.integers(1, 6), backgrounds=st.integers(1, 3), seed=st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_all_coalitions_give_the_exact_values(features, backgrounds, seed):
    generator = np.random.default_rng(seed)
    rows, background = (generator.normal(size=(n, features)) for n in (2, backgrounds))
    predict = model(features, seed)
    values, base = kernel_shap(predict, rows, background)
    for row, found, start in zip(rows, values, base, strict=True):
        wanted, nothing = brute_force(predict, row, background)
        np.testing.assert_allclose(found, wanted, atol=1e-9)
        np.testing.assert_allclose(start, nothing, atol=1e-12)


@given(seed=st.integers(0, 1000), samples=st.integers(24, 400))
@settings(max_examples=20, deadline=None)
def test_samples_sum_up_to_the_prediction_and_are_exact_for_sums(seed, samples):
    generator = np.random.default_rng(seed)
    rows, background = generator.normal(size=(3, 12)), generator.normal(size=(2, 12))
    predict = model(12, seed)
    values, base = kernel_shap(predict, rows, background, samples=samples, seed=seed)
    np.testing.assert_allclose(values.sum(2) + base, predict(rows), atol=1e-9)
    weights = generator.normal(size=12)
    values, _ = kernel_shap(lambda x: x @ weights[:, None], rows, background, samples=samples)
    wanted = (rows - background.mean(0)) * weights
    np.testing.assert_allclose(values[:, 0], wanted, atol=1e-8)


def test_more_samples_come_nearer():
    generator = np.random.default_rng(3)
    rows, background = generator.normal(size=(4, 13)), np.zeros((1, 13))
    predict = model(13, 3)
    exact, _ = kernel_shap(predict, rows, background, samples=2**13 - 2)

    def error(samples):
        found, _ = kernel_shap(predict, rows, background, samples=samples)
        return np.abs(found - exact).mean()

    assert error(4000) < error(500) < error(60)
    assert error(2 * 13 + 2048) < 0.02 * np.abs(exact).mean()


def test_only_some_features_are_explained():
    generator = np.random.default_rng(5)
    rows, background = generator.normal(size=(2, 4)), generator.normal(size=(1, 4))
    predict = model(4, 5)
    values, base = kernel_shap(predict, rows, background, players=[2, 0])
    for row, found, start in zip(rows, values, base, strict=True):

        def of_two(chosen, row=row):
            mixed = np.tile(row, (len(chosen), 1))
            mixed[:, [2, 0]] = chosen
            return predict(mixed)

        wanted, nothing = brute_force(of_two, row[[2, 0]], background[:, [2, 0]])
        np.testing.assert_allclose(found, wanted, atol=1e-9)
        np.testing.assert_allclose(start, nothing, atol=1e-12)


def test_texts_and_missing_values_take_part():
    rows = np.array([["red", None], ["blue", 2.0]], dtype=object)
    background = np.array([["blue", 1.0]], dtype=object)

    def predict(mixed):
        return np.array([[2.0 * (a == "red") + (b or 0.0)] for a, b in mixed])

    values, base = kernel_shap(predict, rows, background)
    assert values[:, 0].tolist() == [[2.0, -1.0], [0.0, 1.0]]
    assert base.tolist() == [[1.0], [1.0]]


@pytest.mark.parametrize("features", [2, 5, 12, 30])
def test_the_design_shares_out_all_that_is_missing(features):
    made = design(features, min(2**features - 2, 300), 7)
    assert made.share.sum() == pytest.approx(1)
    np.testing.assert_allclose(made.solve.sum(0), 0, atol=1e-9)


def test_what_cannot_be_is_refused():
    rows = np.zeros((1, 20))
    with pytest.raises(InvalidInput, match="20 or more for 20 features"):
        kernel_shap(model(20, 1), rows, rows, samples=10)
    with pytest.raises(InvalidInput, match="has no row"):
        kernel_shap(model(20, 1), rows, rows[:0])
