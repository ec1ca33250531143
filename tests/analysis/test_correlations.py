"""Columns that no longer go together, and none where nothing has changed."""

from __future__ import annotations

import itertools

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

from clary.analysis import checks, comparison, correlations, stored_profiles, suggestions
from clary.analysis.profiles import Profile, merge
from clary.analysis.profiling import of_batches
from clary.kernel.errors import InvalidInput

NAMES = ["a", "b", "c", "d", "e"]


def mixed(generator, rows, together=0.6):
    """Draw columns of every sort: normal, tied, heavy-tailed, with nulls, and one of the others."""
    first, second = generator.multivariate_normal([0, 0], [[1, together], [together, 1]], rows).T
    heavy = generator.standard_cauchy(rows) * np.exp(first)
    missing = np.where(generator.random(rows) < 0.1, np.nan, first + generator.normal(size=rows))
    return [first, second, np.round(first), heavy, missing]


def table(columns):
    arrays = [pa.array(one, from_pandas=True) for one in columns]
    texts = pa.array(["x", "y"] * (len(columns[0]) // 2))
    arrays[1] = arrays[1].cast(pa.string())
    return pa.table([*arrays, texts], [*NAMES, "text"])


def profiled(columns, at_once=700):
    rows = table(columns)
    return of_batches(rows.column_names, rows.to_batches(max_chunksize=at_once))


def test_coefficients_are_spearmans():
    columns = [np.random.default_rng(seed).normal(size=500) for seed in range(2)]
    columns.append(columns[0] ** 3 + columns[1])
    found = correlations.measure(["a", "b", "c"], columns)
    pairs = itertools.combinations(columns, 2)
    expected = [stats.spearmanr(*pair).statistic for pair in pairs]
    assert found.coefficients == pytest.approx(expected, abs=2e-5)


@pytest.mark.parametrize("together", [0.0, 0.5, 0.95])
def test_the_stated_error_is_the_one_that_occurs(together):
    generator = np.random.default_rng(7)
    covariance = [[1, together], [together, 1]]
    drawn = [
        correlations.measure(["a", "b"], generator.multivariate_normal([0, 0], covariance, 400).T)
        for _ in range(600)
    ]
    seen = np.var([one.coefficients[0] for one in drawn]) * 400
    stated = np.mean([one.variances[0] for one in drawn])
    assert stated == pytest.approx(seen, rel=0.2)


def test_parts_of_one_table_raise_few_alarms():
    generator = np.random.default_rng(3)
    alarms = 0
    for _ in range(500):
        sides = [correlations.measure(NAMES, mixed(generator, 400)) for _ in range(2)]
        alarms += bool(correlations.changes(*sides, NAMES, level=0.01).significant)
    assert alarms <= 12  # 5 are expected; more than 12 have a chance of 0.2 %


def test_a_changed_correlation_is_seen_that_no_column_shows():
    generator = np.random.default_rng(4)
    before = profiled(mixed(generator, 4000))
    baseline = comparison.of_profile(before)
    same = comparison.compare(profiled(mixed(generator, 4000)), baseline)
    apart = comparison.compare(profiled(mixed(generator, 4000, together=0.2)), baseline)
    for found in (same, apart):
        assert not any(one.is_significant for one in found.drifts)
        assert found.correlations is not None
        assert found.correlations.pairs == 10
    assert same.correlations.significant == ()
    changed = apart.correlations.significant
    assert all("b" in one.columns for one in changed)
    assert changed[0].columns == ("a", "b")
    assert changed[0].before == pytest.approx(0.58, abs=0.04)
    assert changed[0].now == pytest.approx(0.19, abs=0.05)
    document = apart.correlations.to_document()
    assert document["significant"] == len(changed)
    assert document["changed"][0]["features"] == ["a", "b"]


def test_columns_of_no_name_are_those_of_the_baseline():
    generator = np.random.default_rng(5)
    baseline = comparison.of_profile(profiled(mixed(generator, 2000)))
    rows = table(mixed(generator, 2000, together=-0.6))
    unnamed = [f"_c{at}" for at in range(rows.num_columns)]
    live = of_batches(unnamed, rows.to_batches())
    found = comparison.compare(live, baseline)
    assert found.correlations.significant[0].columns == ("a", "b")
    without = comparison.compare(live, baseline, excluded=["_c1"])
    assert without.correlations.pairs == 6
    assert without.correlations.significant == ()


def test_a_column_that_becomes_text_is_left_out():
    generator = np.random.default_rng(6)
    columns = mixed(generator, 1000)
    numbers = table(columns)
    words = numbers.set_column(0, "a", pa.array(["word"] * 1000))
    batches = [*numbers.to_batches(), *words.to_batches()]
    found = of_batches(numbers.column_names, batches).correlations
    assert found.names == ("b", "c", "d", "e")


def test_a_sample_of_many_rows_is_even():
    first = np.arange(50_000.0)
    rows = pa.table(
        [pa.array(first), pa.array(np.where(first < 40_000, first, -first))], ["a", "b"]
    )
    found = of_batches(["a", "b"], rows.to_batches(max_chunksize=7_000)).correlations
    assert found.rows == correlations.MOST_ROWS
    expected = stats.spearmanr(rows["a"], rows["b"]).statistic
    assert found.coefficients[0] == pytest.approx(expected, abs=0.05)


@pytest.mark.parametrize(
    "columns",
    [[np.arange(150.0)] * 2, [np.arange(300.0)], [np.full(300, np.nan), np.arange(300.0)]],
    ids=["few rows", "one column", "one that is empty"],
)
def test_what_cannot_be_measured_is_not(columns):
    names = NAMES[: len(columns)]
    batch = pa.record_batch([pa.array(one) for one in columns], names)
    assert of_batches(names, [batch]).correlations is None


def test_a_constant_and_a_copy_raise_no_alarm():
    generator = np.random.default_rng(8)
    sides = []
    for _ in range(2):
        one = generator.normal(size=1000)
        sides.append(correlations.measure(["a", "b", "c"], [one, one.copy(), np.zeros(1000)]))
    assert sides[0].coefficients[0] == pytest.approx(1, abs=1e-5)
    assert correlations.changes(*sides, ["a", "b", "c"], level=0.01).significant == ()


def test_they_are_stored_and_not_merged():
    profile = profiled(mixed(np.random.default_rng(9), 500))
    stored = stored_profiles.to_bytes(profile)
    assert stored_profiles.from_bytes(stored).correlations == profile.correlations
    assert merge(profile, profile).correlations is None
    suggested = suggestions.suggest(profile)
    assert checks.named(profile, suggested).correlations == profile.correlations


@pytest.mark.parametrize(
    "damage", [{"names": ("a",)}, {"coefficients": ()}, {"variances": (1.0,) * 11}, {"rows": 0}]
)
def test_damaged_ones_are_refused(damage):
    profile = profiled(mixed(np.random.default_rng(9), 500))
    held = profile.correlations
    fields = {name: getattr(held, name) for name in held.__struct_fields__} | damage
    packed = msgspec.msgpack.encode([500, [], list(fields.values())])
    stored = stored_profiles.to_bytes(Profile(500))
    magic = stored[: stored.index(b"\n") + 1]
    with pytest.raises(InvalidInput, match="damaged"):
        stored_profiles.from_bytes(magic + packed)
