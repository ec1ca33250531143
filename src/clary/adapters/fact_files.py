"""Facts in files of the home: frames that are only ever appended, found by an index in memory.

Files that are full become Parquet of the same name, see ``fact_tables``; of two of one name, that
one counts.

A table is a folder. Each process appends to a file of its own, and begins a new one after an hour
or 64 MiB. A file begins with 16 random bytes, which tell it from one that took its name; frames
follow: the length, the CRC-32 and the bytes of an encoded fact. What a crash tore off at the end is
no frame, and is not read. The lock of the folder (``flock``) is shared by who appends and held
alone by who removes, so that nothing is written to a file that is being replaced.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import threading
import time
import zlib
from array import array
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from clary.adapters import fact_tables
from clary.adapters.fact_frames import (
    HEAD,
    ID_BYTES,
    SUFFIX,
    frames,
    locked,
    measured,
    read,
    sync,
    sync_file,
    table_without,
    without,
)
from clary.features.fact_queries import END_US, Wanted, terms
from clary.features.facts import decode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from clary.features.facts import Fact

_FILE_BYTES = 64 << 20
_FILE_S = 3600.0
_INDEXED_TERMS = 4_000_000
"""Entries of all indexes in memory; the files asked for longest ago are read again."""
_MOST_OPEN = 256
_NONE: array[int] = array("Q")


@dataclass(slots=True)
class _Open:
    """The file that this process appends to."""

    path: Path
    handle: int
    opened_at: float
    size_bytes: int = 0
    is_broken: bool = False

    def append(self, data: bytes) -> None:
        view, written = memoryview(data), 0
        try:
            while written < len(view):
                written += os.write(self.handle, view[written:])
            os.fdatasync(self.handle)
        except OSError:
            os.ftruncate(self.handle, self.size_bytes)
            self.is_broken = True
            raise
        self.size_bytes += len(view)

    @property
    def is_current(self) -> bool:
        """Whether it is to be appended to: whole, not full, not old, and not removed."""
        return (
            not self.is_broken
            and self.size_bytes < _FILE_BYTES
            and time.monotonic() - self.opened_at < _FILE_S
            and os.fstat(self.handle).st_nlink > 0
        )


@dataclass(slots=True)
class _Index:
    """Where the facts of a file are, by term, as far as it has been read."""

    end: int = ID_BYTES
    first_us: int = 1 << 63
    last_us: int = -1
    written_us: int = -1
    count: int = 0
    entries: int = 0
    places: dict[str, array[int]] = field(default_factory=dict)

    def add(self, fact: Fact, start: int, end: int) -> None:
        self.end = end
        self.count += 1
        self.first_us = min(self.first_us, fact.event_us)
        self.last_us = max(self.last_us, fact.event_us)
        self.written_us = max(self.written_us, fact.write_us)
        for term in terms(fact):
            self.entries += 1
            found = self.places.get(term)
            if found is None:
                self.places[term] = array("Q", (start,))
            else:
                found.append(start)

    def places_of(self, wanted: Wanted) -> array[int] | None:
        """Say where what is wanted may be; None: anywhere."""
        if self.last_us < wanted.start_us or self.first_us >= wanted.end_us:
            return _NONE
        named = [self.places.get(term, _NONE) for term in wanted.terms]
        return min(named, key=len) if named else None


class FactFiles:
    """The port ``FactStore``; any number of processes may use one folder.

    Parameters
    ----------
    folder
        Made when it is needed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._open: OrderedDict[str, _Open] = OrderedDict()
        self._reading = threading.Lock()
        self._indexes: OrderedDict[bytes, _Index] = OrderedDict()
        self._entries = 0

    def append(self, table: str, lines: Sequence[bytes]) -> None:
        """Keep encoded facts; see ``FactStore``."""
        data = b"".join(HEAD.pack(len(one), zlib.crc32(one)) + one for one in lines)
        folder = self._folder / table
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._lock, locked(folder, fcntl.LOCK_SH):
            self._file(table, folder).append(data)

    def find(self, table: str, wanted: Wanted) -> Iterator[Fact]:
        """Yield facts; see ``FactStore``."""
        for path in _files(self._folder / table):
            try:
                if path.suffix == SUFFIX:
                    yield from self._framed(path, wanted)
                    continue
            except FileNotFoundError:  # removed meanwhile, or it became a table
                path = path.with_suffix(fact_tables.SUFFIX)  # noqa: PLW2901 - the same file
            with suppress(FileNotFoundError):
                yield from fact_tables.find(path, wanted)

    def tables(self, table: str) -> Sequence[str]:
        """Name Parquet files; see ``FactStore``."""
        return [str(one) for one in _files(self._folder / table) if one.suffix != SUFFIX]

    def gather(self, table: str = "", *, is_whole: bool = False) -> int:
        """Make tables of files; see ``FactStore``."""
        folders = [self._folder / table] if table else self._folder.glob("*")
        done = 0
        for folder in filter(Path.is_dir, folders):
            with locked(folder, fcntl.LOCK_EX):
                _drop_leftovers(folder)
            for path in _files(folder):
                if path.suffix == SUFFIX:
                    done += _gathered(path, is_whole=is_whole)
        return done

    def forget(self, table: str, before_us: int) -> int:
        """Remove old files; see ``FactStore``."""
        folder, removed = self._folder / table, 0
        if not folder.is_dir():
            return 0
        with self._lock, locked(folder, fcntl.LOCK_EX):
            _drop_leftovers(folder)
            for path in _files(folder):
                count, last_us = measured(path)
                if last_us < before_us:
                    path.unlink()
                    removed += count
        return removed

    def erase(self, table: str, is_gone: Callable[[Fact], bool]) -> int:
        """Write files again without some facts; see ``FactStore``."""
        folder, removed = self._folder / table, 0
        if not folder.is_dir():
            return 0
        with self._lock, locked(folder, fcntl.LOCK_EX):
            _drop_leftovers(folder)
            for path in _files(folder):
                if path.suffix == SUFFIX:
                    removed += without(path, is_gone)
                else:
                    removed += table_without(path, is_gone)
        return removed

    def close(self) -> None:
        """Let go of the files."""
        with self._lock:
            for one in self._open.values():
                os.close(one.handle)
            self._open.clear()
        with self._reading:
            self._indexes.clear()
            self._entries = 0

    def _file(self, table: str, folder: Path) -> _Open:
        found = self._open.pop(table, None)
        if found is not None and not found.is_current:
            os.close(found.handle)
            found = None
        if found is None:
            path = folder / f"{time.time_ns():020d}-{uuid4().hex}{SUFFIX}"
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
            found = _Open(path, os.open(path, flags, 0o600), time.monotonic())
            found.append(secrets.token_bytes(ID_BYTES))
            sync(folder)
        self._open[table] = found
        while len(self._open) > _MOST_OPEN:
            os.close(self._open.popitem(last=False)[1].handle)
        return found

    def _framed(self, path: Path, wanted: Wanted) -> Iterator[Fact]:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            yield from self._found(handle, wanted)
        finally:
            os.close(handle)

    def _found(self, handle: int, wanted: Wanted) -> Iterator[Fact]:
        size, places = os.fstat(handle).st_size, None
        if wanted.terms or wanted.end_us != END_US:
            places = self._index(handle, size).places_of(wanted)
        if places is None:
            for _, _, fact in frames(handle, ID_BYTES, size):
                if wanted.has(fact):
                    yield fact
            return
        for start in places:
            (length, _) = HEAD.unpack(os.pread(handle, HEAD.size, start))
            fact = decode(os.pread(handle, length, start + HEAD.size))
            if wanted.has(fact):
                yield fact

    def _index(self, handle: int, size: int) -> _Index:
        """Read what a file has gained since it was last asked."""
        key = os.pread(handle, ID_BYTES, 0)
        with self._reading:
            index = self._indexes.pop(key, None) or _Index()
            before = index.entries
            for start, end, fact in frames(handle, index.end, size):
                index.add(fact, start, end)
            self._indexes[key] = index
            self._entries += index.entries - before
            while self._entries > _INDEXED_TERMS and len(self._indexes) > 1:
                self._entries -= self._indexes.popitem(last=False)[1].entries
        return index


