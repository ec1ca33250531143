"""The values of a column, each with its own type: a CSV file does not say what they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from clary.analysis.arrow_arrays import are_digits, numbers_of, taken
from clary.analysis.profiles import TypeCounts

if TYPE_CHECKING:
    from numpy.typing import NDArray

INTEGRAL = r"^[+-]?[0-9]+$"
NUMBER = (
    r"^[+-]?(([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?|[iI][nN][fF]([iI][nN][iI][tT][yY])?)$"
)
_BOOLEAN = "^(true|false)$"
_PROBED = 16
_TEXTS = (pa.large_string(), pa.string_view())
_LARGEST_EXACT = 1 << 53
_NO_NUMBERS = np.empty(0)


@dataclass(frozen=True, eq=False, slots=True)
class Texts:
    """Different texts, and how often each occurs."""

    words: pa.StringArray
    counts: NDArray[np.int64]


@dataclass(frozen=True, eq=False, slots=True)
class Cells:
    """The values of a column, apart from those that are missing.

    Parameters
    ----------
    missing
        How many are: null or NaN.
    numbers
        Those that are numbers, in order.
    integers
        The same, where they are integers beyond what a float tells apart; else None.
    texts
        All of them, as soon as one is no number; else None.
    """

    missing: int
    types: TypeCounts
    numbers: NDArray[np.float64]
    integers: NDArray[np.int64] | None = None
    texts: Texts | None = None


def cells(array: pa.Array) -> Cells:
    """Read an array of integers, floats, bool, string, dictionaries of strings, or times.

    A text counts as what it looks like, as in Deequ: digits are Integral, true and false Boolean.
    Unlike there, 1e-5 and inf are Fractional.
    """
    missing, kind = array.null_count, array.type
    if missing == len(array):
        return Cells(missing, TypeCounts(), _NO_NUMBERS)
    values = array.drop_null() if missing else array
    if pa.types.is_dictionary(kind):
        is_text = pa.types.is_string(kind.value_type)
        return _of_words(values, missing) if is_text else cells(array.dictionary_decode())
    if pa.types.is_string(kind) or kind in _TEXTS:
        return _of_texts(values.cast(pa.string()), missing)
    if pa.types.is_floating(kind) or (pa.types.is_decimal(kind) and kind.scale):
        return _of_floats(values.cast(pa.float64()), missing)
    if pa.types.is_integer(kind) or pa.types.is_decimal(kind):
        return _of_integers(values, missing)
    return _of_others(values, missing)


def _of_others(values: pa.Array, missing: int) -> Cells:
    """Read times, truths, bytes and nested values by how they are written."""
    kind = values.type
    if pa.types.is_boolean(kind) or (pa.types.is_temporal(kind) and not pa.types.is_interval(kind)):
        encoded = values.dictionary_encode()
        words = encoded.dictionary.cast(pa.string())
    else:
        encoded = pa.array([_written(one) for one in values.to_pylist()]).dictionary_encode()
        words = encoded.dictionary
    is_boolean = pa.types.is_boolean(kind)
    types = TypeCounts(**{"boolean" if is_boolean else "string": len(values)})
    return Cells(missing, types, _NO_NUMBERS, None, Texts(words, _counts(encoded)))


def _written(value: Any) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)


def _of_floats(values: pa.Array, missing: int) -> Cells:
    numbers = numbers_of(values)
    is_nan = np.isnan(numbers)
    if is_nan.any():
        missing += int(np.count_nonzero(is_nan))
        numbers = numbers[~is_nan]
    return Cells(missing, TypeCounts(fractional=len(numbers)), numbers)


def _of_integers(values: pa.Array, missing: int) -> Cells:
    numbers = numbers_of(values.cast(pa.float64(), safe=False))
    types = TypeCounts(len(numbers))
    if np.abs(numbers).max() < _LARGEST_EXACT:
        return Cells(missing, types, numbers)
    try:
        integers = numbers_of(values.cast(pa.int64()))
    except pa.ArrowInvalid:  # some are beyond 64 bits
        return Cells(missing, types, numbers)
    return Cells(missing, types, numbers, integers)


def _of_texts(values: pa.StringArray, missing: int) -> Cells:
    """Read the column as numbers where the first ones are: most such columns are throughout."""
    try:
        values[:_PROBED].cast(pa.float64())  # a failing cast is slow: it goes on to the end
        numbers = numbers_of(values.cast(pa.float64()))
    except pa.ArrowInvalid:
        return _of_words(values.dictionary_encode(), missing)
    if np.isnan(numbers).any():  # the word nan is no number
        return _of_words(values.dictionary_encode(), missing)
    integral = int(np.count_nonzero(are_digits(values)))
    if integral == len(numbers):
        return _of_integers(values, missing)
    return Cells(missing, TypeCounts(integral, len(numbers) - integral), numbers)


def _of_words(values: pa.DictionaryArray, missing: int) -> Cells:
    """Judge each different text once."""
    words, counts = values.dictionary, _counts(values)
    is_number = _matches(words, NUMBER)
    numeric = int(counts[is_number].sum())
    numbers, integral = _NO_NUMBERS, 0
    if numeric:
        digits = taken(words, np.flatnonzero(is_number))
        integral = int(counts[is_number][_matches(digits, INTEGRAL)].sum())
        by_word = np.full(len(words), np.nan)
        by_word[is_number] = numbers_of(digits.cast(pa.float64()))
        numbers = by_word[_places(values)]
    if numeric == len(values):
        return Cells(missing, TypeCounts(integral, numeric - integral), numbers)
    boolean = int(counts[_matches(words, _BOOLEAN)].sum())
    types = TypeCounts(integral, numeric - integral, boolean, len(values) - numeric - boolean)
    found = _used(words, counts)
    return Cells(missing, types, numbers[~np.isnan(numbers)], None, found)


def _used(words: pa.StringArray, counts: NDArray[np.int64]) -> Texts:
    """Leave out what a dictionary holds and no row has."""
    places = np.flatnonzero(counts)
    if len(places) == len(counts):
        return Texts(words, counts)
    return Texts(taken(words, places), counts[places])


def _places(values: pa.DictionaryArray) -> NDArray[np.int32]:
    return numbers_of(values.indices)


def _counts(values: pa.DictionaryArray) -> NDArray[np.int64]:
    return np.bincount(_places(values), minlength=len(values.dictionary))


def _matches(words: pa.StringArray, pattern: str) -> NDArray[np.bool_]:
    return numbers_of(pc.match_substring_regex(words, pattern))
