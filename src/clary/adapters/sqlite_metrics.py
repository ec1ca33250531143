"""Metrics in a SQLite file of their own, so that neither they nor the metadata wait for the other.

A commit survives the process that made it; the last ones before a power failure may be lost.
"""

from __future__ import annotations

import math
import sqlite3
import threading
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from clary.adapters.sql_schema import micros, moment
from clary.experiments.ports import Point, Summary
from clary.kernel.codec import to_json
from clary.kernel.errors import LimitExceeded, NotSupported, Unavailable

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from pathlib import Path

MOST_SERIES = 2_000
"""So many metrics an owner may have."""
_VERSION = 1
_PATIENCE_S = 30.0
_OWNERS_A_QUERY = 500
_TABLES = """
CREATE TABLE series (
    id INTEGER PRIMARY KEY, owner TEXT NOT NULL, name TEXT NOT NULL, count INTEGER NOT NULL,
    minimum REAL, maximum REAL, mean REAL, squares REAL,
    last REAL, last_at INTEGER NOT NULL, last_step INTEGER, UNIQUE (owner, name)
);
CREATE TABLE point (
    series INTEGER NOT NULL, number INTEGER NOT NULL,
    at INTEGER NOT NULL, step INTEGER, value REAL, PRIMARY KEY (series, number)
) WITHOUT ROWID;
"""
_START = """
INSERT INTO series (owner, name, count, mean, squares, last_at)
VALUES (?, ?, 0, 0, 0, -4611686018427387904) ON CONFLICT DO NOTHING
"""
_STATES = """
SELECT id, name, count, minimum, maximum, mean, squares, last, last_at, last_step, owner
FROM series WHERE owner IN (SELECT value FROM json_each(?)) ORDER BY owner, name
"""
_UPDATE = """
UPDATE series SET count = ?, minimum = ?, maximum = ?, mean = ?, squares = ?,
    last = ?, last_at = ?, last_step = ? WHERE id = ?
"""
_DROP_POINTS = """
DELETE FROM point WHERE series IN
    (SELECT id FROM series WHERE owner = :owner AND name = coalesce(:name, name))
"""
_DROP = "DELETE FROM series WHERE owner = :owner AND name = coalesce(:name, name)"
_POINTS = """
SELECT point.value, point.at, point.step FROM point JOIN series ON series.id = point.series
WHERE owner = ? AND name = ? AND {key} BETWEEN ? AND ? ORDER BY {key}, number
"""
_READ = {
    "arrival": _POINTS.format(key="number"),
    "time": _POINTS.format(key="at"),
    "step": _POINTS.format(key="step"),
}


@dataclass(slots=True)
class _Tally:
    """A series' summary as it grows, by Welford's method; what is no number is None in a row."""

    id: int
    name: str
    count: int = 0
    minimum: float | None = None
    maximum: float | None = None
    mean: float | None = 0.0
    squares: float | None = 0.0
    last: float | None = None
    last_at: int = -(2**62)
    last_step: int | None = None

    def add(self, point: Point) -> None:
        value = point.value
        self.count += 1
        if not math.isnan(value):
            self.minimum = value if self.minimum is None else min(self.minimum, value)
            self.maximum = value if self.maximum is None else max(self.maximum, value)
        mean = math.nan if self.mean is None else self.mean
        squares = math.nan if self.squares is None else self.squares
        self.mean = mean + (value - mean) / self.count
        self.squares = squares + (value - mean) * (value - self.mean)
        at = micros(point.at)
        if (at, _rank(point.step)) >= (self.last_at, _rank(self.last_step)):
            self.last, self.last_at, self.last_step = value, at, point.step

    def values(self) -> tuple[Any, ...]:
        return (
            *(self.count, self.minimum, self.maximum, self.mean, self.squares),
            *(self.last, self.last_at, self.last_step, self.id),
        )

    def summary(self) -> Summary:
        variance = _number(self.squares) / self.count
        return Summary(
            name=self.name,
            count=self.count,
            minimum=_number(self.minimum),
            maximum=_number(self.maximum),
            mean=_number(self.mean),
            deviation=math.nan if math.isnan(variance) else math.sqrt(variance),
            last=_number(self.last),
            last_at=moment(self.last_at),
            last_step=self.last_step,
        )


def _rank(step: int | None) -> int:
    return -1 if step is None else step


