"""Series of metrics in a SQLite file of their own (decision 22).

A commit survives the process that made it; the last ones before a power failure may be lost.
"""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec

from clary.kernel.clock import now
from clary.kernel.codec import to_json
from clary.kernel.errors import LimitExceeded, NotSupported, Unavailable
from clary.metrics.model import KEPT_S, Metric, Slot, Tally

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from clary.metrics.ports import Selection

MOST_METRICS = 100_000
"""So many metrics a home may have."""
_VERSION = 1
_PRUNE_FIRST_S, _PRUNE_EVERY_S = 300, 3600
_PATIENCE_S = 30.0
_TABLES = """
CREATE TABLE series (
    id INTEGER PRIMARY KEY, account TEXT NOT NULL, region TEXT NOT NULL, namespace TEXT NOT NULL,
    name TEXT NOT NULL, dimensions TEXT NOT NULL, unit TEXT NOT NULL, last_at INTEGER NOT NULL,
    UNIQUE (account, region, namespace, name, dimensions, unit)
);
CREATE TABLE slot (
    series INTEGER NOT NULL, length_s INTEGER NOT NULL, at INTEGER NOT NULL,
    count REAL NOT NULL, total REAL NOT NULL, minimum REAL NOT NULL, maximum REAL NOT NULL,
    buckets BLOB NOT NULL, PRIMARY KEY (series, length_s, at)
) WITHOUT ROWID;
"""
_NAME = """
INSERT INTO series (account, region, namespace, name, dimensions, unit, last_at)
VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET last_at = max(last_at, excluded.last_at) RETURNING id
"""
_ADD = """
INSERT INTO slot VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
    count = count + excluded.count, total = total + excluded.total,
    minimum = min(minimum, excluded.minimum), maximum = max(maximum, excluded.maximum),
    buckets = merged(buckets, excluded.buckets)
"""
_READ = """
SELECT unit, at, count, total, minimum, maximum, buckets
FROM series JOIN slot ON slot.series = series.id
WHERE account = ? AND region = ? AND namespace = ? AND name = ? AND dimensions = ?
    AND ? IN ('', unit) AND length_s = ? AND at >= ? AND at < ? ORDER BY at, unit
"""
_LIST = """
SELECT account, region, namespace, name, dimensions, unit FROM series
WHERE account = :account AND region = :region AND last_at >= :since
    AND namespace = coalesce(:namespace, namespace) AND name = coalesce(:name, name)
    AND (namespace, name, dimensions, unit)
        > (:after_namespace, :after_name, :after_dimensions, :after_unit)
    AND NOT EXISTS (
        SELECT 1 FROM json_each(:dimensions) AS wanted WHERE NOT EXISTS (
            SELECT 1 FROM json_each(series.dimensions) AS held
            WHERE held.value ->> 0 = wanted.key
                AND (wanted.type = 'null' OR held.value ->> 1 = wanted.value)))
ORDER BY namespace, name, dimensions, unit LIMIT :limit
"""
_PRUNE = """
DELETE FROM slot WHERE series IN (SELECT id FROM series) AND length_s = ? AND at < ?
"""
_PRUNE_SERIES = """
DELETE FROM series WHERE last_at < ? AND NOT EXISTS (SELECT 1 FROM slot WHERE series = id)
"""


