"""Frames of facts in a file: how they are written, read and left out."""

from __future__ import annotations

import fcntl
import os
import secrets
import struct
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING

from clary.adapters import fact_tables
from clary.features.fact_queries import Wanted
from clary.features.facts import LARGEST_FACT, decode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from clary.features.facts import Fact

HEAD = struct.Struct("<II")
"""Length and CRC-32 of the bytes that follow."""
ID_BYTES = 16
SUFFIX = ".facts"
_CHUNK_BYTES = 1 << 20


def frames(handle: int, start: int, size: int) -> Iterator[tuple[int, int, Fact]]:
    """Yield start, end and fact of each whole frame from ``start`` on, until one is none."""
    data, base = b"", start
    while start < size:
        if len(data) - (start - base) < HEAD.size + LARGEST_FACT and base + len(data) < size:
            data, base = os.pread(handle, _CHUNK_BYTES, start), start
        at = start - base
        if len(data) - at < HEAD.size:
            return
        length, check = HEAD.unpack_from(data, at)
        line = data[at + HEAD.size : at + HEAD.size + length]
        if length > LARGEST_FACT or len(line) < length or zlib.crc32(line) != check:
            return
        end = start + HEAD.size + length
        yield start, end, decode(line)
        start = end


def read(path: Path) -> Iterator[tuple[int, int, Fact]]:
    """Yield start, end and fact of each whole frame of a file. Raises FileNotFoundError."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield from frames(handle, ID_BYTES, os.fstat(handle).st_size)
    finally:
        os.close(handle)


def measured(path: Path) -> tuple[int, int]:
    """Say how many facts a file has, and when the last of them was written."""
    if path.suffix != SUFFIX:
        return fact_tables.measure(path)
    written = [fact.write_us for _, _, fact in read(path)]
    return len(written), max(written, default=-1)


def without(path: Path, is_gone: Callable[[Fact], bool]) -> int:
    """Replace a file by one without some facts; return how many there were."""
    kept, removed = [], 0
    with path.open("rb") as file:
        data = file.read()
    for start, end, fact in read(path):
        if is_gone(fact):
            removed += 1
        else:
            kept.append(data[start:end])
    if removed:
        new = path.with_suffix(".new")
        with new.open("wb") as file:
            file.write(secrets.token_bytes(ID_BYTES))
            file.writelines(kept)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
        sync(path.parent)
    return removed


def table_without(path: Path, is_gone: Callable[[Fact], bool]) -> int:
    """Replace a table by one without some facts; return how many there were."""
    every = Wanted()
    removed = sum(is_gone(fact) for fact in fact_tables.find(path, every))
    if removed:
        new = path.with_suffix(".new")
        left = fact_tables.write(
            new, lambda: (fact for fact in fact_tables.find(path, every) if not is_gone(fact))
        )
        if left:
            sync_file(new)
            new.replace(path)
        else:
            path.unlink()
        sync(path.parent)
    return removed


@contextmanager
def locked(folder: Path, how: int) -> Iterator[None]:
    """Hold the lock of a folder, shared or alone: ``fcntl.LOCK_SH``, ``fcntl.LOCK_EX``."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, how)
        yield
    finally:
        os.close(handle)


def sync_file(path: Path) -> None:
    """Make the content of a file durable."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def sync(folder: Path) -> None:
    """Make the names in a folder durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
