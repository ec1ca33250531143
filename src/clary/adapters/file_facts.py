"""What is recorded about a stored file: in an extended attribute of it, else in a file beside.

Either way a record becomes the file's at the moment the file gets its name.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

import msgspec

from clary.kernel.codec import to_json
from clary.kernel.errors import LimitExceeded

if TYPE_CHECKING:
    from pathlib import Path

_ATTRIBUTE = "user.clary"
_LONGEST_RECORD = 3584  # ext4 gives all attributes of a file one block of 4096 bytes


class Facts(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was known of a file when it had ``size`` and ``mtime_ns``; void when it has others."""

    size: int
    mtime_ns: int
    sha256: str
    etag: str
    headers: Mapping[str, str] = {}
    metadata: Mapping[str, str] = {}


class FactsStore(Protocol):
    """Where records lie."""

    def write(self, file: int, facts: Facts) -> None:
        """Record ``facts`` for an open file."""

    def read(self, file: int) -> bytes | None:
        """Return the record of an open file."""

    def forget(self, status: os.stat_result) -> None:
        """Remove what the removal of a file leaves behind."""


def facts_store(folder: Path) -> FactsStore:
    """Choose extended attributes where ``folder`` has them."""
    try:
        os.setxattr(folder, _ATTRIBUTE, b"")
    except (OSError, AttributeError):
        return FactsFiles(folder)
    return FactsAttributes()


def read_facts(store: FactsStore, file: int, status: os.stat_result) -> Facts | None:
    """Return what is recorded of an open file, if that is still true of it."""
    record = store.read(file)
    if record is None:
        return None
    try:
        facts = msgspec.json.decode(record, type=Facts)
    except msgspec.DecodeError:
        return None  # written by hand: as if it were not there
    current = facts.size == status.st_size and facts.mtime_ns == status.st_mtime_ns
    return facts if current else None


def encoded(facts: Facts) -> bytes:
    """Encode a record. Raises LimitExceeded where no file system could hold it."""
    record = to_json(facts)
    if len(record) > _LONGEST_RECORD:
        problem = f"headers and metadata of an object take {len(record)} bytes as JSON"
        raise LimitExceeded(f"{problem}; legal: at most {_LONGEST_RECORD}")
    return record


class FactsAttributes:
    """Records in the attribute ``user.clary`` of each file."""

    def write(self, file: int, facts: Facts) -> None:
        """Record ``facts`` for an open file."""
        os.setxattr(file, _ATTRIBUTE, encoded(facts))

    def read(self, file: int) -> bytes | None:
        """Return the record of an open file."""
        try:
            return os.getxattr(file, _ATTRIBUTE)
        except OSError:
            return None

    def forget(self, status: os.stat_result) -> None:
        """Nothing is left behind."""


class FactsFiles:
    """Records in files named for the inode and the time of the file they describe."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, file: int, facts: Facts) -> None:
        """Record ``facts`` for an open file."""
        path = self._path(os.fstat(file))
        part = path.with_suffix(".part")
        with part.open("wb") as out:
            out.write(encoded(facts))
            out.flush()
            os.fsync(out.fileno())
        part.replace(path)
        sync_folder(self._folder)

    def read(self, file: int) -> bytes | None:
        """Return the record of an open file."""
        try:
            return self._path(os.fstat(file)).read_bytes()
        except FileNotFoundError:
            return None

    def forget(self, status: os.stat_result) -> None:
        """Remove what the removal of a file leaves behind."""
        self._path(status).unlink(missing_ok=True)

    def _path(self, status: os.stat_result) -> Path:
        return self._folder / f"{status.st_ino}-{status.st_mtime_ns}"


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable."""
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
