"""CSV files as SQL: every field a text, as it stands in the file."""

from __future__ import annotations

import csv
import gzip
import io
from typing import TYPE_CHECKING, BinaryIO, cast

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_LONGEST_LINE = 16 << 20


def select(files: Sequence[Path], *, has_header: bool) -> str:
    """Write the query that reads some CSV files as one table of texts."""
    first = _first_record(files[0])
    names = first if has_header else [f"_c{at}" for at in range(len(first))]
    columns = ", ".join(f"{_text(one)}: 'VARCHAR'" for one in names)
    listed = ", ".join(_text(str(file)) for file in files)
    return (
        f"SELECT * FROM read_csv([{listed}], columns = {{{columns}}}, header = {has_header}, "
        f"auto_detect = false, delim = ',', quote = '\"', escape = '\"', "
        f"max_line_size = {_LONGEST_LINE})"
    )


def _first_record(file: Path) -> list[str]:
    with _opened(file) as opened:
        lines = io.TextIOWrapper(opened, "utf-8-sig", newline="")
        return next(csv.reader(lines), [])


def _opened(file: Path) -> BinaryIO:
    return cast("BinaryIO", gzip.open(file) if file.suffix == ".gz" else file.open("rb"))


def _text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
