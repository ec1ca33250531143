"""Profiles of frames of other libraries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from clary.analysis.arrow_tables import arrow
from clary.analysis.profiling import of_batches
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from clary.analysis.profiles import Profile

_BATCH_ROWS = 1 << 16


def profile(frame: Any) -> Profile:
    """Profile a frame; see ``arrow``. Raises InvalidInput."""
    table = arrow(frame)
    names = list(map(str, table.column_names))
    if len(set(names)) != len(names):
        raise InvalidInput("data", "has two columns of one name")
    return of_batches(names, table.combine_chunks().to_batches(max_chunksize=_BATCH_ROWS))
