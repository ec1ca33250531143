"""Facts in files of the home: frames that are only ever appended, found by an index in memory.

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
import struct
import threading
import time
import zlib
from array import array
from collections import OrderedDict
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import uuid4

from clary.features.fact_queries import END_US, terms
from clary.features.facts import LARGEST_FACT, decode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from clary.features.fact_queries import Wanted
    from clary.features.facts import Fact

_HEAD = struct.Struct("<II")
_ID_BYTES = 16
_SUFFIX = ".facts"
_FILE_BYTES = 64 << 20
_FILE_S = 3600.0
_CHUNK_BYTES = 1 << 20
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

    end: int = _ID_BYTES
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
        frames = b"".join(_HEAD.pack(len(one), zlib.crc32(one)) + one for one in lines)
        folder = self._folder / table
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._lock, _locked(folder, fcntl.LOCK_SH):
            self._file(table, folder).append(frames)

    def find(self, table: str, wanted: Wanted) -> Iterator[Fact]:
        """Yield facts; see ``FactStore``."""
        for path in _files(self._folder / table):
            try:
                handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:  # removed meanwhile
                continue
            try:
                yield from self._found(handle, wanted)
            finally:
                os.close(handle)

    def forget(self, table: str, before_us: int) -> int:
        """Remove old files; see ``FactStore``."""
        folder, removed = self._folder / table, 0
        if not folder.is_dir():
            return 0
        with self._lock, _locked(folder, fcntl.LOCK_EX):
            for path in _files(folder):
                facts = [fact for _, _, fact in _read(path)]
                if all(fact.write_us < before_us for fact in facts):
                    path.unlink()
                    removed += len(facts)
        return removed

    def erase(self, table: str, is_gone: Callable[[Fact], bool]) -> int:
        """Write files again without some facts; see ``FactStore``."""
        folder, removed = self._folder / table, 0
        if not folder.is_dir():
            return 0
        with self._lock, _locked(folder, fcntl.LOCK_EX):
            for leftover in folder.glob("*.new"):
                leftover.unlink()
            for path in _files(folder):
                removed += _without(path, is_gone)
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
            path = folder / f"{time.time_ns():020d}-{uuid4().hex}{_SUFFIX}"
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
            found = _Open(path, os.open(path, flags, 0o600), time.monotonic())
            found.append(secrets.token_bytes(_ID_BYTES))
            _sync(folder)
        self._open[table] = found
        while len(self._open) > _MOST_OPEN:
            os.close(self._open.popitem(last=False)[1].handle)
        return found

    def _found(self, handle: int, wanted: Wanted) -> Iterator[Fact]:
        size, places = os.fstat(handle).st_size, None
        if wanted.terms or wanted.end_us != END_US:
            places = self._index(handle, size).places_of(wanted)
        if places is None:
            for _, _, fact in _frames(handle, _ID_BYTES, size):
                if wanted.has(fact):
                    yield fact
            return
        for start in places:
            (length, _) = _HEAD.unpack(os.pread(handle, _HEAD.size, start))
            fact = decode(os.pread(handle, length, start + _HEAD.size))
            if wanted.has(fact):
                yield fact

    def _index(self, handle: int, size: int) -> _Index:
        """Read what a file has gained since it was last asked."""
        key = os.pread(handle, _ID_BYTES, 0)
        with self._reading:
            index = self._indexes.pop(key, None) or _Index()
            before = index.entries
            for start, end, fact in _frames(handle, index.end, size):
                index.add(fact, start, end)
            self._indexes[key] = index
            self._entries += index.entries - before
            while self._entries > _INDEXED_TERMS and len(self._indexes) > 1:
                self._entries -= self._indexes.popitem(last=False)[1].entries
        return index


@contextmanager
def _locked(folder: Path, how: int) -> Iterator[None]:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, how)
        yield
    finally:
        os.close(handle)


def _files(folder: Path) -> list[Path]:
    """List the files of a table in the order in which they were begun."""
    return sorted(folder.glob(f"*{_SUFFIX}"))


def _read(path: Path) -> Iterator[tuple[int, int, Fact]]:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield from _frames(handle, _ID_BYTES, os.fstat(handle).st_size)
    finally:
        os.close(handle)


def _frames(handle: int, start: int, size: int) -> Iterator[tuple[int, int, Fact]]:
    """Yield start, end and fact of each whole frame from ``start`` on, until one is none."""
    data, base = b"", start
    while start < size:
        if len(data) - (start - base) < _HEAD.size + LARGEST_FACT and base + len(data) < size:
            data, base = os.pread(handle, _CHUNK_BYTES, start), start
        at = start - base
        if len(data) - at < _HEAD.size:
            return
        length, check = _HEAD.unpack_from(data, at)
        line = data[at + _HEAD.size : at + _HEAD.size + length]
        if length > LARGEST_FACT or len(line) < length or zlib.crc32(line) != check:
            return
        end = start + _HEAD.size + length
        yield start, end, decode(line)
        start = end


def _without(path: Path, is_gone: Callable[[Fact], bool]) -> int:
    """Replace a file by one without some facts; return how many there were."""
    kept, removed = [], 0
    with path.open("rb") as file:
        data = file.read()
    for start, end, fact in _read(path):
        if is_gone(fact):
            removed += 1
        else:
            kept.append(data[start:end])
    if removed:
        new = path.with_suffix(".new")
        with new.open("wb") as file:
            file.write(secrets.token_bytes(_ID_BYTES))
            file.writelines(kept)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
        _sync(path.parent)
    return removed


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