def _number(stored: float | None) -> float:
    """SQLite keeps NaN as NULL."""
    return math.nan if stored is None else stored


class SqliteMetrics:
    """Implements ``MetricStore`` on the SQLite file at ``path``, made when it is missing.

    Raises
    ------
    NotSupported
        A newer clary has written it.
    Unavailable
        It cannot be opened or written now.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        with _unavailable():
            path.touch(mode=0o600)
            self._writer = self._connect()
            self._writer.execute("PRAGMA journal_mode = WAL")
        with self._writing() as connection:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version > _VERSION:
                raise NotSupported(
                    f"the metrics were written by a newer clary (schema {version})",
                    hint="install that version, or use another home directory",
                )
            if version == 0:
                for statement in _TABLES.split(";"):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {_VERSION}")

    def close(self) -> None:
        """Give back the connection; the store is of no use afterwards."""
        with self._lock:
            self._writer.close()

    def append(self, owner: str, points: Sequence[Point]) -> None:
        """Add points to their series, in this order."""
        if points:
            with self._writing() as connection:
                _add(connection, owner, points)

    def replace(self, owner: str, points: Sequence[Point]) -> None:
        """Make these the only points of the series they name; others stay."""
        with self._writing() as connection:
            for name in {point.name for point in points}:
                _drop(connection, owner, name)
            _add(connection, owner, points)

    def summaries(self, owners: Collection[str]) -> Mapping[str, Sequence[Summary]]:
        """Summarize every series of some owners, by name."""
        found: dict[str, list[Summary]] = {}
        every = sorted(owners)
        with _unavailable(), closing(self._connect()) as connection:
            for start in range(0, len(every), _OWNERS_A_QUERY):
                asked = to_json(every[start : start + _OWNERS_A_QUERY]).decode()
                for *state, owner in connection.execute(_STATES, (asked,)):
                    found.setdefault(owner, []).append(_Tally(*state).summary())
        return found

    def points(
        self,
        owner: str,
        name: str,
        *,
        order: Literal["arrival", "time", "step"] = "arrival",
        start: int | None = None,
        end: int | None = None,
    ) -> Iterator[Point]:
        """Yield the points of a series, none when there is no such series."""
        least = -(2**63) if start is None else max(start, -(2**63))
        most = 2**63 - 1 if end is None else min(end, 2**63 - 1)
        with _unavailable(), closing(self._connect()) as connection:
            rows = connection.execute(_READ[order], (owner, name, least, most))
            for value, at, step in rows:
                yield Point(name, _number(value), moment(at), step)

    def forget(self, owner: str) -> None:
        """Remove every series of an owner."""
        with self._writing() as connection:
            _drop(connection, owner)

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path, timeout=_PATIENCE_S, isolation_level=None, check_same_thread=False
        )
        connection.execute("PRAGMA synchronous = NORMAL")
        return connection

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._lock, _unavailable():
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
            except BaseException:
                self._writer.execute("ROLLBACK")
                raise
            self._writer.execute("COMMIT")


def _add(connection: sqlite3.Connection, owner: str, points: Sequence[Point]) -> None:
    names = sorted({point.name for point in points})
    states: list[Any] = []
    if len(names) <= MOST_SERIES:
        connection.executemany(_START, [(owner, name) for name in names])
        states = connection.execute(_STATES, (to_json([owner]).decode(),)).fetchall()
    if not len(names) <= len(states) <= MOST_SERIES:
        raise LimitExceeded(f"one run may have {MOST_SERIES} metrics, not more")
    tallies = {name: _Tally(number, name, *rest) for number, name, *rest, _ in states}
    rows = []
    for point in points:
        tally = tallies[point.name]
        rows.append((tally.id, tally.count, micros(point.at), point.step, point.value))
        tally.add(point)
    connection.executemany("INSERT INTO point VALUES (?, ?, ?, ?, ?)", rows)
    connection.executemany(_UPDATE, [tallies[name].values() for name in names])


def _drop(connection: sqlite3.Connection, owner: str, name: str | None = None) -> None:
    for statement in (_DROP_POINTS, _DROP):
        connection.execute(statement, {"owner": owner, "name": name})


@contextmanager
def _unavailable() -> Iterator[None]:
    try:
        yield
    except (sqlite3.OperationalError, OSError) as error:
        raise Unavailable(f"the metrics cannot be read or written: {error}") from error
