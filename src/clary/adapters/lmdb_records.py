"""Online records in LMDB: one environment, where a key is a table, a zero byte, and an entity.

How many entities a table has stands beside them, at a zero byte and the table.
"""

from __future__ import annotations

import hashlib
import threading
from operator import itemgetter
from typing import TYPE_CHECKING, TypeVar

from clary.adapters.lmdb_environment import opened
from clary.adapters.stored_records import decode, encode, times
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from lmdb import Transaction

    from clary.adapters.lmdb_environment import Change, Environment
    from clary.features.model import Record

Row = TypeVar("Row")
LIMIT_BYTES = 1 << 40
_LONGEST_KEY = 511
"""Bytes; LMDB's own limit."""
_MOST_ROWS = 5_000
"""So many rows share a transaction at most: others want to write meanwhile."""


class LmdbRecords:
    """Implements ``OnlineStore`` on the LMDB environment at ``path``, opened when it is used.

    Threads and processes share it. A write is on the disk when it returns; writes of many threads
    at once share a commit.

    Parameters
    ----------
    path
        A folder on a local disk.
    limit_bytes
        What it may grow to.
    is_relaxed
        Whether a power failure may undo the last commit, which then takes half the time. What a
        killed process has written stays, and nothing is ever damaged.
    """

    def __init__(
        self, path: Path, *, limit_bytes: int = LIMIT_BYTES, is_relaxed: bool = False
    ) -> None:
        self._path = path
        self._is_relaxed = is_relaxed
        self._limit_bytes = limit_bytes
        self._lock = threading.Lock()
        self._opened: Environment | None = None

    def close(self) -> None:
        """Let go of the environment, which is closed when nobody in this process has it."""
        with self._lock:
            self._opened = None

    def write(self, table: str, records: Sequence[Record], *, written_us: int | None = None) -> int:
        """Write the records that are later than what there is, durable when this returns.

        With ``written_us`` only where that was written then. Says how many were written.
        """
        rows = [
            (_key(table, one.key), (one.event_us, one.write_us), encode(one)) for one in records
        ]
        rows.sort(key=itemgetter(0))  # neighbours share pages; those of one key keep their order
        return sum(
            self._environment().commit(_putting(table, chunk, written_us))
            for chunk in _chunks(rows)
        )

    def read(self, keys: Sequence[tuple[str, str]]) -> Sequence[Record | None]:
        """Read the records of ``(table, key)`` pairs, as they were at one moment."""
        environment = self._opened or self._environment()
        wanted = [_key(table, key) for table, key in keys]
        try:
            with environment.begin() as transaction:
                get = transaction.get
                found = [get(one) for one in wanted]
        except environment.errors as error:
            raise environment.failure(error) from error
        return [None if one is None else decode(one) for one in found]

    def peek(
        self, keys: Sequence[tuple[str, str]], most_bytes: int
    ) -> Sequence[Record | None] | None:
        """Read at once; None when it is not open yet, fails, or there are more bytes."""
        environment = self._opened
        if environment is None:
            return None
        found = []
        try:
            with environment.begin() as transaction:
                get = transaction.get
                for table, key in keys:
                    stored = get(_key(table, key))
                    found.append(stored)
                    most_bytes -= 0 if stored is None else len(stored)
                    if most_bytes < 0:
                        return None
        except environment.errors:
            return None  # whoever may wait reads it again, and says what is wrong
        return [None if one is None else decode(one) for one in found]

    def list(self, table: str, *, after: str = "", limit: int = 100) -> Sequence[Record]:
        """List the records of a table in the store's own order, after that of a key."""
        environment = self._environment()
        prefix = _key(table, "")
        start = _key(table, after)
        found: list[Record] = []
        with environment.failures(), environment.begin() as transaction:
            cursor = transaction.cursor()
            is_there = cursor.set_range(start)
            if after and is_there and cursor.key() == start:
                is_there = cursor.next()
            while is_there and len(found) < limit and cursor.key().startswith(prefix):
                found.append(decode(cursor.value()))
                is_there = cursor.next()
        return found

    def remove(self, table: str, keys: Sequence[str], *, written_us: int | None = None) -> None:
        """Forget keys, or only those whose record was written at a time."""

        def is_meant(stored: bytes) -> bool:
            return written_us is None or times(stored)[1] == written_us

        for chunk in _chunks(sorted(_key(table, key) for key in keys)):
            self._environment().commit(_removing(table, chunk, is_meant))

    def sweep(self, table: str, before_us: int) -> int:
        """Forget the records that expired before a time; return how many there were."""

        def is_over(stored: bytes) -> bool:
            expires_us = decode(stored).expires_us
            return expires_us is not None and expires_us < before_us

        return sum(
            self._environment().commit(_removing(table, keys, is_over))
            for keys in self._keys(table, is_over)
        )

    def drop(self, table: str) -> None:
        """Forget a table."""
        for keys in self._keys(table, lambda _: True):
            self._environment().commit(_removing(table, keys, lambda _: True))

    def count(self, table: str) -> int:
        """Count the keys of a table, tombstones included."""
        environment = self._environment()
        with environment.failures(), environment.begin() as transaction:
            return _count(transaction, table)

    def _environment(self) -> Environment:
        with self._lock:
            if self._opened is None:
                self._opened = opened(self._path, self._limit_bytes, is_relaxed=self._is_relaxed)
            return self._opened

    def _keys(self, table: str, is_wanted: Callable[[bytes], bool]) -> Iterator[Sequence[bytes]]:
        """Give the keys of a table whose values are wanted, in portions, each read for itself."""
        environment = self._environment()
        prefix = start = _key(table, "")
        while start.startswith(prefix):
            keys: list[bytes] = []
            with environment.failures(), environment.begin() as transaction:
                cursor = transaction.cursor()
                is_there = cursor.set_range(start)
                start = b""
                for _ in range(_MOST_ROWS):
                    if not is_there or not cursor.key().startswith(prefix):
                        break
                    if is_wanted(cursor.value()):
                        keys.append(cursor.key())
                    is_there = cursor.next()
                    start = cursor.key()
            if keys:
                yield keys


