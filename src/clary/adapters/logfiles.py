"""Logs as plain files: a folder a group, a file a stream, a line a record."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from clary.jobs.ports import LogLine, LogPage, LogStream
from clary.kernel.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import BinaryIO

_PAGE_BYTES = 1 << 20
_BLOCK_BYTES = 64 << 10
_LONGEST_NAME = 250
_LATEST_MS = 253_402_300_799_999  # the end of the year 9999
_RECORD = re.compile(rb"([0-9]{1,15}) (.*)", re.DOTALL)


class LogFiles:
    """Log streams under a directory, as ``LogStore`` describes them.

    Parameters
    ----------
    root
        Holds ``<account>/<region>/<group>/<stream>``, names percent-encoded where needed.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def path(self, account: str, region: str, group: str, stream: str) -> Path:
        """Where a stream lies; its folder exists. Raises InvalidInput for a name too long."""
        file = self._folder(account, region, group) / _encode(stream)
        file.parent.mkdir(parents=True, exist_ok=True)
        return file

    def streams(
        self, account: str, region: str, group: str, prefix: str = ""
    ) -> Sequence[LogStream]:
        """Streams by name."""
        try:
            folder = self._folder(account, region, group)
            files = {unquote(entry.name): entry.path for entry in os.scandir(folder)}
        except (FileNotFoundError, InvalidInput):
            return ()
        return [_describe(name, files[name]) for name in sorted(files) if name.startswith(prefix)]

    def read(
        self,
        account: str,
        region: str,
        group: str,
        stream: str,
        *,
        after: int = 0,
        limit: int = 10_000,
    ) -> LogPage:
        """Lines from offset ``after`` on, about 1 MiB of them at most. Raises NotFound."""
        with self._open(account, region, group, stream) as file:
            return _read(file, after, limit)

    def tail(
        self,
        account: str,
        region: str,
        group: str,
        stream: str,
        limit: int,
        *,
        before: int | None = None,
    ) -> LogPage:
        """Read the last ``limit`` lines before an offset, about 1 MiB at most. Raises NotFound."""
        with self._open(account, region, group, stream) as file:
            return _tail(file, limit, before)

    def _folder(self, account: str, region: str, group: str) -> Path:
        return self._root.joinpath(*map(_encode, (account, region, group)))

    def _open(self, account: str, region: str, group: str, stream: str) -> BinaryIO:
        try:
            return (self._folder(account, region, group) / _encode(stream)).open("rb")
        except (FileNotFoundError, InvalidInput):
            raise NotFound(f"log stream {stream[:256]!r} of {group[:256]!r}") from None


def _encode(name: str) -> str:
    encoded = quote(name, safe="")
    if not encoded.strip("."):
        encoded = encoded.replace(".", "%2E")
    if not 0 < len(encoded) <= _LONGEST_NAME:
        raise InvalidInput(
            "name",
            f"{name[:64]!r} cannot name a log",
            legal=f"1 to {_LONGEST_NAME} characters when percent-encoded",
        )
    return encoded


def _parse(raw: bytes, offset: int) -> LogLine:
    match = _RECORD.fullmatch(raw)
    stamp, text = match.groups() if match else (b"0", raw)
    at = datetime.fromtimestamp(min(int(stamp), _LATEST_MS) / 1000, UTC)
    return LogLine(at, text.decode("utf-8", "replace"), offset)


def _read(file: BinaryIO, after: int, limit: int) -> LogPage:
    start = _line_start(file, after)
    file.seek(start)
    lines: list[LogLine] = []
    end = start
    while len(lines) < limit and end - start < _PAGE_BYTES:
        raw = file.readline(_PAGE_BYTES)
        if not raw.endswith(b"\n") and len(raw) < _PAGE_BYTES:
            break  # its end is still to be written
        lines.append(_parse(raw.removesuffix(b"\n"), end))
        end += len(raw)
    return LogPage(lines, start, end)


def _line_start(file: BinaryIO, offset: int) -> int:
    """Move an offset that a client made up to where the next line starts."""
    if offset <= 0:
        return 0
    file.seek(offset - 1)
    return max(offset, offset - 1 + len(file.readline(_PAGE_BYTES)))


def _tail(file: BinaryIO, limit: int, before: int | None) -> LogPage:
    size = file.seek(0, os.SEEK_END)
    at = size if before is None else max(0, min(before, size))
    held = b""
    while at and held.count(b"\n") <= limit and len(held) < _PAGE_BYTES:
        block = min(_BLOCK_BYTES, at)
        at -= block
        file.seek(at)
        held = file.read(block) + held
    if at:  # what comes before the first line end may be the rest of a line
        cut = held.find(b"\n") + 1
        held, at = held[cut:], at + cut
    lines = []
    for raw in held.split(b"\n")[:-1]:
        lines.append(_parse(raw, at))
        at += len(raw) + 1
    kept = lines[-limit:]
    return LogPage(kept, kept[0].offset if kept else at, at)


def _describe(name: str, path: str) -> LogStream:
    with open(path, "rb") as file:  # noqa: PTH123 - scandir gives strings, and may give thousands
        facts = os.fstat(file.fileno())
        first, last = _read(file, 0, 1).lines, _tail(file, 1, None).lines
    return LogStream(
        name,
        created_at=first[0].at if first else datetime.fromtimestamp(facts.st_mtime, UTC),
        first_at=first[0].at if first else None,
        last_at=last[0].at if last else None,
        size_bytes=facts.st_size,
    )
