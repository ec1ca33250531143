"""Profiles: against plain numpy, merged against one pass, and through bytes."""

from __future__ import annotations

import math
from collections import Counter
from contextlib import suppress

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clary.analysis import moments, profiles
from clary.analysis.moments import Moments
from clary.analysis.profiles import ColumnProfile, Profile, TypeCounts
from clary.analysis.profiling import of_batches
from clary.analysis.stored_profiles import from_bytes, to_bytes
from clary.kernel.errors import InvalidInput

numbers = st.none() | st.floats(-1e6, 1e6) | st.sampled_from([1.0, 2.0, math.nan, math.inf])
texts = st.none() | st.sampled_from(["1", "2.5", "true", "abc", "inf", "", "1e3", "über"])
rows = st.lists(st.tuples(numbers, st.none() | st.integers(-5, 2**62), texts), max_size=60)


def batch(some: list[tuple]) -> pa.RecordBatch:
    kinds = (pa.float64(), pa.int64(), pa.string())
    columns = zip(*some, strict=True) if some else ((), (), ())
    arrays = [pa.array(list(one), kind) for one, kind in zip(columns, kinds, strict=True)]
    return pa.record_batch(arrays, names=["x", "n", "t"])


def profiled(*parts: list[tuple]) -> Profile:
    return of_batches(("x", "n", "t"), map(batch, parts))


def known(column: ColumnProfile) -> dict:
    """All that merging keeps exactly."""
    return {
        "name": column.name,
        "missing": column.missing,
        "types": column.types,
        "range": (column.numbers.minimum, column.numbers.maximum, column.numbers.count),
        "infinities": (column.numbers.negative_infinities, column.numbers.positive_infinities),
        "distinct": column.distinct.hashes.tolist(),
        "frequencies": column.frequencies.by_text(),
        "items": [one.tolist() for one in column.sketch.items()],
    }


def alike(one: Profile, other: Profile) -> None:
    assert one.rows == other.rows
    assert list(map(known, one.columns)) == list(map(known, other.columns))
    for left, right in zip(one.columns, other.columns, strict=True):
        for value in ("mean", "total", "standard_deviation"):
            expected = getattr(left.numbers, value)
            scale = abs(left.numbers.maximum) + abs(left.numbers.minimum)
            close = pytest.approx(expected, rel=1e-9, abs=1e-9 * scale, nan_ok=True)
            assert getattr(right.numbers, value) == close


@settings(max_examples=60, deadline=None)
@given(rows)
def test_a_profile_says_what_numpy_says(some: list[tuple]) -> None:
    profile = profiled(some)
    x, n, t = profile.columns
    values = [one for one, _, _ in some if one is not None and not math.isnan(one)]
    finite = np.array([one for one in values if math.isfinite(one)])
    assert (profile.rows, x.rows, x.missing) == (len(some), len(some), len(some) - len(values))
    assert x.kind == ("Fractional" if values else "Unknown")
    assert x.numbers.count == len(finite)
    assert x.numbers.positive_infinities == len(values) - len(finite)
    if len(finite):
        assert x.numbers.mean == pytest.approx(finite.mean(), rel=1e-9, abs=1e-3)
        assert x.numbers.standard_deviation == pytest.approx(finite.std(), rel=1e-9, abs=1e-3)
        assert (x.numbers.minimum, x.numbers.maximum) == (finite.min(), finite.max())
    assert x.distinct.count == len(set(values))
    integers = [one for _, one, _ in some if one is not None]
    assert (n.types, n.distinct.count) == (TypeCounts(len(integers)), len(set(integers)))
    words = [one for _, _, one in some if one is not None]
    assert t.present == len(words)
    if t.kind == "String":
        assert t.frequencies.by_text() == Counter(words)
        assert t.distinct.count == len(set(words))


