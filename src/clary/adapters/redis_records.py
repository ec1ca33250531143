"""Online records in Redis: a hash a table, and a sorted set of its keys to list them by.

A value begins with the record's times as 16 bytes, by which the server itself compares.
"""

from __future__ import annotations

import logging
import struct
import threading
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

from clary.adapters.stored_records import decode, encode
from clary.kernel.errors import InvalidInput, LimitExceeded, NotSupported, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from clary.features.model import Record

_log = logging.getLogger(__name__)

_MOST_ROWS = 1_000
"""So many rows are one script at most: the server does nothing else meanwhile."""
_TIMEOUT_S = 10.0
_TIMES = struct.Struct(">QQ")
_BIAS = 1 << 63
"""Makes the order of signed numbers that of their bytes."""
_WRITE = """
local function times(value) return {struct.unpack('>I4I4I4I4', value)} end
local function is_earlier(a, b)
    for i = 1, 4 do
        if a[i] ~= b[i] then return a[i] < b[i] end
    end
    return false
end
local written = 0
for i = 2, #ARGV, 2 do
    local held = redis.call('HGET', KEYS[1], ARGV[i])
    local is_meant = ARGV[1] == '' or (held and string.sub(held, 9, 16) == ARGV[1])
    if is_meant and (not held or not is_earlier(times(ARGV[i + 1]), times(held))) then
        redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
        redis.call('ZADD', KEYS[2], 0, ARGV[i])
        written = written + 1
    end
end
return written
"""
_LIST = """
local keys = redis.call('ZRANGEBYLEX', KEYS[2], ARGV[1], '+', 'LIMIT', 0, ARGV[2])
local found = {}
for i, key in ipairs(keys) do found[i] = redis.call('HGET', KEYS[1], key) end
return found
"""
_REMOVE_UNCHANGED = """
local removed = 0
for i = 1, #ARGV, 2 do
    if redis.call('HGET', KEYS[1], ARGV[i]) == ARGV[i + 1] then
        redis.call('HDEL', KEYS[1], ARGV[i])
        redis.call('ZREM', KEYS[2], ARGV[i])
        removed = removed + 1
    end
end
return removed
"""


