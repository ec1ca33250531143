"""Measures of association and the parts of series, against slower ways to the same numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from clary.flows.insights.associations import correlation_ratio, cramers_v, pearson
from clary.flows.insights.columns import histogram, skewness
from clary.flows.insights.series import decompose, find_period, loess
from clary.kernel.errors import InvalidInput

floats = st.floats(-1e6, 1e6, allow_nan=False).map(lambda x: round(x, 3))
pairs = st.lists(st.tuples(floats, floats), min_size=3, max_size=60)


@given(pairs)
def test_pearson_is_scipys(rows):
    left, right = (np.array(one) for one in zip(*rows, strict=True))
    told = pearson(left, right)
    if np.ptp(left) == 0 or np.ptp(right) == 0:
        assert np.isnan(told)
    elif min(np.ptp(left), np.ptp(right)) > 1e-3 * np.abs([left, right]).max():
        assert told == pytest.approx(stats.pearsonr(left, right).statistic, abs=1e-6)


@given(st.lists(st.tuples(st.integers(0, 3), floats), min_size=3, max_size=60))
def test_the_correlation_ratio_is_that_of_one_way_variance(rows):
    groups, numbers = (np.array(one, float) for one in zip(*rows, strict=True))
    told = correlation_ratio(groups, numbers)
    whole = ((numbers - numbers.mean()) ** 2).sum()
    if numbers.min() == numbers.max():
        return
    within = sum(
        ((numbers[groups == one] - numbers[groups == one].mean()) ** 2).sum() for one in set(groups)
    )
    assert told**2 == pytest.approx(1 - within / whole, abs=1e-6)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), min_size=4, max_size=200))
def test_cramers_v_follows_chi_squared(rows):
    left, right = (np.array(one, float) for one in zip(*rows, strict=True))
    told = cramers_v(left, right)
    table = np.array([[np.sum((left == a) & (right == b)) for b in set(right)] for a in set(left)])
    if min(table.shape) < 2:
        assert np.isnan(told)
        return
    phi = stats.chi2_contingency(table, correction=False).statistic / len(rows)
    high, wide = table.shape
    n = len(rows)
    least = min(high - (high - 1) ** 2 / (n - 1), wide - (wide - 1) ** 2 / (n - 1)) - 1
    if least > 0:
        expected = np.sqrt(max(0.0, phi - (high - 1) * (wide - 1) / (n - 1)) / least)
        assert told == pytest.approx(min(1.0, expected), abs=1e-9)


@given(st.lists(floats, min_size=3, max_size=60))
def test_skewness_is_scipys(values):
    found = np.array(values)
    if found.std() > 1e-6:
        assert skewness(found) == pytest.approx(stats.skew(found), abs=1e-4)


@given(st.lists(floats, min_size=1, max_size=100))
def test_histograms_count_all_values(values):
    told = histogram(np.array(values))
    assert sum(told.counts) == len(values)
    assert told.edges[0] <= min(values)
    assert told.edges[-1] >= max(values)


def test_loess_keeps_lines():
    line = 3.0 * np.arange(50) - 7
    assert loess(line, 11, np.ones(50)) == pytest.approx(line)


@pytest.mark.parametrize("period", [5, 7, 12, 24])
def test_a_series_is_taken_apart_into_what_it_was_made_of(period):
    random = np.random.default_rng(period)
    count = 20 * period
    season = random.normal(0, 3, period)
    season -= season.mean()
    trend = 0.05 * np.arange(count) + 10
    values = trend + np.tile(season, 20) + random.normal(0, 0.1, count)
    values[count // 2] += 5
    told = decompose(np.arange(count, dtype=float), values, period)
    assert np.abs(np.array(told.seasonal[:period]) - season).max() < 0.2
    assert np.abs(np.array(told.trend) - trend)[period:-period].max() < 0.3
    assert count // 2 in told.anomalies
    assert len(told.anomalies) < 0.05 * count
    whole = np.add(np.add(told.trend, told.seasonal), told.remainder)
    assert whole == pytest.approx(values)
    assert find_period(values) == period


def test_a_series_that_does_not_come_back_has_no_period():
    assert find_period(np.arange(100.0)) == 1
    assert decompose(np.arange(100.0), 2 * np.arange(100.0)).anomalies == ()


def test_series_that_are_too_short_are_refused():
    with pytest.raises(InvalidInput, match="7 points"):
        decompose(np.arange(7.0), np.arange(7.0))
    with pytest.raises(InvalidInput, match="two whole periods"):
        decompose(np.arange(20.0), np.arange(20.0), 11)