@settings(max_examples=60, deadline=None)
@given(st.lists(rows, min_size=1, max_size=5))
def test_merging_is_as_one_pass_in_any_order(parts: list[list[tuple]]) -> None:
    some = [profiled(part) for part in parts]
    alike(profiles.merge(*some), profiles.merge(*some[::-1]))
    one_by_one = Profile()
    for one in some:
        one_by_one = profiles.merge(one_by_one, one)
    alike(profiles.merge(*some), one_by_one)
    whole = profiled([row for part in parts for row in part])
    for merged, once in zip(profiles.merge(*some).columns, whole.columns, strict=True):
        assert (merged.types, merged.missing) == (once.types, once.missing)
        if once.is_numeric:  # texts that look like numbers are one, or not, by their batch
            assert known(merged) == known(once)


def test_many_profiles_merge_in_groups() -> None:
    random = np.random.default_rng(0)
    parts = [[(float(value), 1, "a") for value in random.normal(size=50)] for _ in range(150)]
    merged = profiles.merge_all(profiled(part) for part in parts)
    whole = np.array([row[0] for part in parts for row in part])
    assert (merged.rows, merged.columns[0].present) == (7_500, 7_500)
    assert merged.columns[0].numbers.mean == pytest.approx(whole.mean())
    assert merged.columns[0].sketch.quantiles([0.5])[0] == pytest.approx(np.median(whole), abs=0.02)
    assert merged.columns[2].frequencies.by_text() == {"a": 7_500}


def test_a_column_that_some_parts_lack_is_missing_there() -> None:
    left = of_batches(("a",), [pa.record_batch([pa.array([1, 2])], names=["a"])])
    right = of_batches(("b",), [pa.record_batch([pa.array(["x"])], names=["b"])])
    a, b = profiles.merge(left, right).columns
    assert (a.present, a.missing, b.present, b.missing) == (2, 1, 1, 2)
    assert a.completeness == pytest.approx(2 / 3)


@settings(max_examples=40, deadline=None)
@given(rows, st.sampled_from(["fast", "deequ"]))
def test_bytes_bring_a_profile_back(some: list[tuple], mode: str) -> None:
    profile = of_batches(("x", "n", "t"), [batch(some)], mode=mode)
    alike(profile, from_bytes(to_bytes(profile)))
    assert to_bytes(from_bytes(to_bytes(profile))) == to_bytes(profile)


def test_a_large_profile_goes_through_bytes() -> None:
    random = np.random.default_rng(1)
    columns = [pa.array(random.normal(size=9_000)), pa.array([f"text {n}" for n in range(9_000)])]
    profile = of_batches(("x", "t"), [pa.record_batch(columns, names=["x", "t"])])
    back = from_bytes(to_bytes(profile))
    assert to_bytes(back) == to_bytes(profile)
    assert back.columns[1].distinct.count == profile.columns[1].distinct.count
    assert back.columns[1].frequencies.error == 1


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_damaged_bytes_are_refused_or_read_but_never_crash(data: st.DataObject) -> None:
    good = to_bytes(profiled([(1.0, 2, "abc"), (2.0, 3, "d")]))
    cut = data.draw(st.integers(0, len(good)))
    noise = data.draw(st.binary(max_size=8))
    bad = good[:cut] + noise + good[cut + len(noise) :]
    with suppress(InvalidInput):
        to_bytes(from_bytes(bad))


def test_what_is_no_profile_is_named() -> None:
    with pytest.raises(InvalidInput, match="profile: it starts with b'PAR1'"):
        from_bytes(b"PAR1")
    with pytest.raises(InvalidInput, match="profile: it is damaged"):
        from_bytes(to_bytes(profiled([(1.0, 2, "abc")]))[:-3])


def test_types_decide_the_kind() -> None:
    assert TypeCounts().kind == "Unknown"
    assert TypeCounts(3, 1).kind == "Fractional"
    assert TypeCounts(3, 0, 1).kind == "String"
    assert TypeCounts(boolean=2).kind == "String"


def test_numbers_beyond_what_sums_hold_are_infinite_not_wrong() -> None:
    huge = moments.of(np.array([1e308, 1e308, -np.inf]))
    assert (huge.total, huge.maximum, huge.negative_infinities) == (math.inf, 1e308, 1)
    assert moments.of(np.array([])) == Moments()
    assert math.isnan(Moments().standard_deviation)
