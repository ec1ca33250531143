"""CSV files as SQL: every field a text, as it stands in the file."""

from __future__ import annotations

import csv
import re
from itertools import islice
from typing import TYPE_CHECKING

from clary.analysis import json_rows
from clary.analysis.spool import MOST_COLUMNS
from clary.kernel.errors import InvalidInput, LimitExceeded

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_LONGEST_LINE = 4 << 20
_LINE = re.compile(r"CSV Error on Line: (\d+)")
_UNCLOSED = "Value with unterminated quote found."
_FILE = re.compile(r"^ {2}file = (.*)$", re.MULTILINE)


def select(files: Sequence[Path], *, has_header: bool) -> str:
    """Write the query that reads some CSV files as one table of texts.

    Raises
    ------
    InvalidInput
        A file is empty or not in UTF-8, columns have no names of their own, or files differ.
    """
    files = [file for file in files if _first_record(file)] if len(files) > 1 else files
    names = _names(files[0], has_header=has_header) if files else []
    for other in files[1:]:
        found = _names(other, has_header=has_header)
        if found != names:
            problem = f"its columns are {_said(found)}, those of {files[0]} are {_said(names)}"
            raise InvalidInput(str(other), problem)
    if not names:
        raise InvalidInput(str(files[0]) if files else "source", "it is empty", legal="CSV")
    columns = ", ".join(f"{_text(one)}: 'VARCHAR'" for one in names)
    listed = ", ".join(_text(str(file)) for file in files)
    return (
        f"SELECT * FROM read_csv([{listed}], columns = {{{columns}}}, header = {has_header}, "
        f"auto_detect = false, delim = ',', quote = '\"', escape = '\"', "
        f"max_line_size = {_LONGEST_LINE}, buffer_size = {2 * _LONGEST_LINE})"
    )


def problem(said: str) -> InvalidInput | None:
    """Read what DuckDB says of a CSV file that it cannot read; None if it is about none."""
    line, file = _LINE.search(said), _FILE.search(said)
    if not line:
        return None
    lines = [one.strip() for one in said.splitlines()]
    about = [one for one in lines[1:] if one and not one.startswith("Original Line")]
    place = f"{file[1] if file else 'dataset'}, line {line[1]}"
    if _UNCLOSED in about:  # what stands before it is the rest of the line
        return InvalidInput(place, _UNCLOSED)
    return InvalidInput(place, about[0] if about else said.splitlines()[0])


def _names(file: Path, *, has_header: bool) -> list[str]:
    first = _first_record(file)
    if len(first) > MOST_COLUMNS:
        raise LimitExceeded(f"{file}: {len(first)} columns are more than {MOST_COLUMNS}")
    if not has_header:
        return [f"_c{at}" for at in range(len(first))]
    names = [name or f"_c{at}" for at, name in enumerate(first)]
    seen: set[str] = set()
    for at, name in enumerate(names):
        if name.lower() in seen:
            raise InvalidInput(f"{file}, line 1, column {at + 1}", f"a second column {name!r}")
        seen.add(name.lower())
    return names


def _first_record(file: Path) -> list[str]:
    with json_rows.opened(file) as opened:
        lines = iter(lambda: opened.readline(_LONGEST_LINE).decode("utf-8-sig"), "")
        try:
            return next((record for record in islice(csv.reader(lines), 100) if record), [])
        except (csv.Error, UnicodeError) as error:
            raise InvalidInput(f"{file}, line 1", f"no readable CSV: {error}") from None


def _said(names: Sequence[str]) -> str:
    listed = ", ".join(names[:20])
    return f"{listed}, … ({len(names)})" if len(names) > 20 else listed


def _text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
