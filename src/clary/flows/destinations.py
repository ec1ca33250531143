"""Where rows go: files, whole or not at all."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from uuid import uuid4

from msgspec import Struct

from clary.expressions.types import quoted
from clary.kernel.codec import build
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from clary.flows.model import Node

_FORMATS = {
    **dict.fromkeys(("csv", "tsv"), "FORMAT csv"),
    **dict.fromkeys(("json", "jsonl", "ndjson"), "FORMAT json"),
    "parquet": "FORMAT parquet",
}


class Writing(Struct, frozen=True, forbid_unknown_fields=True):
    """The parameters of a destination.

    Parameters
    ----------
    path
        A file; a folder where there are ``partitions``.
    format
        Told by the ending of the path by default.
    delimiter
        Of CSV files.
    header
        Whether CSV files begin with the names of columns; the built-in XGBoost takes none.
    partitions
        Columns whose values become folders, ``name=value``.
    """

    path: str
    format: str = ""
    delimiter: str = ""
    header: bool = True
    compression: Literal["none", "gzip", "zstd", "snappy"] = "none"
    partitions: tuple[str, ...] = ()


def write(connection: DuckDBPyConnection, rows: str, node: Node) -> int:
    """Write the rows of a table where a destination says; returns how many.

    What is there is replaced at once, when all rows are written.

    Raises
    ------
    InvalidInput
        The destination has no such format, or compression.
    """
    asked = build(Writing, node.with_, field=f"destination {node.id}")
    place = Path(asked.path)
    place.parent.mkdir(parents=True, exist_ok=True)
    part = place.with_name(f".{place.name}.{uuid4().hex}.part")
    try:
        sql = f"COPY (FROM {quoted(rows)}) TO {_text(str(part))} ({_options(asked, place)})"
        [[count]] = connection.execute(sql).fetchall()
        _put(part, place)
    finally:
        if part.is_dir():
            shutil.rmtree(part)
        part.unlink(missing_ok=True)
    return int(count)


def _options(asked: Writing, place: Path) -> str:
    words = [place.suffix, Path(place.stem).suffix]
    endings = [one.removeprefix(".").lower() for one in words]
    form = asked.format.lower() or next((one for one in endings if one in _FORMATS), "")
    if form not in _FORMATS:
        problem = f"{asked.path} has no ending of a table"
        raise InvalidInput("path", problem, legal=", ".join(_FORMATS))
    if asked.compression == "snappy" and form != "parquet":
        raise InvalidInput("compression", "snappy is for Parquet", legal="none, gzip, zstd")
    options = [_FORMATS[form]]
    if asked.compression != "none":
        options.append(f"COMPRESSION {asked.compression}")
    if form in ("csv", "tsv"):
        comma = asked.delimiter or {"tsv": "\t"}.get(form, ",")
        options.append(f"DELIMITER {_text(comma)}, HEADER {asked.header}")
    if asked.partitions:
        options.append(f"PARTITION_BY ({', '.join(map(quoted, asked.partitions))})")
    return ", ".join(options)


def _put(part: Path, place: Path) -> None:
    """Put what is written in its place, on disk before it is there."""
    for one in [part] if part.is_file() else [file for file in part.rglob("*") if file.is_file()]:
        with one.open("rb") as file:
            os.fsync(file.fileno())
    if part.is_dir() and place.is_dir():
        before = part.with_suffix(".before")
        place.replace(before)
        part.replace(place)
        shutil.rmtree(before)
    else:
        part.replace(place)


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
