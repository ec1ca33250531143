"""Sketches against a literal transcription of Deequ's rules, and against exact ranks."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clary.analysis import kll
from clary.analysis.kll import Kll
from clary.kernel.errors import InvalidInput


class Slow:
    """The rules of reference/monitoring.md §1, one value after the other."""

    def __init__(self) -> None:
        self.levels: list[list[float]] = [[]]
        self.turns = [0]
        self.offsets = [0]

    @staticmethod
    def capacity(height: int) -> int:
        return 2 * (math.ceil(2048 * 0.64**height / 2) + 1)

    def update(self, value: float) -> None:
        self.levels[0].append(value)
        if sum(map(len, self.levels)) > sum(map(self.capacity, range(len(self.levels)))):
            self.condense()

    def condense(self) -> None:
        for height, level in enumerate(self.levels):
            if len(level) >= self.capacity(height):
                if height + 1 == len(self.levels):
                    self.levels.append([])
                    self.turns.append(0)
                    self.offsets.append(0)
                if self.turns[height] % 2 == 1:
                    self.offsets[height] = 1 - self.offsets[height]
                even = len(level) - len(level) % 2
                ordered = sorted(level[:even])
                self.levels[height + 1] += ordered[self.offsets[height] :: 2]
                self.levels[height] = level[even:]
                self.turns[height] += 1
                return

    def merge(self, other: Slow) -> None:
        while len(self.levels) < len(other.levels):
            self.levels.append([])
            self.turns.append(0)
            self.offsets.append(0)
        for height, theirs in enumerate(other.levels):
            self.levels[height] += theirs
        while sum(map(len, self.levels)) >= sum(map(self.capacity, range(len(self.levels)))):
            self.condense()


def slow(values: np.ndarray) -> Slow:
    sketch = Slow()
    for value in values.tolist():
        sketch.update(value)
    return sketch


def data(sketch: Kll) -> list[list[float]]:
    return [level.tolist() for level in sketch.levels]


@pytest.mark.parametrize("count", [0, 1, 2050, 2051, 4200, 60_000])
def test_the_deequ_mode_is_equal_bit_for_bit(count: int) -> None:
    values = np.random.default_rng(count).normal(size=count)
    expected = slow(values)
    assert data(Kll(mode="deequ").add(values)) == expected.levels


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(1, 9_000), min_size=1, max_size=4), st.integers(0, 99))
def test_the_deequ_mode_does_not_see_batches(sizes: list[int], seed: int) -> None:
    values = np.random.default_rng(seed).integers(0, 50, sum(sizes)).astype(float)
    sketch = Kll(mode="deequ")
    for part in np.split(values, np.cumsum(sizes)[:-1]):
        sketch = sketch.add(part)
    assert data(sketch) == slow(values).levels
    assert sketch.count == len(values)


def test_the_deequ_mode_merges_like_deequ() -> None:
    left, right = (np.random.default_rng(seed).normal(size=9_000) for seed in (1, 2))
    expected = slow(left)
    expected.merge(slow(right))
    merged = Kll(mode="deequ").add(left).merge([Kll(mode="deequ").add(right)])
    assert data(merged) == expected.levels


def worst_error(sketch: Kll, values: np.ndarray) -> float:
    ordered = np.sort(values)
    points = np.quantile(ordered, np.linspace(0, 1, 201))
    exact = np.searchsorted(ordered, points, "right")
    return float(np.abs(sketch.ranks(points) - exact).max() / len(values))


@pytest.mark.parametrize("batch", [1_000_000, 122_880, 977])
def test_ranks_are_within_a_third_of_a_per_cent(batch: int) -> None:
    values = np.random.default_rng(batch).lognormal(size=1_000_000)
    sketch = Kll()
    for start in range(0, len(values), batch):
        sketch = sketch.add(values[start : start + batch])
    assert sketch.count == len(values)
    assert sum(map(len, sketch.levels)) < 6_000
    assert worst_error(sketch, values) < 0.003


def test_the_fast_mode_is_the_more_exact_one() -> None:
    values = np.random.default_rng(0).normal(size=300_000)
    fast, deequ = Kll().add(values), Kll(mode="deequ").add(values)
    assert worst_error(fast, values) < worst_error(deequ, values) / 2


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 6_000), min_size=2, max_size=12), st.integers(0, 99))
def test_merged_parts_are_as_good_as_the_whole(sizes: list[int], seed: int) -> None:
    random = np.random.default_rng(seed)
    parts = [random.normal(size=size) for size in sizes]
    whole = np.concatenate(parts)
    sketches = [Kll().add(part) for part in parts]
    for some in (sketches, sketches[::-1]):
        merged = some[0].merge(some[1:])
        assert merged.count == len(whole)
        if len(whole):
            assert worst_error(merged, whole) < 0.005
    one_by_one = sketches[0]
    for sketch in sketches[1:]:
        one_by_one = one_by_one.merge([sketch])
    if len(whole):
        assert worst_error(one_by_one, whole) < 0.005


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-100, 100), min_size=1, max_size=500))
def test_few_values_are_exact(values: list[float]) -> None:
    array = np.array(values)
    sketch = Kll().add(array)
    assert sketch.is_exact
    points = [*values, -101.0, 101.0]
    assert sketch.ranks(points).tolist() == [int((array <= one).sum()) for one in points]
    below = sketch.ranks(points, is_inclusive=False).tolist()
    assert below == [int((array < one).sum()) for one in points]
    shares = [0.0, 0.25, 0.5, 1.0]
    expected = np.quantile(array, shares, method="inverted_cdf").tolist()
    assert sketch.quantiles(shares).tolist() == expected


def test_wrong_questions_are_refused() -> None:
    with pytest.raises(InvalidInput, match="holds no values"):
        Kll().quantiles([0.5])
    with pytest.raises(InvalidInput, match="0 to 1"):
        Kll().add(np.ones(3)).quantiles([1.5])
    with pytest.raises(InvalidInput, match="levels"):
        kll.read([[1.0]] * 61)
    with pytest.raises(InvalidInput, match="not finite"):
        kll.read([[1.0, math.nan]])


def test_a_sketch_of_a_document_is_read() -> None:
    sketch = kll.read([[1.0, 2.0], [3.0]])
    assert sketch.count == 4
    assert sketch.ranks([2.5, 3.0]).tolist() == [2, 4]
    assert kll.read([]).count == 0
