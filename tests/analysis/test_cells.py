"""The type of each value, against the rules written out one value at a time."""

from __future__ import annotations

import re
from collections import Counter
from datetime import date, timedelta
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clary.analysis.cells import cells
from clary.analysis.profiles import TypeCounts

WORDS = [
    *("1", "-7", "+5", "007", "1.5", ".5", "5.", "-.5e3", "1e-5", "inf", "-Infinity", "+INF"),
    *("", " 1", "1 ", "1,5", "0x1F", "1_000", "nan", "NaN", "true", "false", "True", "abc", "."),
    *("-", "e5", "1e", "99999999999999999999", "9007199254740993", "9007199254740992", "\u0661"),
]


def kind(word: str) -> str:
    if re.fullmatch(r"[+-]?[0-9]+", word):
        return "integral"
    if re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", word):
        return "fractional"
    if re.fullmatch(r"[+-]?inf(inity)?", word, re.IGNORECASE):
        return "fractional"
    return "boolean" if word in ("true", "false") else "string"


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.none() | st.sampled_from(WORDS) | st.from_regex(r"[-+]?\d{1,9}(\.\d+)?", fullmatch=True)
    ),
    st.booleans(),
)
def test_each_text_is_judged_by_itself(words: list[str | None], encoded: bool) -> None:
    array = pa.array(words, pa.string())
    found = cells(array.dictionary_encode() if encoded else array)
    there = [word for word in words if word is not None]
    assert found.missing == len(words) - len(there)
    assert found.types == TypeCounts(**Counter(map(kind, there)))
    numbers = [float(word) for word in there if kind(word) in ("integral", "fractional")]
    assert found.numbers.tolist() == numbers
    if found.texts is None:
        assert len(numbers) == len(there)
    else:
        counted = dict(zip(found.texts.words.to_pylist(), found.texts.counts.tolist(), strict=True))
        assert counted == Counter(there)


def test_long_integers_stay_apart() -> None:
    found = cells(pa.array(["9007199254740993", "9007199254740992"]))
    assert found.integers is not None
    assert len(set(found.integers.tolist())) == 2
    beyond = cells(pa.array(["99999999999999999999", "1"]))
    assert beyond.types == TypeCounts(integral=2)
    typed = cells(pa.array([2**60, 2**60 + 1, None]))
    assert typed.integers is not None
    assert typed.integers.tolist() == [2**60, 2**60 + 1]
    unsigned = cells(pa.array([2**64 - 1], pa.uint64()))
    assert (unsigned.integers, unsigned.numbers.tolist()) == (None, [2.0**64])


def test_decimals_are_numbers() -> None:
    decimals = cells(pa.array([Decimal("1.50"), None], pa.decimal128(10, 2)))
    assert (decimals.types, decimals.numbers.tolist()) == (TypeCounts(fractional=1), [1.5])
    whole = cells(pa.array([Decimal(7)], pa.decimal128(38, 0)))
    assert (whole.types, whole.numbers.tolist()) == (TypeCounts(integral=1), [7.0])


def test_values_with_types_keep_them() -> None:
    assert cells(pa.array([1, None, 3], pa.int32())).types == TypeCounts(integral=2)
    floats = cells(pa.array([1.0, np.nan, None, np.inf], pa.float32()))
    assert (floats.missing, floats.types) == (2, TypeCounts(fractional=2))
    flags = cells(pa.array([True, False, None, True]))
    assert flags.types == TypeCounts(boolean=3)
    assert flags.texts is not None
    assert flags.texts.words.to_pylist() == ["true", "false"]
    times = cells(pa.array([0, 1_000_000], pa.timestamp("us")))
    assert times.types == TypeCounts(string=2)
    assert cells(pa.nulls(3)).missing == 3
    assert cells(pa.array([], pa.string())).types == TypeCounts()


@pytest.mark.parametrize("value", [b"\x00\xff", [1, 2], {"a": 1}])
def test_what_is_no_number_and_no_text_is_shown_as_one(value: object) -> None:
    assert cells(pa.array([value, value])).types == TypeCounts(string=2)


def test_dictionaries_of_anything_are_read() -> None:
    assert cells(pa.array([1, 1, None]).dictionary_encode()).types == TypeCounts(integral=2)
    assert cells(pa.array([True]).dictionary_encode()).types == TypeCounts(boolean=1)
    large = cells(pa.array(["ab", "c", "ab"], pa.large_string()).dictionary_encode())
    assert large.texts is not None
    assert large.texts.words.to_pylist() == ["ab", "c"]
    sliced = cells(pa.array(["a", "b", "1", "1"]).dictionary_encode()[2:])
    assert (sliced.types, sliced.numbers.tolist()) == (TypeCounts(integral=2), [1.0, 1.0])
    unused = cells(pa.array(["a", "b", "c"]).dictionary_encode()[1:])
    assert unused.texts is not None
    assert unused.texts.words.to_pylist() == ["b", "c"]


@pytest.mark.parametrize(
    "array",
    [
        pa.array([timedelta(1)]),
        pa.array([date(2026, 1, 2)]),
        pa.array([b"a"], pa.binary_view()),
        pa.array([(1, 2, 3)], pa.month_day_nano_interval()),
        pa.array([[1]], pa.list_(pa.int8(), 1)),
    ],
)
def test_every_other_type_is_text(array: pa.Array) -> None:
    assert cells(array).types == TypeCounts(string=1)
