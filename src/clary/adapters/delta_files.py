"""Parquet files of records: written from a log, and rewritten sorted or without some entities."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import msgspec

from clary.adapters.file_facts import sync_folder
from clary.kernel.errors import InvalidInput, NotSupported

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path
    from types import ModuleType

    from clary.features.model import Feature, Schema


class Frame(msgspec.Struct, array_like=True, frozen=True):
    """Records that came together, by column; features they lack are missing at the end."""

    keys: list[str]
    events_us: list[int]
    writes_us: list[int]
    cells: list[list[Any]]
    schemas: list[int]
    deleted: list[bool]
    expire_us: list[int | None]


Numbered = tuple[int, Frame]
"""A frame and the row number of its first record."""
_ROWS_A_GROUP = 122_880
_FILE = "file of row"
"""The column that says which file a row is of; no feature's name has a space."""
_SORTING_BYTES = 512 << 20
_THREADS = 2
_FORMAT = "FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE " + str(_ROWS_A_GROUP)


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


def write(path: Path, schema: Schema, frames: Iterable[Numbered]) -> int:
    """Write records as one file, durably; return how many there are."""
    parquet, types = library("pyarrow.parquet"), columns(schema)
    pa = library("pyarrow")
    total, batches, waiting = 0, [], 0
    with parquet.ParquetWriter(path, types, compression="zstd") as writer:
        for first, frame in frames:
            batches.append(_batch(schema, first, frame, types))
            waiting += len(frame.keys)
            total += len(frame.keys)
            if waiting >= _ROWS_A_GROUP:
                writer.write_table(pa.Table.from_batches(batches))
                batches, waiting = [], 0
        if batches:
            writer.write_table(pa.Table.from_batches(batches))
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
    named = _scan(sources, f", filename = {text(_FILE)}")
    query = f"SELECT DISTINCT {quoted(_FILE)} FROM {named} WHERE {condition}"  # noqa: S608 names and texts are quoted
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


def _batch(schema: Schema, first: int, frame: Frame, types: Any) -> Any:
    pa, count = library("pyarrow"), len(frame.keys)
    rows = range(first, first + count)
    own = [frame.events_us, frame.writes_us, frame.deleted, rows]
    cells = _identified(schema, frame)
    missing = [[None] * count] * (len(types) - len(cells) - len(own))
    columns = [*cells, *missing, *own]
    try:
        arrays = [pa.array(column, kind) for column, kind in zip(columns, types.types, strict=True)]
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError, UnicodeEncodeError) as error:
        raise InvalidInput("Record", f"a record cannot be kept: {error}") from None
    return pa.record_batch(arrays, schema=types)


def _identified(schema: Schema, frame: Frame) -> Sequence[Sequence[Any]]:
    """Give the cells with the identifiers that are missing: a tombstone may have its key alone."""
    features = schema.features
    at = next(at for at, one in enumerate(features) if one.name == schema.identifier)
    cells = [*frame.cells, *[[None] * len(frame.keys)] * (at + 1 - len(frame.cells))]
    if None in cells[at]:
        cells[at] = [
            _value(key, features[at].kind) if cell is None else cell
            for key, cell in zip(frame.keys, cells[at], strict=True)
        ]
    return cells


def _value(key: str, kind: str) -> int | float | str:
    if kind == "String":
        return key
    return int(key) if kind == "Integral" else float(key)


def _number(key: str, kind: str) -> str:
    """Write a key that is a number in SQL; empty when it is none."""
    try:
        value = _value(key, kind)
    except ValueError:
        return ""
    return f"TRY_CAST({text(repr(value))} AS {'BIGINT' if kind == 'Integral' else 'DOUBLE'})"


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


def _scan(sources: Sequence[str], options: str = "") -> str:
    names = ", ".join(text(one) for one in sources)
    return f"read_parquet([{names}], union_by_name = true, hive_partitioning = false{options})"
