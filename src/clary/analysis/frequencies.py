"""How often values occur: exact while they are few, the frequent ones beyond (Misra and Gries)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from clary.analysis.arrow_arrays import numbers_of, offsets_of, taken

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import TypeAlias

    from numpy.typing import NDArray

    Counts: TypeAlias = NDArray[np.int64]

CAPACITY = 512
_LONGEST_BYTES = 1024
_NO_NUMBERS = np.empty(0)
_NO_COUNTS = np.empty(0, dtype=np.int64)


@dataclass(frozen=True, eq=False, slots=True)
class Frequencies:
    """The most frequent values, in descending order of their counts, and what is not known.

    Parameters
    ----------
    values
        Up to 512 different ones: numbers (a float64 array), or texts (an Arrow array) once any
        value of the column is a text.
    counts
        How often each occurs at the least; at the most ``error`` times more.
    error
        The count that a value may have which is not among them; 0 when all are.
    """

    values: Any = field(default_factory=lambda: _NO_NUMBERS)
    counts: Counts = field(default_factory=lambda: _NO_COUNTS)
    error: int = 0

    @property
    def is_exact(self) -> bool:
        """Whether these are all values with their exact counts."""
        return self.error == 0

    @property
    def is_numeric(self) -> bool:
        """Whether the values are kept as numbers."""
        return isinstance(self.values, np.ndarray)

    def texts(self) -> Sequence[str]:
        """Give the values as texts, integers without a fraction."""
        return list(map(text_of, self.values)) if self.is_numeric else self.values.to_pylist()

    def by_text(self) -> dict[str, int]:
        """Give the counts by the values' texts, most frequent first."""
        return dict(zip(self.texts(), self.counts.tolist(), strict=True))

    def merge(self, others: Iterable[Frequencies]) -> Frequencies:
        """Join with the frequencies of other values; exact as long as at most 512 differ."""
        every = [self, *others]
        error = sum(one.error for one in every)
        filled = [one for one in every if len(one.counts)]
        if len(filled) < 2:
            return replace(filled[0], error=error) if filled else Frequencies(error=error)
        counts = np.concatenate([one.counts for one in filled])
        if all(one.is_numeric for one in filled):
            values, places = np.unique(
                np.concatenate([one.values for one in filled]), return_inverse=True
            )
            return of_numbers(values, _summed(places, counts), error)
        encoded = pa.concat_arrays([one.as_texts() for one in filled]).dictionary_encode()
        places = numbers_of(encoded.indices)
        return of_texts(encoded.dictionary, _summed(places, counts), error)

    def as_texts(self) -> pa.StringArray:
        """Give the values as an Arrow array of texts."""
        return pa.array(self.texts(), pa.string()) if self.is_numeric else self.values


def text_of(number: float) -> str:
    """Write a number as a text, one without a fraction as an integer.

    >>> text_of(3.0), text_of(0.5), text_of(-1e300)
    ('3', '0.5', '-1e+300')
    """
    is_whole = abs(number) < 1 << 53 and number == int(number)
    return str(int(number)) if is_whole else repr(float(number))


def of_numbers(values: NDArray[np.float64], counts: Counts, error: int = 0) -> Frequencies:
    """Keep the most frequent of different numbers."""
    kept, counts, error = _most(counts, error)
    return Frequencies(values[kept], counts, error)


def of_texts(values: pa.StringArray, counts: Counts, error: int = 0) -> Frequencies:
    """Keep the most frequent of different texts; those over 1 KiB stay unknown."""
    kept, most, error_of_most = _most(counts, error)
    found = taken(values, kept)
    lengths = np.diff(offsets_of(found))
    if lengths.max(initial=0) <= _LONGEST_BYTES:
        return Frequencies(found, most, error_of_most)
    is_short = pc.less_equal(pc.binary_length(values), _LONGEST_BYTES)
    is_long = ~numbers_of(is_short)
    unknown = error + int(counts[is_long].max())
    return of_texts(values.filter(is_short), counts[~is_long], unknown)


def _summed(places: NDArray[np.int64], counts: Counts) -> Counts:
    return np.bincount(places, counts, int(places.max()) + 1).astype(np.int64)


def _most(counts: Counts, error: int) -> tuple[NDArray[np.int64], Counts, int]:
    """Choose the most frequent: subtract the largest count that finds no place from all."""
    if len(counts) > CAPACITY:
        left_out = int(np.partition(counts, -CAPACITY - 1)[-CAPACITY - 1])
        counts = counts - left_out
        error += left_out
    order = np.argsort(-counts, kind="stable")[: int(np.count_nonzero(counts > 0))]
    return order, counts[order], error