def _key(table: str, key: str) -> bytes:
    """Name what stands for an entity; a long name is shortened to what no text begins with."""
    try:
        whole = f"{table}\0{key}".encode()
    except UnicodeEncodeError:
        raise InvalidInput("key", f"{key!r} is not Unicode text") from None
    if len(whole) <= _LONGEST_KEY:
        return whole
    return f"{table}\0".encode() + b"\xff" + hashlib.sha256(key.encode()).digest()


def _chunks(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    for start in range(0, len(rows), _MOST_ROWS):
        yield rows[start : start + _MOST_ROWS]


def _putting(
    table: str, rows: Sequence[tuple[bytes, tuple[int, int], bytes]], written_us: int | None
) -> Change:
    def change(transaction: Transaction[bytes]) -> int:
        added = written = 0
        for key, at, value in rows:
            held = transaction.get(key)
            there = None if held is None else times(held)
            if there is not None and there > at:
                continue
            if written_us is not None and (there is None or there[1] != written_us):
                continue
            added += held is None
            transaction.put(key, value)
            written += 1
        _add(transaction, table, added)
        return written

    return change


def _removing(table: str, keys: Sequence[bytes], is_still: Callable[[bytes], bool]) -> Change:
    def change(transaction: Transaction[bytes]) -> int:
        removed = 0
        for key in keys:
            held = transaction.get(key)
            if held is not None and is_still(held):
                removed += transaction.delete(key)
        _add(transaction, table, -removed)
        return removed

    return change


def _count(transaction: Transaction[bytes], table: str) -> int:
    return int(transaction.get(f"\0{table}".encode()) or b"0")


def _add(transaction: Transaction[bytes], table: str, change: int) -> None:
    key = f"\0{table}".encode()
    count = _count(transaction, table) + change
    if count:
        transaction.put(key, b"%d" % count)
    else:
        transaction.delete(key)
