"""The values of a column, each with its own type: a CSV file does not say what they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from clary.analysis.profiles import TypeCounts

if TYPE_CHECKING:
    from numpy.typing import NDArray

INTEGRAL = r"^[+-]?[0-9]+$"
NUMBER = (
    r"^[+-]?(([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?|[iI][nN][fF]([iI][nN][iI][tT][yY])?)$"
)
BOOLEAN = "^(true|false)$"
_NO_NUMBERS = np.empty(0)
_LARGEST_EXACT = 1 << 53


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
        All of them as texts, as soon as one is no number; else None.
    """

    missing: int
    types: TypeCounts
    numbers: NDArray[np.float64]
    integers: NDArray[np.int64] | None = None
    texts: pa.StringArray | None = None


def cells(array: pa.Array) -> Cells:
    """Read an array of int64, double, bool or string.

    A text counts as what it looks like, as in Deequ: digits are Integral, true and false Boolean.
    Unlike there, 1e-5 and inf are Fractional.
    """
    missing = array.null_count
    values = array.drop_null() if missing else array
    if pa.types.is_string(array.type):
        return _of_texts(values, missing)
    if pa.types.is_boolean(array.type):
        return Cells(missing, TypeCounts(boolean=len(values)), _NO_NUMBERS, None, _words(values))
    if pa.types.is_floating(array.type):
        numbers = values.to_numpy(zero_copy_only=False)
        is_nan = np.isnan(numbers)
        if is_nan.any():
            numbers = numbers[~is_nan]
        missing = len(array) - len(numbers)
        return Cells(missing, TypeCounts(fractional=len(numbers)), numbers)
    if pa.types.is_null(array.type):
        return Cells(len(array), TypeCounts(), _NO_NUMBERS)
    return _of_integers(values, missing)


def _words(values: pa.Array) -> pa.StringArray:
    return values.cast(pa.string())


def _of_integers(values: pa.Array, missing: int) -> Cells:
    integers = values.to_numpy(zero_copy_only=False)
    numbers = integers.astype(np.float64)
    is_large = len(numbers) and np.abs(numbers).max() > _LARGEST_EXACT
    return Cells(missing, TypeCounts(len(integers)), numbers, integers if is_large else None)


def _of_texts(values: pa.StringArray, missing: int) -> Cells:
    """Try the column as numbers first: most that hold any are numbers throughout."""
    try:
        numbers = values.cast(pa.float64()).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid:
        return _mixed(values, missing)
    if np.isnan(numbers).any():  # the word nan is no number
        return _mixed(values, missing)
    try:
        return _of_integers(values.cast(pa.int64()), missing)
    except pa.ArrowInvalid:
        integral = int(pc.sum(pc.match_substring_regex(values, INTEGRAL)).as_py() or 0)
    return Cells(missing, TypeCounts(integral, len(numbers) - integral), numbers)


def _mixed(values: pa.StringArray, missing: int) -> Cells:
    """Judge each different text once."""
    encoded = values.dictionary_encode()
    words, places = encoded.dictionary, encoded.indices.to_numpy(zero_copy_only=False)
    counts = np.bincount(places, minlength=len(words))
    is_number = _matches(words, NUMBER)
    integral = int(counts[is_number & _matches(words, INTEGRAL)].sum())
    boolean = int(counts[_matches(words, BOOLEAN)].sum())
    numeric = int(counts[is_number].sum())
    types = TypeCounts(integral, numeric - integral, boolean, len(values) - numeric - boolean)
    return Cells(missing, types, _numbers(words, is_number, places), None, values)


def _matches(words: pa.StringArray, pattern: str) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = pc.match_substring_regex(words, pattern).to_numpy(
        zero_copy_only=False
    )
    return found


def _numbers(
    words: pa.StringArray, is_number: NDArray[np.bool_], places: NDArray[np.int32]
) -> NDArray[np.float64]:
    if not is_number.any():
        return _NO_NUMBERS
    by_word = np.full(len(words), np.nan)
    by_word[is_number] = words.filter(pa.array(is_number)).cast(pa.float64()).to_numpy()
    numbers = by_word[places]
    return numbers[is_number[places]]