class RedisRecords:
    """Implements ``OnlineStore`` on a Redis server, of version 6 or later.

    A write is as durable as the server makes it; with ``appendonly yes`` and ``appendfsync
    always`` it is on the disk when it returns, otherwise the log says that it is not.

    Parameters
    ----------
    url
        ``redis://…``, ``rediss://…`` or ``unix://…``. Connected when it is used.

    Raises
    ------
    InvalidInput
        It is no such URL.
    NotSupported
        The Redis client is not installed.
    """

    def __init__(self, url: str) -> None:
        try:
            redis = import_module("redis")
        except ModuleNotFoundError as error:
            raise NotSupported(
                "online records in Redis need its client, which is not installed",
                hint="install clary[redis]",
            ) from error
        self._errors = redis.exceptions
        try:
            self._redis = redis.Redis.from_url(
                url, socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S
            )
        except ValueError as error:
            raise InvalidInput("online", str(error), legal="redis://, rediss://, unix://") from None
        self._write = self._redis.register_script(_WRITE)
        self._list = self._redis.register_script(_LIST)
        self._remove_unchanged = self._redis.register_script(_REMOVE_UNCHANGED)
        self._lock = threading.Lock()
        self._is_checked = False

    def close(self) -> None:
        """Close the connections that nobody uses."""
        self._redis.close()

    def write(self, table: str, records: Sequence[Record], *, written_us: int | None = None) -> int:
        """Write the records that are later than what there is; say how many.

        With ``written_us`` only where that was written then.
        """
        self._check_durability()
        given: list[bytes] = []
        for one in records:
            times = _TIMES.pack(one.event_us + _BIAS, one.write_us + _BIAS)
            given += (_field(one.key), times + encode(one))
        meant = b"" if written_us is None else struct.pack(">Q", written_us + _BIAS)
        with self._failures():
            return sum(
                self._write(
                    keys=_names(table), args=[meant, *given[start : start + 2 * _MOST_ROWS]]
                )
                for start in range(0, len(given), 2 * _MOST_ROWS)
            )

    def read(self, keys: Sequence[tuple[str, str]]) -> Sequence[Record | None]:
        """Read the records of ``(table, key)`` pairs in one exchange."""
        by_table: dict[str, list[int]] = {}
        for place, (table, _) in enumerate(keys):
            by_table.setdefault(table, []).append(place)
        found: list[Record | None] = [None] * len(keys)
        with self._failures(), self._redis.pipeline(transaction=False) as asked:
            for table, places in by_table.items():
                asked.hmget(_names(table)[0], [_field(keys[place][1]) for place in places])
            answers = asked.execute()
        for places, values in zip(by_table.values(), answers, strict=True):
            for place, value in zip(places, values, strict=True):
                found[place] = None if value is None else _record(value)
        return found

    def peek(self, keys: Sequence[tuple[str, str]], most_bytes: int) -> None:
        """Give nothing: a server has to be waited for."""

    def list(self, table: str, *, after: str = "", limit: int = 100) -> Sequence[Record]:
        """List the records of a table in the order of their keys, after that of a key."""
        start = b"(" + _field(after) if after else b"-"
        with self._failures():
            return [_record(one) for one in self._list(keys=_names(table), args=[start, limit])]

    def remove(self, table: str, keys: Sequence[str], *, written_us: int | None = None) -> None:
        """Forget keys, or only those whose record was written at a time."""
        fields = [_field(key) for key in keys]
        records, listed = _names(table)
        if written_us is not None:
            self._remove_written(table, fields, written_us)
            return
        with self._failures():
            for start in range(0, len(fields), _MOST_ROWS):
                with self._redis.pipeline(transaction=True) as asked:
                    asked.hdel(records, *fields[start : start + _MOST_ROWS])
                    asked.zrem(listed, *fields[start : start + _MOST_ROWS])
                    asked.execute()

    def _remove_written(self, table: str, fields: Sequence[bytes], written_us: int) -> None:
        names = _names(table)
        with self._failures():
            for start in range(0, len(fields), _MOST_ROWS):
                some = fields[start : start + _MOST_ROWS]
                meant: list[bytes] = []
                for field, value in zip(some, self._redis.hmget(names[0], some), strict=True):
                    if value is not None and _record(value).write_us == written_us:
                        meant += (field, value)
                self._remove_unchanged(keys=names, args=meant)

    def sweep(self, table: str, before_us: int) -> int:
        """Forget the records that expired before a time; return how many there were."""
        names = _names(table)
        removed, cursor = 0, 0
        with self._failures():
            while True:
                cursor, page = self._redis.hscan(names[0], cursor, count=_MOST_ROWS)
                over: list[bytes] = []
                for field, value in page.items():
                    expires_us = _record(value).expires_us
                    if expires_us is not None and expires_us < before_us:
                        over += (field, value)
                removed += int(self._remove_unchanged(keys=names, args=over))
                if cursor == 0:
                    return removed

    def drop(self, table: str) -> None:
        """Forget a table."""
        with self._failures():
            self._redis.unlink(*_names(table))

    def count(self, table: str) -> int:
        """Count the keys of a table, tombstones included."""
        with self._failures():
            return int(self._redis.hlen(_names(table)[0]))

    @contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except self._errors.OutOfMemoryError as error:
            raise LimitExceeded(f"Redis has no memory left: {error}") from error
        except self._errors.RedisError as error:
            raise Unavailable(f"Redis does not answer as it should: {error}") from error

    def _check_durability(self) -> None:
        """Log once when the server acknowledges what is not on its disk."""
        with self._lock:
            if self._is_checked:
                return
            try:
                said: dict[str, Any] = self._redis.config_get("append*")
            except self._errors.RedisError as error:
                _log.warning("Redis does not tell how durable it is: %s", error)
            else:
                if (said.get("appendonly"), said.get("appendfsync")) != ("yes", "always"):
                    _log.warning(
                        "Redis may lose the last online records when its machine stops; "
                        "set appendonly yes and appendfsync always to keep them"
                    )
            self._is_checked = True


def _names(table: str) -> tuple[str, str]:
    """Name the hash and the sorted set of a table; the braces keep them on one server."""
    return f"clary:{{{table}}}:records", f"clary:{{{table}}}:keys"


def _field(key: str) -> bytes:
    try:
        return key.encode()
    except UnicodeEncodeError:
        raise InvalidInput("key", f"{key!r} is not Unicode text") from None


def _record(value: bytes) -> Record:
    return decode(value[_TIMES.size :])
