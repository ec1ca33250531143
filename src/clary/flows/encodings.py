"""Text files in other encodings than UTF-8."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING

from clary.analysis.json_rows import opened
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from pathlib import Path

_BLOCK = 1 << 20


def in_unicode(files: list[Path], encoding: str, folder: Path) -> list[Path]:
    """Give files in UTF-8: copies in a folder, where theirs is another encoding.

    Raises
    ------
    InvalidInput
        There is no such encoding, or a file is not in it; names the file.
    """
    if codecs.lookup(_encoding(encoding)).name == "utf-8":
        return files
    return [_copied(one, encoding, folder / f"{at}.csv") for at, one in enumerate(files)]


def _copied(file: Path, encoding: str, made: Path) -> Path:
    """Copy a text file as UTF-8."""
    with opened(file) as reading, made.open("wb") as writing:
        known = _with_order(file, encoding, reading.peek(2)[:2])
        decode = codecs.getincrementaldecoder(known)("strict")
        done = 0
        try:
            while block := reading.read(_BLOCK):
                writing.write(decode.decode(block).encode())
                done += len(block)
            writing.write(decode.decode(b"", final=True).encode())
        except UnicodeError as error:
            problem = f"{file} is no {encoding}, near byte {done}: {error}"
            raise InvalidInput("encoding", problem) from None
    return made


def _with_order(file: Path, encoding: str, start: bytes) -> str:
    """Say which way UTF-16 without a byte order mark is: its first character is ASCII's."""
    marks = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    if codecs.lookup(encoding).name != "utf-16" or not start or start in marks:
        return encoding
    if len(start) == len("le") and start.count(0) == 1:
        return "utf-16-be" if start[0] == 0 else "utf-16-le"
    problem = f"{file} has no byte order mark, so nothing tells which UTF-16 it is"
    raise InvalidInput("encoding", problem, legal="utf-16-le, utf-16-be")


def _encoding(name: str) -> str:
    try:
        "".encode(name)  # codecs that are no encodings of texts are refused
        codecs.getincrementaldecoder(name)
    except (LookupError, TypeError, UnicodeError, ValueError):
        legal = "utf-8, utf-16, latin-1, cp1252, shift_jis, …"
        raise InvalidInput("encoding", f"there is none called {name!r}", legal=legal) from None
    return name
