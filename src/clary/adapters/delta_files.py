"""Parquet files of records: written from a log, and rewritten sorted or without some entities."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from clary.adapters.file_facts import sync_folder
from clary.kernel.errors import NotSupported

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path
    from types import ModuleType

    from clary.features.model import Feature, Record, Schema

Row = tuple[int, "Record"]
"""A record and its number."""
_SORTING_BYTES = 512 << 20
_THREADS = 2
_FORMAT = "FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 122880"


def library(name: str) -> ModuleType:
    """Import an engine of the extra ``features``. Raises NotSupported when it is not there."""
    try:
        return __import__(name, fromlist=["_"])
    except ImportError:
        raise NotSupported(
            f"offline records need {name}, which is not installed", hint="install clary[features]"
        ) from None


def columns(schema: Schema) -> Any:
    """Give the Arrow schema of a table."""
    pa = library("pyarrow")
    own = [("event_us", pa.int64()), ("write_us", pa.int64())]
    own += [("is_deleted", pa.bool_()), ("row", pa.int64())]
    return pa.schema([(one.name, _type(pa, one)) for one in schema.features] + own)


def write(path: Path, schema: Schema, batches: Iterable[Sequence[Row]]) -> int:
    """Write batches as one file, durably; return how many rows there are."""
    pa, parquet = library("pyarrow"), library("pyarrow.parquet")
    total, types = 0, columns(schema)
    with parquet.ParquetWriter(path, types, compression="zstd") as writer:
        for rows in batches:
            writer.write_batch(pa.record_batch(_arrays(schema, rows, types), schema=types))
            total += len(rows)
    sync(path)
    return total


def rewrite(
    sources: Sequence[str],
    path: Path,
    schema: Schema,
    scratch: Path,
    *,
    where: str = "",
    is_sorted: bool = False,
) -> int:
    """Write the rows of files as one file, durably, in bounded memory; return how many.

    Parameters
    ----------
    scratch
        A folder for what memory does not hold.
    where
        A condition that the rows meet; empty: all.
    is_sorted
        Whether they are sorted by entity, event time, write time and row; else as they stand.
    """
    names = [quoted(one) for one in columns(schema).names]
    order = f"ORDER BY {quoted(schema.identifier)}, event_us, write_us, row" if is_sorted else ""
    with _engine(scratch) as engine:
        there = _described(engine, sources)
        chosen = ", ".join(
            name if name in there else f"CAST(NULL AS {kind}) AS {name}"
            for name, kind in zip(names, _kinds(schema), strict=True)
        )
        query = (
            f"COPY (SELECT {chosen} FROM {_scan(sources)} {where and f'WHERE {where}'} {order}) "  # noqa: S608 names and texts are quoted
            f"TO {text(str(path))} ({_FORMAT})"
        )
        (count,) = engine.execute(query).fetchone() or (0,)
    sync(path)
    return int(count)


def holding(sources: Sequence[str], condition: str) -> Sequence[str]:
    """Name the files in which some row meets a condition."""
    if not sources:
        return []
    query = f"SELECT DISTINCT filename FROM {_scan(sources)} WHERE {condition}"  # noqa: S608 names and texts are quoted
    with library("duckdb").connect(config={"threads": _THREADS}) as engine:
        found = {name for (name,) in engine.execute(query).fetchall()}
    return [one for one in sources if one in found]


def of_entities(schema: Schema, keys: Sequence[str]) -> str:
    """Write the condition that a row is of one of some entities; empty when none can be."""
    kind = next(one.kind for one in schema.features if one.name == schema.identifier)
    if kind == "String":
        wanted = [text(key) for key in keys]
    else:
        wanted = [number for key in keys if (number := _number(key, kind))]
    return f"{quoted(schema.identifier)} IN ({', '.join(wanted)})" if wanted else ""


def text(value: str) -> str:
    """Write text in SQL."""
    return "'" + value.replace("'", "''") + "'"


def quoted(name: str) -> str:
    """Write a name in SQL."""
    return '"' + name.replace('"', '""') + '"'


def sync(path: Path) -> None:
    """Make a file and its name durable."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)
    sync_folder(path.parent)


def _arrays(schema: Schema, rows: Sequence[Row], types: Any) -> list[Any]:
    pa = library("pyarrow")
    width = len(schema.features)
    identifier = [one.name for one in schema.features].index(schema.identifier)
    cells: list[list[Any]] = [[None] * len(rows) for _ in range(width)]
    for at, (_, record) in enumerate(rows):
        for column, value in enumerate(record.values[:width]):
            cells[column][at] = value
        if not record.values:  # a tombstone has its key alone
            cells[identifier][at] = _value(record.key, schema.features[identifier].kind)
    records = [record for _, record in rows]
    cells += [
        [one.event_us for one in records],
        [one.write_us for one in records],
        [one.is_deleted for one in records],
        [number for number, _ in rows],
    ]
    return [pa.array(column, kind) for column, kind in zip(cells, types.types, strict=True)]


def _value(key: str, kind: str) -> int | float | str:
    return {"Integral": int, "Fractional": float, "String": str}[kind](key)


def _number(key: str, kind: str) -> str:
    """Write a key that is a number in SQL; empty when it is none."""
    try:
        value = _value(key, kind)
    except ValueError:
        return ""
    return f"CAST({text(repr(value))} AS {'BIGINT' if kind == 'Integral' else 'DOUBLE'})"


def _type(pa: ModuleType, feature: Feature) -> Any:
    kinds = {"Integral": pa.int64(), "Fractional": pa.float64(), "String": pa.string()}
    one = kinds[feature.kind]
    return pa.list_(one) if feature.collection else one


def _kinds(schema: Schema) -> list[str]:
    names = {"Integral": "BIGINT", "Fractional": "DOUBLE", "String": "VARCHAR"}
    own = ["BIGINT", "BIGINT", "BOOLEAN", "BIGINT"]
    return [names[one.kind] + ("[]" if one.collection else "") for one in schema.features] + own


def _engine(folder: Path) -> Any:
    settings = {
        "threads": _THREADS,
        "memory_limit": f"{_SORTING_BYTES >> 20}MiB",
        "temp_directory": str(folder),
    }
    return library("duckdb").connect(config=settings)


def _described(engine: Any, sources: Sequence[str]) -> set[str]:
    found = engine.execute(f"DESCRIBE SELECT * FROM {_scan(sources)}").fetchall()  # noqa: S608 texts are quoted
    return {quoted(row[0]) for row in found}


def _scan(sources: Sequence[str]) -> str:
    names = ", ".join(text(one) for one in sources)
    return f"read_parquet([{names}], union_by_name = true, hive_partitioning = false)"
