"""What the feature store needs of its own: latest records by key, all records for ever, facts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from clary.features.fact_queries import Wanted
    from clary.features.facts import Fact
    from clary.features.model import Backlog, Record, Schema, Snapshot


class OnlineStore(Protocol):
    """The latest record of every entity, by table; a table is named by a text of at most 200 bytes.

    Of two records of a key, that with the later ``(event_us, write_us)`` stays, whatever the order
    they come in. A tombstone is a record.
    """

    def write(self, table: str, records: Sequence[Record], *, written_us: int | None = None) -> int:
        """Write records, durable when this returns; say how many are the latest of their keys.

        Parameters
        ----------
        written_us
            Write only where the record there is was written at this time.

        Raises
        ------
        LimitExceeded
            The store is full.
        Unavailable
            It does not answer.
        """

    def read(self, keys: Sequence[tuple[str, str]]) -> Sequence[Record | None]:
        """Read the records of ``(table, key)`` pairs, tombstones and expired ones included."""

    def list(self, table: str, *, after: str = "", limit: int = 100) -> Sequence[Record]:
        """List the records of a table in the store's own order, after that of a key."""

    def remove(self, table: str, keys: Sequence[str], *, written_us: int | None = None) -> None:
        """Forget keys, as if nothing had ever been written for them.

        Parameters
        ----------
        written_us
            Forget only records that were written at this time.
        """

    def sweep(self, table: str, before_us: int) -> int:
        """Forget the records that expired before a time; return how many there were."""

    def drop(self, table: str) -> None:
        """Forget a table."""

    def count(self, table: str) -> int:
        """Count the keys of a table, tombstones included."""

    def close(self) -> None:
        """Give back what it holds open; it may be used again."""


class QuickReads(Protocol):
    """Reads for an event loop, which must not wait."""

    def peek(
        self, keys: Sequence[tuple[str, str]], most_bytes: int
    ) -> Sequence[Record | None] | None:
        """Read as ``OnlineStore.read`` does, in microseconds.

        None where that cannot be: the store is elsewhere, not open yet, or the records have more
        bytes together.
        """


class OnlineRecords(OnlineStore, QuickReads, Protocol):
    """A store of latest records that may answer at once."""


class OfflineStore(Protocol):
    """All records that there ever were, by table: append-only rows with their times.

    Columns: the features, then ``event_us``, ``write_us`` (int64), ``is_deleted`` (bool), and
    ``row`` (int64, increasing in the order of appending).
    """

    def append(self, table: str, schema: Schema, records: Sequence[Record]) -> None:
        """Keep records, durable when this returns; they become part of the table by ``flush``."""

    def flush(self, table: str) -> int:
        """Commit what was appended as one version of the table; return the newest version.

        0 when nothing was ever appended: the version without rows.
        """

    def snapshot(self, table: str) -> Snapshot:
        """Give the newest version with what is not yet part of it, as of one moment."""

    def files(self, table: str, version: int | None = None) -> Sequence[str]:
        """Name the Parquet files of a version, the newest unless it is said; flushed rows only.

        Files of before a schema change lack the added features. Raises NotFound when there is no
        such version, or its files are gone.
        """

    def hold(self, table: str, name: str, version: int | None) -> None:
        """Keep the files of a version until the same name holds another, or (None) none.

        Without it, they stay for a time after they are no part of the newest version.
        """

    def compact(self, table: str, *, is_whole: bool = True, before_us: int | None = None) -> int:
        """Rewrite a table's files sorted by (entity, event, write); return the new version.

        Parameters
        ----------
        is_whole
            Rewrite all; else those that are small beside the others.
        before_us
            Leave out rows whose event time is earlier; older versions keep them.
        """

    def erase(self, table: str, keys: Sequence[str]) -> int:
        """Remove every row of entities, from old versions' files too; return the new version."""

    def drop(self, table: str) -> None:
        """Remove a table with all that is held of it."""


class OfflineBacklogs(Protocol):
    """What waits in an offline store."""

    def backlogs(self) -> Iterable[Backlog]:
        """Say of every table what waits to become part of it, and how many files it has."""


class FactStore(Protocol):
    """Facts by table, in the order in which they were written; see ``facts.Fact``."""

    def append(self, table: str, lines: Sequence[bytes]) -> None:
        """Keep encoded facts, all or none, durable when this returns. Raises OSError."""

    def find(self, table: str, wanted: Wanted) -> Iterator[Fact]:
        """Yield the facts of a table that are wanted."""

    def gather(self, table: str = "", *, is_whole: bool = False) -> int:
        """Make Parquet of the files of a table, or of all; return how many there were.

        Parameters
        ----------
        is_whole
            Of those too that are not full.
        """

    def tables(self, table: str) -> Sequence[str]:
        """Name the Parquet files of a table."""

    def forget(self, table: str, before_us: int) -> int:
        """Remove what was written before a time, in whole files; return how many facts."""

    def erase(self, table: str, is_gone: Callable[[Fact], bool]) -> int:
        """Remove the facts that a rule names; return how many there were."""

    def close(self) -> None:
        """Give back what it holds open; it may be used again."""
