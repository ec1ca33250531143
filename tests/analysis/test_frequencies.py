"""Frequencies against a Counter: exact while few differ, within the stated error beyond."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from clary.analysis import frequencies
from clary.analysis.frequencies import CAPACITY, Frequencies


def of_numbers(values: list[float]) -> Frequencies:
    found, counts = np.unique(np.array(values, float), return_counts=True)
    return frequencies.of_numbers(found, counts)


def of_texts(values: list[str]) -> Frequencies:
    counted = Counter(values)
    words = pa.array(list(counted), pa.string())
    return frequencies.of_texts(words, np.array(list(counted.values()), np.int64))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.integers(0, 40), max_size=80), min_size=1, max_size=5))
def test_few_values_are_exact_however_they_are_merged(parts: list[list[int]]) -> None:
    exact = Counter(str(value) for part in parts for value in part)
    numbers = [of_numbers(part) for part in parts]
    texts = [of_texts(list(map(str, part))) for part in parts]
    mixed = [
        one if at % 2 else other for at, (one, other) in enumerate(zip(numbers, texts, strict=True))
    ]
    for some in (numbers, texts, mixed, mixed[::-1]):
        merged = some[0].merge(some[1:])
        assert merged.is_exact
        assert merged.by_text() == exact
        assert merged.counts.tolist() == sorted(merged.counts.tolist(), reverse=True)


@settings(max_examples=15, deadline=None)
@given(st.integers(2, 6), st.integers(0, 99))
def test_frequent_values_are_within_the_stated_error(parts: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    values = [random.zipf(1.2, 4_000) % 5_000 for _ in range(parts)]
    exact = Counter(np.concatenate(values).tolist())
    sketches = [of_numbers(part.tolist()) for part in values]
    merged = sketches[0].merge(sketches[1:])
    assert len(merged.counts) <= CAPACITY
    assert 0 < merged.error <= sum(exact.values()) / (CAPACITY + 1)
    kept = dict(zip(merged.values.tolist(), merged.counts.tolist(), strict=True))
    for value, count in exact.items():
        assert kept.get(value, 0) <= count <= kept.get(value, 0) + merged.error


def test_very_long_texts_stay_unknown() -> None:
    found = of_texts(["a", "a", "b" * 2_000, "b" * 2_000, "b" * 2_000])
    assert found.by_text() == {"a": 2}
    assert found.error == 3


def test_nothing_merges_to_nothing() -> None:
    assert Frequencies().merge([Frequencies()]).by_text() == {}
    assert Frequencies(error=2).merge([of_texts(["a"])]).error == 2
