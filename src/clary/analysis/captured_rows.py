"""Captured requests as rows of a table: what was answered, then what was asked.

That is the order of Model Monitor's analyzer: cells without names are ``_c0``, ``_c1``, …, counted
through both.
"""

from __future__ import annotations

from itertools import islice
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa
from pyarrow import csv

from clary.analysis.captures import Event, Window, captures, files
from clary.analysis.spool import ROWS_AT_ONCE
from clary.kernel.errors import ClaryError, InvalidInput

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from pathlib import Path

    from clary.analysis.captures import Capture, Faults, Line
    from clary.analysis.payloads import Payload
    from clary.analysis.spool import Spool

_LARGEST_AT_ONCE = 64 << 20
_BLOCK = 1 << 20
SIDES = ("endpointOutput", "endpointInput")


def put_down_files(
    source: Path,
    spool: Spool,
    faults: Faults,
    *,
    sides: Collection[str] = SIDES,
    window: Window | None = None,
) -> None:
    """Put captured requests down as rows; one that cannot be read is counted, and passed over.

    Parameters
    ----------
    source
        A file or a folder of captures.
    sides
        Which become columns.
    window
        Of which time they are read; all by default.
    """
    chosen = window or Window()
    for file in files(source):
        if not chosen.touches(file.as_posix()):
            continue
        rows = _at_once(file, sides, window)
        if rows is None:
            put_down(captures(file, faults, window=window), spool, faults, sides=sides)
        else:
            spool.write(rows)


class _Body(msgspec.Struct, frozen=True, gc=False):
    data: str = ""
    encoding: str = "CSV"


class _Bodies(msgspec.Struct, rename="camel", gc=False):
    endpoint_input: _Body = _Body()
    endpoint_output: _Body = _Body()


class _Plain(msgspec.Struct, rename="camel", gc=False):
    """Of a captured request what its rows need."""

    event_metadata: Event
    capture_data: _Bodies


_DECODER = msgspec.json.Decoder(_Plain)
_MOMENT = attrgetter("event_metadata.inference_time")
_BODY = {
    "endpointOutput": attrgetter("capture_data.endpoint_output"),
    "endpointInput": attrgetter("capture_data.endpoint_input"),
}


def _at_once(file: Path, sides: Collection[str], window: Window | None) -> pa.Table | None:
    """Read a file by the block, if every line is one row of CSV and all are alike; else None."""
    if file.stat().st_size > _LARGEST_AT_ONCE:
        return None
    tables: list[pa.Table] = []
    with file.open("rb") as opened:
        while block := opened.read(_BLOCK) + opened.readline():
            rows = _plain_rows(block, sides, window)
            if rows == []:
                continue  # all are outside the window
            table = _cells(rows) if rows else None
            if table is None or (tables and table.num_columns != tables[0].num_columns):
                return None  # line by line, what is wrong gets its number
            tables.append(table)
    return pa.concat_tables(tables) if tables else pa.table({})


def _plain_rows(block: bytes, sides: Collection[str], window: Window | None) -> list[str] | None:
    """Join the sides of each line within the window; None where one is no row of CSV."""
    try:
        data = _DECODER.decode_lines(block)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    if window:
        moments = list(map(_MOMENT, data))
        held = {one: window.holds(Event(inference_time=one).at) for one in set(moments)}
        data = [one for one, moment in zip(data, moments, strict=True) if held[moment]]
    parts = [_texts(list(map(_BODY[side], data))) for side in SIDES if side in sides]
    return None if None in parts else list(map(",".join, zip(*parts, strict=True)))


def _texts(bodies: Sequence[_Body]) -> list[str] | None:
    if not {one.encoding for one in bodies} <= {"CSV"}:
        return None
    texts = [one.data for one in bodies]
    if texts and texts[0].endswith(("\r", "\n")):
        texts = [one.rstrip("\r\n") for one in texts]
    return texts if all(texts) else None


