"""Aggregates of many entities at many times at once, from the rows of a group."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clary.features.model import Schema
    from clary.features.windows import Aggregate


@dataclass(frozen=True, slots=True)
class Input:
    """What aggregates read of a row.

    Parameters
    ----------
    sql
        An expression over the group's features, in DuckDB's words.
    type
        Its type, in DuckDB's words.
    """

    sql: str
    type: str


@dataclass(frozen=True, slots=True)
class Stream:
    """The rows of a group at one version, and what is computed of them.

    Parameters
    ----------
    schema
        The group's features.
    files
        See ``OfflineStore.files``.
    inputs
        What a moment holds, in order.
    aggregates
        What is computed.
    """

    schema: Schema
    files: Sequence[str]
    inputs: Sequence[Input]
    aggregates: Sequence[Aggregate]


class Windows(Protocol):
    """The engine that reads many rows; tables are Arrow's."""

    def aggregate(self, asked: Any, stream: Stream, *, known_at_us: int | None = None) -> Any:
        """Compute the aggregates of a stream, as ``windows`` defines them.

        Parameters
        ----------
        asked
            A table of ``key`` (text) and ``at_us`` (int64), neither missing.
        known_at_us
            Only rows that were written until then count; None: all.

        Returns
        -------
        pyarrow.Table
            A row for each asked, in their order; a column for each aggregate, by its name.

        Raises
        ------
        LimitExceeded
            The engine's memory does not do, even with its scratch files.
        """

    def keys(
        self, schema: Schema, files: Sequence[str], after_us: int, until_us: int
    ) -> Sequence[str]:
        """List the entities with rows of event times in ``(after_us, until_us]``, sorted."""
