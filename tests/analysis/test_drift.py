"""Which columns have drifted: no false alarms beyond the level, and no change missed."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from clary.analysis.drift import METRICS, column_drift, drift
from clary.analysis.profiles import merge_all
from clary.analysis.profiling import of_batches
from clary.analysis.samples import of_profile

ROWS = 4_000


def people(draw, rows=ROWS, *, shift=0.0, flag=0.1, plan=(0.5, 0.3, 0.2)):
    """Draw a table of every sort of column."""
    return {
        "normal": draw.normal(shift, 1, rows),
        "heavy": draw.standard_cauchy(rows),
        "age": draw.integers(18, 90, rows),
        "flag": (draw.random(rows) < flag).astype(int),
        "zeros": np.where(draw.random(rows) < 0.8, 0, draw.exponential(50, rows)),
        "plan": draw.choice(["a", "b", "c"], rows, p=plan),
        "city": np.char.add("city", draw.zipf(1.5, rows).clip(0, 3_000).astype(str)),
        "id": draw.integers(0, 2**60, rows).astype(str),
    }


def profiled(table):
    columns = {name: pa.array(values.tolist()) for name, values in table.items()}
    batch = pa.RecordBatch.from_pydict(columns)
    return of_batches(batch.schema.names, [batch])


def sampled(table):
    return of_profile(profiled(table))


def test_nothing_drifts_where_nothing_has_changed():
    """A/A: at a level of 5 % at most one check in twenty may report any column."""
    draw = np.random.default_rng(11)
    alarms = sum(
        any(one.is_significant for one in drift(sampled(people(draw, 1_000)), now, level=0.05))
        for now in (sampled(people(draw, 700)) for _ in range(100))
    )
    assert alarms <= 10  # 5 expected at the most; more than 10 have a chance of 1 %


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("normal", {"shift": 0.15}),
        ("flag", {"flag": 0.2}),
        ("plan", {"plan": (0.4, 0.4, 0.2)}),
    ],
)
def test_the_column_that_changed_is_named(name, changed):
    draw = np.random.default_rng(12)
    found = drift(sampled(people(draw)), sampled(people(draw, **changed)))
    assert [one.name for one in found if one.is_significant] == [name]


def test_flips_of_discrete_columns_are_never_missed():
    draw = np.random.default_rng(13)
    for kind in (np.float64, np.int64, np.str_):
        for values, p in (([0, 1], [0.9, 0.1]), ([1, 2, 7], [0.8, 0.15, 0.05])):
            before = sampled({"x": draw.choice(values, 500, p=p).astype(kind)})
            after = sampled({"x": draw.choice(values, 500, p=p[::-1]).astype(kind)})
            (found,) = drift(before, after)
            assert found.is_significant
            assert found.metrics["population_stability_index"] > 1


def test_a_change_of_frequent_categories_is_seen_where_the_rare_ones_are_not_counted():
    draw = np.random.default_rng(14)
    skus = draw.integers(0, 3_000, 40_000)
    before = sampled({"sku": np.char.add("s", skus.astype(str))})
    same = sampled({"sku": np.char.add("s", draw.integers(0, 3_000, 40_000).astype(str))})
    moved = np.where(draw.random(40_000) < 0.05, 7, skus)
    after = sampled({"sku": np.char.add("s", moved.astype(str))})
    (calm,), (alarmed,) = drift(before, same), drift(before, after)
    assert (calm.test, calm.is_significant) == ("category_shares", False)
    assert alarmed.is_significant
    assert alarmed.metrics["l_infinity"] == pytest.approx(0.05, abs=0.01)


def test_an_hour_of_minutes_drifts_as_the_hour_does():
    draw = np.random.default_rng(15)
    minutes = [people(draw, 100, shift=0.3) for _ in range(60)]
    hour = {name: np.concatenate([one[name] for one in minutes]) for name in minutes[0]}
    before = sampled(people(draw))
    merged = of_profile(merge_all(map(profiled, minutes)))
    whole = {one.name: one for one in drift(before, sampled(hour))}
    for one in drift(before, merged):
        assert one.is_significant == whole[one.name].is_significant, one.name
        assert one.metrics == pytest.approx(whole[one.name].metrics, abs=0.02, rel=0.3)


def test_what_cannot_be_compared_is_left_out():
    numbers, texts = sampled({"x": np.arange(9)}), sampled({"x": np.array(["a", "b"])})
    assert drift(numbers, texts) == ()
    assert drift(numbers, {}) == ()
    assert column_drift("x", numbers["x"], None) is None


def test_constant_columns_and_infinities():
    constant = sampled({"x": np.full(50, 3.0)})
    (same,) = drift(constant, constant)
    assert (same.p_value, same.metrics["wasserstein"]) == (1.0, 0.0)
    assert "normalized_wasserstein" not in same.metrics
    (moved,) = drift(constant, sampled({"x": np.full(50, 4.0)}))
    assert moved.is_significant
    endless = sampled({"x": np.array([np.inf, -np.inf, 1.0] * 20)})
    (found,) = drift(constant, endless)
    assert all(np.isfinite(value) for value in found.metrics.values())
    assert set(found.metrics) <= set(METRICS)
    assert found.to_document()["feature_name"] == "x"
