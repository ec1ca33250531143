"""From a table to its profile: batch by batch, a column at a time on two threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from clary.analysis import distinct, frequencies, moments
from clary.analysis.cells import Cells, Texts, cells
from clary.analysis.correlations import RowSample
from clary.analysis.distinct import Distinct
from clary.analysis.frequencies import Frequencies
from clary.analysis.kll import Kll, Mode
from clary.analysis.moments import Moments
from clary.analysis.profiles import ColumnProfile, Profile, TypeCounts

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pyarrow as pa
    from numpy.typing import NDArray

    from clary.analysis.tables import Table

_THREADS = 2


def profile(table: Table, *, mode: Mode = "fast") -> Profile:
    """Profile a table in one pass.

    Parameters
    ----------
    table
        From ``tables.open_table``.
    mode
        ``fast``, or ``deequ`` for sketches equal to Deequ's over the same rows in order.

    Raises
    ------
    InvalidInput
        A file of the table cannot be read; names it and the place.
    """
    return of_batches(table.columns, table.batches(), mode=mode)


def of_batches(
    names: Iterable[str], batches: Iterable[pa.RecordBatch], *, mode: Mode = "fast"
) -> Profile:
    """Profile Arrow batches whose columns are named ``names``, in order."""
    columns = [_Column(name, Kll(mode=mode)) for name in names]
    rows, sample = 0, RowSample([column.name for column in columns])
    with ThreadPoolExecutor(_THREADS, "profile") as threads:
        before: Iterable[None] = ()
        for batch in batches:
            rows += batch.num_rows
            list(before)  # it is worked on while this one is read
            before = threads.map(_Column.add, columns, batch.columns)
            sample.add(batch)
        list(before)
    profiled = tuple(column.profile() for column in columns)
    return Profile(rows, profiled, sample.correlations())


@dataclass
class _Column:
    """A column while its batches come in."""

    name: str
    sketch: Kll
    missing: int = 0
    types: TypeCounts = field(default_factory=TypeCounts)
    numbers: Moments = field(default_factory=Moments)
    distinct: Distinct = field(default_factory=Distinct)
    frequencies: Frequencies = field(default_factory=Frequencies)

    def profile(self) -> ColumnProfile:
        return ColumnProfile(
            self.name,
            self.missing,
            self.types,
            self.numbers,
            self.sketch,
            self.distinct,
            self.frequencies,
        )

    def add(self, array: pa.Array) -> None:
        found = cells(array)
        self.missing += found.missing
        self.types = self.types.merge(found.types)
        self._measure(found.numbers)
        if found.texts is None:
            self._count_numbers(found)
        else:
            self._count_texts(found.texts)

    def _measure(self, numbers: NDArray[np.float64]) -> None:
        if len(numbers):
            self.numbers = self.numbers.merge(moments.of(numbers))
            self.sketch = self.sketch.add(numbers[np.isfinite(numbers)])

    def _count_numbers(self, found: Cells) -> None:
        if not len(found.numbers):
            return
        values, counts = _runs(found.numbers)
        hashed = values if found.integers is None else np.unique(found.integers)
        self.distinct = self.distinct.add(distinct.of_numbers(hashed))
        self.frequencies = self.frequencies.merge([frequencies.of_numbers(values, counts)])

    def _count_texts(self, texts: Texts) -> None:
        self.distinct = self.distinct.add(distinct.of_texts(texts.words))
        counted = frequencies.of_texts(texts.words, texts.counts)
        self.frequencies = self.frequencies.merge([counted])


def _runs(numbers: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Give the different numbers, ascending, and how often each occurs."""
    ordered = np.sort(numbers + 0.0)
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    return ordered[starts], np.diff(np.append(starts, len(ordered)))
