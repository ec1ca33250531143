"""Distinct values: exact while few, within three standard errors beyond, mergeable exactly."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clary.analysis import distinct
from clary.analysis.distinct import Distinct


@pytest.mark.parametrize("count", [0, 1, 2048, 2049, 9_000, 40_000, 100_000, 1_000_000])
def test_counts(count: int) -> None:
    sketch = Distinct().add(distinct.of_numbers(np.arange(count) / 7))
    if count <= distinct.EXACT:
        assert sketch.count == count
    else:
        assert abs(sketch.count - count) < 0.025 * count


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.lists(st.integers(0, 100_000), max_size=50) | st.integers(0, 20_000).map(range),
        min_size=2,
        max_size=5,
    )
)
def test_merging_is_exact_associative_and_commutative(parts: list) -> None:
    sketches = [Distinct().add(distinct.of_numbers(np.array(list(part), float))) for part in parts]
    whole = Distinct().add(
        distinct.of_numbers(np.array([one for part in parts for one in part], float))
    )
    forwards = sketches[0].merge(sketches[1:])
    backwards = sketches[-1]
    for sketch in sketches[-2::-1]:
        backwards = sketch.merge([backwards])
    for merged in (forwards, backwards):
        assert merged.hashes.tolist() == whole.hashes.tolist()
        assert merged.registers.tolist() == whole.registers.tolist()


def test_equal_numbers_hash_alike_and_large_integers_apart() -> None:
    floats = distinct.of_numbers(np.array([0.0, -0.0, 5.0]))
    integers = distinct.of_numbers(np.array([0, 0, 5], dtype=np.int64))
    assert floats.tolist() == integers.tolist()
    large = np.array([2**60, 2**60 + 1, -(2**62), 7], dtype=np.int64)
    assert len(set(distinct.of_numbers(large).tolist())) == 4


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(max_size=40), max_size=60, unique=True), st.integers(0, 5))
def test_texts_hash_by_what_they_say(texts: list[str], skipped: int) -> None:
    array = pa.array(["filling"] * skipped + texts, pa.string())[skipped:]
    hashes = distinct.of_texts(array)
    assert len(set(hashes.tolist())) == len(texts)
    alone = [int(distinct.of_texts(pa.array([text], pa.string()))[0]) for text in texts]
    assert hashes.tolist() == alone


def test_long_texts_are_told_apart_anywhere() -> None:
    base = "x" * 5_000
    texts = [base, base[:2_500] + "y" + base[2_501:], base + "x", "x" * 1024, "x" * 1025, ""]
    assert len(set(distinct.of_texts(pa.array(texts)).tolist())) == len(texts)
