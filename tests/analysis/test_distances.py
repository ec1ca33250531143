"""Distances and their significance, against SciPy and by their meaning."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.distance import jensenshannon

from clary.analysis import distances, samples, significance
from clary.analysis.kll import Kll
from clary.analysis.samples import Categories
from clary.kernel.errors import InvalidInput

values = st.lists(
    st.one_of(st.integers(-3, 3), st.floats(-1e6, 1e6)).map(float), min_size=1, max_size=60
)


def histograms(count):
    one = st.lists(st.integers(0, 1000), min_size=count, max_size=count).filter(any)
    return st.tuples(one, one)


pairs = st.integers(2, 20).flatmap(histograms)


@given(values, values)
def test_kolmogorov_smirnov_and_wasserstein_are_scipys(a, b):
    one, two = samples.of_values(a), samples.of_values(b)
    expected = stats.ks_2samp(a, b, method="asymp").statistic
    assert distances.kolmogorov_smirnov(one, two) == pytest.approx(expected, abs=1e-12)
    moved = stats.wasserstein_distance(a, b)
    assert distances.wasserstein(one, two) == pytest.approx(moved, rel=1e-9, abs=1e-9)


def test_large_samples_are_scipys_too():
    draw = np.random.default_rng(3)
    a, b = draw.normal(size=20_000), draw.normal(0.02, 1.01, size=30_000).round(2)
    one, two = samples.of_values(a), samples.of_values(b)
    expected = stats.ks_2samp(a, b, method="asymp")
    assert distances.kolmogorov_smirnov(one, two) == pytest.approx(expected.statistic, abs=1e-13)
    assert distances.wasserstein(one, two) == pytest.approx(stats.wasserstein_distance(a, b))
    p = significance.kolmogorov_smirnov_p(expected.statistic, a.size, b.size)
    assert p == pytest.approx(expected.pvalue, abs=1e-4)


@pytest.mark.parametrize("rows", [20, 50, 1000, 100_000])
def test_p_values_of_kolmogorov_and_smirnov(rows):
    for scaled in (0.3, 0.7, 1.0, 1.36, 1.63, 2.5):
        statistic = scaled / math.sqrt(rows)
        own = significance.kolmogorov_smirnov_p(statistic, 2 * rows, 2 * rows)
        assert own == pytest.approx(stats.kstwo.sf(statistic, rows), abs=3e-3)


@given(pairs)
def test_jensen_shannon_is_scipys(both):
    a, b = (np.asarray(one, dtype=float) for one in both)
    expected = jensenshannon(a, b, base=2)
    assert distances.jensen_shannon(a, b) == pytest.approx(expected, abs=1e-7)


@given(pairs)
def test_stability_index_is_its_formula(both):
    e, a = (np.maximum(np.asarray(one) / sum(one), 1e-4) for one in both)
    naive = sum((y - x) * math.log(y / x) for x, y in zip(e, a, strict=True))
    found = distances.population_stability_index(*(np.asarray(one, dtype=float) for one in both))
    assert found == pytest.approx(naive)
    assert found >= 0


def test_chi_squared_is_scipys_where_every_bin_is_filled():
    a, b = np.array([50.0, 30, 20]), np.array([90.0, 80, 40])
    expected = stats.chi2_contingency(np.vstack((a, b)), correction=False)
    statistic, freedom = distances.chi_squared(a, b)
    assert (statistic, freedom) == (pytest.approx(expected.statistic), 2)
    assert significance.chi_squared_p(statistic, freedom) == pytest.approx(expected.pvalue)


def test_rare_bins_are_taken_together():
    a = np.array([500.0, 500, 1, 2, 1, 2, 1])
    b = np.array([500.0, 500, 2, 1, 2, 1, 1])
    statistic, freedom = distances.chi_squared(a, b)
    assert freedom == 2
    assert significance.chi_squared_p(statistic, freedom) > 0.9


@given(pairs)
def test_chi_squared_of_any_bins_is_defined(both):
    statistic, freedom = distances.chi_squared(*(np.asarray(one, dtype=float) for one in both))
    assert math.isfinite(statistic)
    assert 0 <= significance.chi_squared_p(statistic, freedom) <= 1


def test_robust_takes_off_what_chance_explains():
    assert distances.robust(0.5, 100, 100) == pytest.approx(0.5 - 1.8 * math.sqrt(0.02))
    assert distances.robust(0.01, 100, 100) == 0


def test_a_flip_of_a_binary_column_is_seen_and_deequ_does_not_see_it():
    before, after = [0.0] * 90 + [1.0] * 10, [0.0] * 10 + [1.0] * 90
    one, two = samples.of_values(before), samples.of_values(after)
    assert distances.kolmogorov_smirnov(one, two) == pytest.approx(0.8)
    assert distances.population_stability_index(*distances.binned(one, two)) > 3
    assert distances.deequ_kolmogorov_smirnov([before], [after]) == (0.0, 2.0, 2.0)


@settings(deadline=None)
@given(
    st.lists(st.integers(1, 500), min_size=2, max_size=6),
    st.lists(st.integers(1, 500), min_size=2, max_size=6),
    st.booleans(),
)
def test_no_change_of_a_discrete_column_is_missed(before, after, is_sketch):
    """Whatever the shares of few values: the distance is that of their cumulated shares."""
    count = min(len(before), len(after))
    p, q = np.asarray(before[:count]), np.asarray(after[:count])
    expected = np.abs(np.cumsum(p / p.sum()) - np.cumsum(q / q.sum())).max()
    numbers = np.arange(count, dtype=float)
    rows = [np.repeat(numbers, one) for one in (p, q)]
    if is_sketch:
        found = [samples.of_sketch(Kll().add(one)) for one in rows]
    else:
        found = [samples.of_values(one) for one in rows]
    assert distances.kolmogorov_smirnov(*found) == pytest.approx(expected, abs=0.01)


def test_sketches_keep_within_the_error_that_they_state():
    draw = np.random.default_rng(5)
    for rows in (3_000, 50_000, 400_000):
        column = draw.lognormal(size=rows)
        sketch = samples.of_sketch(Kll().add(column))
        error = distances.kolmogorov_smirnov(samples.of_values(column), sketch)
        assert error <= sketch.rank_error + 1e-12
        assert sketch.rank_error < 0.01


def test_category_shares_and_their_bounds():
    a = Categories({"x": 90.0, "y": 10.0})
    b = Categories({"x": 10.0, "z": 85.0}, others=5.0)
    assert distances.l_infinity(a, b) == pytest.approx(0.85)
    unsure = Categories({"x": 10.0, "z": 85.0}, others=5.0, error=5.0)
    assert distances.l_infinity(a, unsure) == pytest.approx(0.85)
    assert distances.l_infinity(Categories({"x": 50.0}), Categories({"x": 50.0})) == 0


def test_infinities_have_ranks_and_no_place_in_areas():
    one, two = samples.of_values([-math.inf, 0, 1]), samples.of_values([0, 1, math.inf])
    assert distances.kolmogorov_smirnov(one, two) == pytest.approx(1 / 3)
    assert math.isfinite(distances.wasserstein(one, two))
    assert samples.of_values([math.nan, 1]).rows == 1


def test_nothing_has_no_distance():
    with pytest.raises(InvalidInput, match="no rows"):
        distances.kolmogorov_smirnov(samples.of_values([]), samples.of_values([1]))
    with pytest.raises(InvalidInput, match="3 bins"):
        distances.jensen_shannon(np.ones(3), np.ones(2))


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_adjusted_p_values_are_scipys(p):
    assert significance.adjusted(p) == pytest.approx(stats.false_discovery_control(p).tolist())


def test_shares_are_tested_exactly():
    a, b = np.array([8.0, 0.0]), np.array([1.0, 9.0])
    found = significance.shares_p(a, b, 100, 300)
    assert found == pytest.approx([2 * stats.binom.sf(7, 9, 0.25), 2 * 0.75**9])
