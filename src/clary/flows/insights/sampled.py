"""One pass over a table: what is counted of all rows, and the rows that models are tried on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from clary.analysis.profiling import of_batches
from clary.analysis.tables import name
from clary.kernel.errors import InvalidInput, LimitExceeded

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from duckdb import DuckDBPyRelation
    from numpy.typing import NDArray

    from clary.analysis.profiles import Profile

SAMPLE_ROWS = 20_000
MOST_COLUMNS = 1_000
_BATCH_ROWS = 1 << 16
_FREQUENT = 1_000
_LARGEST = 1e18
"""Numbers beyond count as this: trees square 32-bit floats."""


@dataclass(frozen=True)
class Sampled:
    """A table that was looked at.

    Parameters
    ----------
    profile
        Of all rows.
    sample
        At most 20,000 of them, each as likely as any other, in their order.
    duplicates
        How many rows are the same as one before them.
    """

    profile: Profile
    sample: pa.Table
    duplicates: int

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return self.profile.rows

    def type(self, column: str) -> pa.DataType:
        """Give the type of a column. Raises InvalidInput."""
        if column not in self.sample.column_names:
            known = ", ".join(self.sample.column_names[:30])
            raise InvalidInput("column", f"there is no column {column!r}", legal=known)
        return self.sample.schema.field(column).type

    def numbers(self, column: str) -> NDArray[np.float64]:
        """Give a column of the sample as numbers; NaN is missing.

        Times become seconds, texts how frequent they are (0 for the most frequent), truths 0 and 1.
        """
        kind, values = self.type(column), self.sample.column(column)
        if pa.types.is_temporal(kind):
            values = pc.cast(pc.cast(values, pa.timestamp("us")), pa.int64())
            return _floats(values) / 1e6
        if is_number(kind) or pa.types.is_boolean(kind):
            near = pc.cast(values, pa.float64(), safe=False)  # whole numbers over 2**53 are rounded
            return np.clip(_floats(near), -_LARGEST, _LARGEST)
        return _ranks(texts(values))


def look(relation: DuckDBPyRelation, *, rows: int = SAMPLE_ROWS, seed: int = 0) -> Sampled:
    """Look at a table once.

    Raises
    ------
    InvalidInput
        It has no columns, or no rows.
    LimitExceeded
        It has more than 1,000 columns.
    """
    if len(relation.columns) > MOST_COLUMNS:
        problem = f"the table has {len(relation.columns)} columns; {MOST_COLUMNS} are looked at"
        raise LimitExceeded(problem)
    reader = relation.to_arrow_reader(_BATCH_ROWS)
    drawn = _Drawn(rows, np.random.default_rng(seed))
    profile = of_batches(reader.schema.names, drawn.passing(reader))
    if not profile.rows:
        raise InvalidInput("table", "has no rows")
    return Sampled(profile, drawn.table(reader.schema), _duplicates(relation))


def is_number(kind: pa.DataType) -> bool:
    """Tell whether a type is one of numbers."""
    return bool(
        pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    )


def texts(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Give values as texts; lists and structs as they are printed."""
    if pa.types.is_dictionary(values.type):
        values = pc.cast(values, values.type.value_type)
    try:
        return pc.cast(values, pa.string())
    except pa.ArrowNotImplementedError:
        shown = [None if one is None else str(one) for one in values.to_pylist()]
        return pa.chunked_array([pa.array(shown, pa.string())])


@dataclass
class _Drawn:
    """A sample without replacement: the rows of the smallest random numbers."""

    count: int
    random: np.random.Generator
    keys: list[NDArray[np.float64]] = field(default_factory=list)
    kept: list[pa.RecordBatch] = field(default_factory=list)
    bound: float = 1.0

    def passing(self, batches: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            keys = self.random.random(batch.num_rows)
            chosen = np.flatnonzero(keys <= self.bound)
            self.keys.append(keys[chosen])
            self.kept.append(batch.take(pa.array(chosen)))
            if sum(map(len, self.keys)) > 4 * self.count:
                self._thin()
            yield batch

    def _thin(self) -> None:
        keys = np.concatenate(self.keys)
        self.bound = float(np.partition(keys, self.count - 1)[self.count - 1])
        rows = pa.Table.from_batches(self.kept).filter(pa.array(keys <= self.bound))
        self.keys, self.kept = [keys[keys <= self.bound]], rows.combine_chunks().to_batches()

    def table(self, schema: pa.Schema) -> pa.Table:
        if sum(map(len, self.keys)) > self.count:
            self._thin()
        return pa.Table.from_batches(self.kept, schema).combine_chunks()


def _duplicates(relation: DuckDBPyRelation) -> int:
    """Count rows that were there before; two rows are the same when 64 bits of hash are."""
    columns = ", ".join(map(name, relation.columns))
    sql = f"SELECT count(*) - count(DISTINCT hash({columns})) FROM counted"  # noqa: S608 quoted names
    found = relation.query("counted", sql)
    if found is None:
        raise TypeError("a SELECT gives rows")
    return int(found.fetchall()[0][0])


def _floats(values: pa.ChunkedArray) -> NDArray[np.float64]:
    found: NDArray[np.float64] = values.to_numpy(zero_copy_only=False).astype(np.float64)
    return found


def _ranks(values: pa.ChunkedArray) -> NDArray[np.float64]:
    counted: Mapping[str, int] = {
        str(one["values"]): int(one["counts"])
        for one in pc.value_counts(values.drop_null()).to_pylist()
    }
    order = sorted(counted, key=lambda one: (-counted[one], one))[:_FREQUENT]
    places = pc.index_in(values, value_set=pa.array(order, pa.string()))
    found = _floats(pc.cast(pc.fill_null(places, len(order)), pa.float64()))
    found[_floats(pc.cast(pc.is_null(values), pa.float64())) > 0] = np.nan
    return found
