"""Zips of code: bounded, and unpacked nowhere but below their folder."""

from __future__ import annotations

import io
import posixpath
import stat
import zipfile
import zlib
from typing import IO, TYPE_CHECKING

from clary.kernel.errors import InvalidInput, LimitExceeded

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LARGEST_ZIP = 50 << 20
LARGEST_UNPACKED = 250 << 20
_MOST_FILES = 50_000
_BROKEN = (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, ValueError, EOFError)


def check(data: bytes) -> None:
    """Refuse what cannot be unpacked.

    Raises
    ------
    InvalidInput
        It is no zip, is damaged, or names files outside of its folder.
    LimitExceeded
        It is too large, packed or unpacked.
    """
    if len(data) > LARGEST_ZIP:
        raise LimitExceeded(f"the zip has {len(data)} bytes; legal: at most {LARGEST_ZIP}")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as package:
            for _ in _members(package):
                pass
    except _BROKEN as error:
        raise InvalidInput("Code", f"cannot be unzipped: {error}") from None


def unpack(data: bytes, folder: Path) -> None:
    """Unpack a zip that ``check`` has let pass; everybody may read what it holds.

    Raises
    ------
    InvalidInput
        It is damaged.
    LimitExceeded
        It holds more than it says.
    """
    left = LARGEST_UNPACKED
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as package:
            for member, name in _members(package):
                target = folder / name
                if member.is_dir():
                    target.mkdir(parents=True, exist_ok=True)
                    continue
                target.parent.mkdir(parents=True, exist_ok=True)
                with package.open(member) as source, target.open("wb") as out:
                    left = _copy(source, out, left)
                target.chmod(0o755)
    except _BROKEN as error:
        raise InvalidInput("Code", f"cannot be unzipped: {error}") from None


def _copy(source: IO[bytes], out: IO[bytes], left: int) -> int:
    """Copy no more than what is left, and return what is left then: claimed sizes may be lies."""
    while piece := source.read(1 << 20):
        left -= len(piece)
        if left < 0:
            raise LimitExceeded(f"the code unpacks to more than {LARGEST_UNPACKED} bytes")
        out.write(piece)
    return left


def _members(package: zipfile.ZipFile) -> Iterator[tuple[zipfile.ZipInfo, str]]:
    """Yield the members and their names below the folder."""
    members = package.infolist()
    size = sum(member.file_size for member in members)
    if size > LARGEST_UNPACKED or len(members) > _MOST_FILES:
        raise LimitExceeded(
            f"the code unpacks to {size} bytes in {len(members)} files;"
            f" legal: at most {LARGEST_UNPACKED} in {_MOST_FILES}"
        )
    for member in members:
        name = posixpath.normpath(member.filename)
        mode = stat.S_IFMT(member.external_attr >> 16)
        outside = name.startswith(("/", "../")) or name == ".." or "\\" in member.filename
        if outside or mode not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise InvalidInput("Code", f"{member.filename!r:.200} cannot be unpacked")
        if member.flag_bits & 1:
            raise InvalidInput("Code", f"{member.filename!r:.200} is encrypted")
        yield member, name
