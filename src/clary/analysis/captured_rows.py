"""Captured requests as rows of a table: what was answered, then what was asked.

That is the order of Model Monitor's analyzer: cells without names are ``_c0``, ``_c1``, …, counted
through both.
"""

from __future__ import annotations

import io
from itertools import islice
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyarrow import csv

from clary.analysis.spool import ROWS_AT_ONCE
from clary.kernel.errors import ClaryError, InvalidInput

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from clary.analysis.captures import Capture, Faults, Line
    from clary.analysis.payloads import Payload
    from clary.analysis.spool import Spool

SIDES = ("endpointOutput", "endpointInput")


def put_down(
    lines: Iterable[Line], spool: Spool, faults: Faults, *, sides: Collection[str] = SIDES
) -> None:
    """Put captured requests down as rows; one that cannot be read is counted, and passed over.

    Parameters
    ----------
    sides
        Which become columns.
    """
    rest = iter(lines)
    while some := list(islice(rest, ROWS_AT_ONCE)):
        by_width: dict[int, list[str]] = {}
        others: list[Mapping[str, Any]] = []
        for line in some:
            text = _simple(line.capture, sides)
            if text is None:
                others += _rows(line, sides, faults)
            else:
                by_width.setdefault(text.count(","), []).append(text)
        for width, texts in by_width.items():
            spool.write(_cells(texts, width + 1))
        spool.add(others)


def _simple(capture: Capture, sides: Collection[str]) -> str | None:
    """Join the sides of a request of one row, where both are CSV without quotes."""
    parts = []
    for payload in _payloads(capture, sides):
        text = payload.data.strip("\r\n")
        if payload.encoding != "CSV" or not text or "\n" in text or '"' in text or "\r" in text:
            return None
        parts.append(text)
    return ",".join(parts) or None


def _cells(texts: Sequence[str], width: int) -> pa.Table:
    names = [f"_c{at}" for at in range(width)]
    return csv.read_csv(
        io.BytesIO("\n".join(texts).encode()),
        read_options=csv.ReadOptions(column_names=names, block_size=32 << 20, use_threads=False),
        parse_options=csv.ParseOptions(quote_char=False, ignore_empty_lines=False),
        convert_options=csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()),
            null_values=[""],
            strings_can_be_null=True,
        ),
    )


def _payloads(capture: Capture, sides: Collection[str]) -> list[Payload]:
    data = capture.capture_data
    wanted = (("endpointOutput", data.endpoint_output), ("endpointInput", data.endpoint_input))
    return [payload for side, payload in wanted if payload is not None and side in sides]


def _rows(line: Line, sides: Collection[str], faults: Faults) -> list[dict[str, Any]]:
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
