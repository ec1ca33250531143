"""SQL over feature groups: which tables there are, and who answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from clary.kernel.errors import InvalidInput, LimitExceeded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from clary.features.model import Schema
    from clary.features.ports import OfflineStore
    from clary.features.records import Group
    from clary.features.service import Features
    from clary.kernel.names import Ref

LATEST, HISTORY = "main", "history"
"""Where ``Queries.run`` has the latest record of each entity, and where all records."""
DATABASE = "sagemaker_featurestore"
"""Where the public API has the records of groups."""
Dialect = Literal["duckdb", "athena"]
Name = tuple[str, str]
"""A database and a table in it; both in lower case."""
_LONGEST_TEXT = 262_144
TIMEOUT_S = 600.0


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of a group as a table.

    Behind its features stand ``write_time``, ``api_invocation_time`` and ``is_deleted``.

    Parameters
    ----------
    name
        What the text calls it.
    schema, files
        Its features, and where its rows are.
    is_latest
        Only the latest row of each entity, unless it is deleted or older than ``ttl_us``.
    until_us
        Of the latest rows, those of this time; None: of now.
    known_us
        Only rows that were written until then; None: all.
    group, version
        Whose rows they are, and at which version of its table.
    """

    name: Name
    schema: Schema
    files: Sequence[str]
    is_latest: bool = False
    ttl_us: int | None = None
    until_us: int | None = None
    known_us: int | None = None
    group: Ref | None = None
    version: int = 0


@dataclass(frozen=True, slots=True)
class CsvTable:
    """CSV files as a table.

    Parameters
    ----------
    name
        What the text calls it.
    columns
        Names and types, in the engine's words.
    marks
        The characters that separate, quote and escape.
    files
        Their contents, in chunks.
    """

    name: Name
    columns: Sequence[tuple[str, str]]
    marks: tuple[str, str, str]
    files: Iterable[Iterable[bytes]]


@dataclass(frozen=True, slots=True)
class Select:
    """A statement that reads, in the engine's words, and the tables it names."""

    text: str
    tables: Sequence[Name]


@dataclass(frozen=True, slots=True)
class CreateTable:
    """A statement that makes a table of the CSV files below an ``s3://`` location."""

    name: Name
    columns: Sequence[tuple[str, str]]
    location: str
    marks: tuple[str, str, str] = (",", '"', "\\")
    or_not: bool = False


@dataclass(frozen=True, slots=True)
class DropTable:
    """A statement that removes such a table, not its files."""

    name: Name
    if_exists: bool = False


Statement = Select | CreateTable | DropTable


@dataclass(frozen=True, slots=True)
class Limits:
    """When an answer is given up: after so long, or when ``is_stopped`` says so."""

    timeout_s: float = TIMEOUT_S
    is_stopped: Callable[[], bool] = lambda: False


@dataclass(frozen=True, slots=True)
class Csv:
    """An answer as CSV: names and public types of its columns, and the file in chunks."""

    columns: Sequence[tuple[str, str]]
    chunks: Iterator[bytes]


class SqlEngine(Protocol):
    """Reads and runs statements. It sees the tables it is given and nothing else of the machine."""

    def read(self, text: str, dialect: Dialect, database: str) -> Statement:
        """Read one statement; unqualified tables are of ``database``.

        Raises
        ------
        InvalidInput
            It cannot be read, or is more than one.
        NotSupported
            It is neither a query nor made or removes a table.
        """

    def table(self, select: Select, tables: Sequence[Table], limits: Limits) -> Any:
        """Answer with an Arrow table.

        Raises
        ------
        InvalidInput
            The engine refuses it; says why.
        LimitExceeded
            It takes too long, needs too much memory, or its answer is over 1 GiB.
        """

    def csv(
        self, select: Select, tables: Sequence[Table | CsvTable], limits: Limits
    ) -> AbstractContextManager[Csv]:
        """Answer with CSV, as far as its chunks are taken. Raises as ``table`` does."""

    def rows(
        self, chunks: Iterable[bytes], start: int, count: int
    ) -> Sequence[Sequence[str | None]]:
        """Read rows of such a CSV, its header not counted."""


class Queries:
    """SQL over the groups of an account and region, for who is at the machine.

    Parameters
    ----------
    features, offline
        The groups and their rows.
    engine
        What answers.
    """

    def __init__(self, features: Features, offline: OfflineStore, engine: SqlEngine) -> None:
        self._features = features
        self._offline = offline
        self.engine = engine

    def run(self, text: str, *, account: str, region: str, timeout_s: float = TIMEOUT_S) -> Any:
        """Answer a query in DuckDB's SQL with an Arrow table.

        A group's name is a table of the latest record of every entity; ``history.<group>`` has
        all records. Both have the columns ``write_time``, ``api_invocation_time`` and
        ``is_deleted`` beside the features. What was acknowledged before is there.

        Raises
        ------
        InvalidInput
            It is no query, names what is not there, or is over 262,144 characters.
        LimitExceeded
            It takes longer than ``timeout_s``, or more memory than there is for it.
        """
        if len(text) > _LONGEST_TEXT:
            raise LimitExceeded(f"the query has {len(text)} characters; legal: {_LONGEST_TEXT}")
        select = self.engine.read(text, "duckdb", LATEST)
        if not isinstance(select, Select):
            raise InvalidInput("sql", "is no query", legal="SELECT …")
        groups = [one for one in self._features.groups(account, region) if one.is_offline]
        known = {one.ref.name.lower(): one for one in groups}
        tables = [
            self.rows_of(known[name], (database, name), is_latest=database == LATEST)
            for database, name in select.tables
            if name in known and database in (LATEST, HISTORY)
        ]
        return self.engine.table(select, tables, Limits(timeout_s))

    def catalogued(self, account: str, region: str, names: Sequence[Name]) -> Sequence[Table]:
        """Give those of the tables named that are the public tables of groups."""
        wanted = {name for database, name in names if database == DATABASE}
        return [
            self.rows_of(group, (DATABASE, group.catalog_table.lower()))
            for group in (self._features.groups(account, region) if wanted else ())
            if group.is_offline and group.catalog_table.lower() in wanted
        ]

    def rows_of(self, group: Group, name: Name, *, is_latest: bool = False) -> Table:
        """Give the rows of a group as they are now."""
        version = self._offline.flush(group.offline_table)
        files = self._offline.files(group.offline_table, version)
        return Table(
            name,
            group.schema,
            files,
            is_latest=is_latest,
            ttl_us=group.ttl_us,
            group=group.ref,
            version=version,
        )
