"""Views over many rows at once: the questions, and who answers them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from clary.features.model import Schema
    from clary.features.windows import Aggregate, Moment


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
class Column:
    """Where a column that expressions read comes from.

    Parameters
    ----------
    name
        What it is called in the table.
    type
        Its type, in DuckDB's words.
    """

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class Asked:
    """At which times aggregates of which entities are asked for.

    Parameters
    ----------
    key, time
        The columns of the labels that hold the identifier and the time.
    known_at_us
        Only rows that were written until then count; None: all.
    known_at
        The column that says so for each label instead.
    """

    key: str
    time: str
    known_at_us: int | None = None
    known_at: str = ""


class Span(NamedTuple):
    """``(after_us, until_us]``: microseconds since 1970."""

    after_us: int
    until_us: int


class Change(NamedTuple):
    """A row that was appended: its number, its entity, and what it says."""

    row: int
    key: str
    moment: Moment


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


class ViewEngine(Protocol):
    """The engine that computes views over many rows; tables are Arrow's."""

    def asked(self, identifier: str, keys: Sequence[str], at_us: int) -> Any:
        """Make the labels of entities at one time: columns ``identifier`` and ``EVENT_TIME``."""

    def aggregate(self, labels: Any, asked: Asked, stream: Stream) -> Any:
        """Append the aggregates of a stream to labels, as ``windows`` defines them.

        Raises
        ------
        InvalidInput
            A column is missing, or holds what is no key or no time.
        LimitExceeded
            The engine's memory does not do, even with its scratch files.
        """

    def compute(self, table: Any, columns: Mapping[str, Column], made: Mapping[str, str]) -> Any:
        """Compute expressions over columns.

        Parameters
        ----------
        columns
            What expressions read, by name; a column that is not in the table is missing.
        made
            Expressions in DuckDB's words, by the name of the result.

        Returns
        -------
        pyarrow.Table
            The results, in the order of the table's rows.

        Raises
        ------
        InvalidInput
            An expression fails on a row, as by an overflow, or a column holds what is not its type.
        """

    def rows(self, table: Any) -> list[dict[str, Any]]:
        """Read a table into rows, by column."""

    def beside(self, left: Any, names: Sequence[str], right: Any) -> Any:
        """Put some columns of a table and all of another of as many rows side by side."""

    def keys(
        self, schema: Schema, files: Sequence[str], events: Span, writes: Span | None = None
    ) -> Sequence[str]:
        """List the entities with rows of event times, or times of writes, in a span, sorted."""

    def changes(self, stream: Stream, after_row: int, limit: int) -> Sequence[Change]:
        """Read the first rows behind a number, in their order, with their inputs."""
