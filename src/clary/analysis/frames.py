"""Frames of other libraries as Arrow tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from clary.analysis.profiles import Profile

from clary.analysis.profiling import of_batches

_BATCH_ROWS = 1 << 16


def arrow(frame: Any) -> pa.Table:
    """Take an Arrow table, a pandas or Polars frame, or what else exports Arrow.

    Raises
    ------
    InvalidInput
        It is none of them, or a column cannot be Arrow.
    """
    try:
        if isinstance(frame, pa.Table):
            return frame
        if hasattr(frame, "iloc"):
            return pa.Table.from_pandas(frame, preserve_index=False)
        if hasattr(frame, "__arrow_c_stream__"):
            return pa.table(frame)
    except (TypeError, ValueError) as error:  # Arrow's errors are both
        raise InvalidInput("data", str(error)) from error
    legal = "a path, an Arrow table, a pandas or a Polars data frame"
    raise InvalidInput("data", f"is a {type(frame).__name__}", legal=legal)


def profile(frame: Any) -> Profile:
    """Profile a frame; see ``arrow``. Raises InvalidInput."""
    table = arrow(frame)
    names = list(map(str, table.column_names))
    if len(set(names)) != len(names):
        raise InvalidInput("data", "has two columns of one name")
    return of_batches(names, table.combine_chunks().to_batches(max_chunksize=_BATCH_ROWS))
