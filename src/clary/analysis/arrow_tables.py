"""Arrow tables of frames of other libraries."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from clary.kernel.errors import InvalidInput


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
        if hasattr(frame, "iloc") and hasattr(frame, "columns"):
            return pa.Table.from_pandas(frame, preserve_index=False)
        if hasattr(frame, "__arrow_c_stream__") and hasattr(frame, "columns"):
            return pa.table(frame)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise InvalidInput("data", ": ".join(map(str, error.args))) from error
    legal = "a path, an Arrow table, a pandas or a Polars data frame"
    raise InvalidInput("data", f"is a {type(frame).__name__}", legal=legal)