def _files(folder: Path) -> list[Path]:
    """List the files of a table in the order in which they were begun."""
    found = {path.stem: path for path in folder.glob(f"*{SUFFIX}")}
    found |= {path.stem: path for path in folder.glob(f"*{fact_tables.SUFFIX}")}
    return [found[stem] for stem in sorted(found)]


def _drop_leftovers(folder: Path) -> None:
    """Remove what a process that died has left: drafts, and files that became tables."""
    for draft in (*folder.glob("*.new"), *folder.glob("*.made")):
        draft.unlink()
    for path in folder.glob(f"*{fact_tables.SUFFIX}"):
        path.with_suffix(SUFFIX).unlink(missing_ok=True)


def _is_full(path: Path) -> bool:
    """Say whether nobody appends to a file any more; it says in its name when it was begun."""
    begun_s = int(path.name.partition("-")[0]) / 1e9
    return path.stat().st_size >= _FILE_BYTES or time.time() - begun_s > 2 * _FILE_S


def _gathered(path: Path, *, is_whole: bool) -> bool:
    """Put a table in the place of a file that is full; False when that did not come to pass."""
    made = path.with_suffix(f".{uuid4().hex}.made")
    try:
        return (is_whole or _is_full(path)) and _exchanged(path, made)
    except FileNotFoundError:  # somebody else was faster
        return False
    finally:
        made.unlink(missing_ok=True)


def _exchanged(path: Path, made: Path) -> bool:
    """Write a table, and exchange it for the file unless that has changed meanwhile."""
    before = path.stat()
    count = fact_tables.write(made, lambda: (fact for _, _, fact in read(path)))
    with locked(path.parent, fcntl.LOCK_EX):
        after = path.stat()
        if (after.st_ino, after.st_size) != (before.st_ino, before.st_size):
            return False
        if count:
            sync_file(made)
            made.replace(path.with_suffix(fact_tables.SUFFIX))
            sync(path.parent)
        path.unlink()
    return True