class SqliteSeries:
    """Implements ``SeriesStore`` on the SQLite file at ``path``, made when it is missing.

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
        self._prune_at = now().timestamp() + _PRUNE_FIRST_S
        with _unavailable():
            path.touch(mode=0o600)
            self._writer = self._connect()
            self._writer.create_function("merged", 2, _merged, deterministic=True)
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

    def add(self, slots: Sequence[Slot]) -> None:
        """Add to what is there, at every length that is still kept. Raises LimitExceeded."""
        at = now().timestamp()
        ids: dict[Metric, int] = {}
        with self._writing() as connection:
            for slot in sorted(slots, key=lambda one: -one.at):
                if slot.metric not in ids:
                    row = (*_key(slot.metric), slot.metric.unit, slot.at)
                    ((ids[slot.metric],),) = connection.execute(_NAME, row).fetchall()
                tally = slot.tally
                known = (tally.count, tally.total, tally.minimum, tally.maximum)
                buckets = msgspec.msgpack.encode(tally.buckets)
                for length_s, kept_s in KEPT_S.items():
                    begins = slot.at // length_s * length_s
                    if begins > at - kept_s:
                        key = (ids[slot.metric], length_s, begins)
                        connection.execute(_ADD, (*key, *known, buckets))
            if at >= self._prune_at:
                _prune(connection, at)
                self._prune_at = at + _PRUNE_EVERY_S
            (count,) = connection.execute("SELECT count(*) FROM series").fetchone()
            if count > MOST_METRICS:
                raise LimitExceeded(f"a home may have {MOST_METRICS} metrics, not more")

    def read(self, metric: Metric, *, length_s: int, start: int, end: int) -> Sequence[Slot]:
        """Return the slots of a length that begin in ``[start, end)``, by time and unit."""
        asked = (*_key(metric), metric.unit, length_s, start, end)
        with self._reading() as connection:
            return [
                Slot(replace(metric, unit=unit), at, Tally(count, total, low, high, _buckets(held)))
                for unit, at, count, total, low, high, held in connection.execute(_READ, asked)
            ]

    def list(self, selection: Selection) -> Sequence[Metric]:
        """List metrics that have slots, in order."""
        after = selection.after or Metric("", "", "", "", unit="")
        asked = {
            "account": selection.account,
            "region": selection.region,
            "namespace": selection.namespace,
            "name": selection.name,
            "dimensions": to_json(dict(selection.dimensions or {})).decode(),
            "since": selection.active_since,
            "after_namespace": after.namespace,
            "after_name": after.name,
            "after_dimensions": to_json(after.dimensions).decode(),
            "after_unit": after.unit,
            "limit": selection.limit,
        }
        with self._reading() as connection:
            rows = connection.execute(_LIST, asked)
            return [
                Metric(account, region, namespace, name, _dimensions(held), unit)
                for account, region, namespace, name, held, unit in rows
            ]

    def prune(self, at: int) -> None:
        """Remove the slots that are no longer kept at a moment, and metrics without any."""
        with self._writing() as connection:
            _prune(connection, at)

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path, timeout=_PATIENCE_S, isolation_level=None, check_same_thread=False
        )
        connection.execute("PRAGMA synchronous = NORMAL")
        return connection

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with _unavailable(), closing(self._connect()) as connection:
            yield connection

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


def _prune(connection: sqlite3.Connection, at: float) -> None:
    for length_s, kept_s in KEPT_S.items():
        connection.execute(_PRUNE, (length_s, at - kept_s))
    connection.execute(_PRUNE_SERIES, (at - min(KEPT_S.values()),))


def _key(metric: Metric) -> tuple[Any, ...]:
    dimensions = to_json(metric.dimensions).decode()
    return metric.account, metric.region, metric.namespace, metric.name, dimensions


def _dimensions(stored: str) -> tuple[tuple[str, str], ...]:
    return msgspec.json.decode(stored, type=tuple[tuple[str, str], ...])


def _merged(one: bytes, other: bytes) -> bytes:
    tally = Tally(buckets=_buckets(one))
    tally.merge(Tally(buckets=_buckets(other)))
    return msgspec.msgpack.encode(tally.buckets)


def _buckets(stored: bytes) -> dict[int, float]:
    return msgspec.msgpack.decode(stored, type=dict[int, float])


@contextmanager
def _unavailable() -> Iterator[None]:
    try:
        yield
    except (sqlite3.OperationalError, OSError) as error:
        raise Unavailable(f"the metrics cannot be read or written: {error}") from error