def put_down(
    lines: Iterable[Line], spool: Spool, faults: Faults, *, sides: Collection[str] = SIDES
) -> None:
    """Put captured requests down as rows, one after the other, as ``put_down_files`` does."""
    rest = iter(lines)
    while some := list(islice(rest, ROWS_AT_ONCE)):
        texts: list[str] = []
        others: list[Mapping[str, Any]] = []
        for line in some:
            text = _simple(line.capture, sides)
            if text is None:
                others += rows_of(line, faults, sides=sides)
            else:
                texts.append(text)
        _write(texts, spool)
        spool.add(others)


def _write(texts: Iterable[str], spool: Spool) -> None:
    by_width: dict[int, list[str]] = {}
    for text in texts:
        by_width.setdefault(text.count(","), []).append(text)
    for alike in by_width.values():
        cells = _cells(alike)
        if cells is None:
            spool.add(_joined([text.split(",")]) for text in alike)
        else:
            spool.write(cells)


def _simple(capture: Capture, sides: Collection[str]) -> str | None:
    """Join the sides of a request of one row, where both are CSV without quotes."""
    parts = []
    for payload in _payloads(capture, sides):
        if payload.encoding != "CSV":
            return None
        parts.append(payload.data.rstrip("\r\n"))
    text = ",".join(parts)
    return text if text and all(parts) and _is_plain(text, 1) else None


def _is_plain(text: str, lines: int) -> bool:
    return '"' not in text and "\r" not in text and text.count("\n") == lines - 1


def _cells(rows: Sequence[str]) -> pa.Table | None:
    """Read rows of CSV without quotes; None where they are not, or not of one width."""
    text = "\n".join(rows)
    if not _is_plain(text, len(rows)):
        return None
    data = text.encode()
    names = [f"_c{at}" for at in range(rows[0].count(",") + 1)]
    block = min(len(data) + 1, max(_BLOCK, 2 * max(map(len, rows))))
    try:
        return csv.read_csv(
            pa.BufferReader(data),
            read_options=csv.ReadOptions(column_names=names, block_size=block, use_threads=False),
            parse_options=csv.ParseOptions(quote_char=False, ignore_empty_lines=False),
            convert_options=csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()),
                null_values=[""],
                strings_can_be_null=True,
            ),
        )
    except pa.ArrowInvalid:
        return None


def _payloads(capture: Capture, sides: Collection[str]) -> list[Payload]:
    data = capture.capture_data
    wanted = (("endpointOutput", data.endpoint_output), ("endpointInput", data.endpoint_input))
    return [payload for side, payload in wanted if payload is not None and side in sides]


def rows_of(line: Line, faults: Faults, *, sides: Collection[str] = SIDES) -> list[dict[str, Any]]:
    """Give the rows of one captured request; none of what cannot be read, which is counted."""
    try:
        tables = [_table(payload) for payload in _payloads(line.capture, sides)]
        if not tables:
            raise InvalidInput("captureData", f"nothing captured of {', '.join(sides)}")
        return [_joined(parts) for parts in zip(*_level(tables), strict=True)]
    except ClaryError as error:
        faults.add(line.file, line.number, str(error))
        return []


def _table(payload: Payload) -> list[Any]:
    rows = payload.rows()
    return [_row(one) for one in rows]


def _row(row: Any) -> Any:
    return row if isinstance(row, dict | list) else [row]


def _level(tables: list[list[Any]]) -> list[list[Any]]:
    """Let every side have as many rows: one line of several answers answers several rows."""
    count = max(map(len, tables))
    level = [
        [[cell] for cell in rows[0]]
        if len(rows) == 1 < count and isinstance(rows[0], list) and len(rows[0]) == count
        else rows
        for rows in tables
    ]
    if any(len(rows) != count for rows in level):
        counts = " and ".join(str(len(rows)) for rows in level)
        raise InvalidInput("captureData", f"the sides have {counts} rows, which do not match")
    return level


def _joined(parts: Sequence[Any]) -> dict[str, Any]:
    """Name the cells of a row; a name that both sides use stays the request's."""
    row: dict[str, Any] = {}
    unnamed = 0
    for part in parts:
        if isinstance(part, dict):
            for name, value in part.items():
                if name in row:
                    row[f"endpointOutput.{name}"] = row.pop(name)
                row[name] = value
        else:
            for cell in part:
                row[f"_c{unnamed}"] = None if cell == "" else cell
                unnamed += 1
    return row
