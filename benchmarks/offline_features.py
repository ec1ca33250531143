"""What keeping records offline costs, beside a plain Parquet file with a manifest."""

from __future__ import annotations

import itertools
import json
import os
import random
from statistics import median
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet
from figure import Figure, interleaved_s

from clary.adapters.delta_records import DeltaRecords
from clary.features.model import Feature, Record, Schema

if TYPE_CHECKING:
    from pathlib import Path

ROWS = 100_000
COMMITS = 1_000
WIDTH = 8
SCHEMA = Schema(
    (
        Feature("id", "String"),
        Feature("at", "Fractional"),
        *(Feature(f"f{n}", "Fractional") for n in range(WIDTH)),
    ),
    "id",
    "at",
)
TABLE = "bucket/group/data"


def figures(folder: Path) -> list[Figure]:
    """Measure one large append, and many small ones."""
    return [_large(folder), _small(folder)]


def records(count: int) -> list[Record]:
    made = []
    for n in range(count):
        values = (f"entity {n}", float(n), *(random.random() for _ in range(WIDTH)))
        made.append(Record(f"entity {n}", n * 1_000_000, n, values))
    return made


def _large(folder: Path) -> Figure:
    store = DeltaRecords(folder / "buckets", folder / "logs")
    batch = records(ROWS)
    names = [one.name for one in SCHEMA.features]
    numbers = itertools.count()

    def ours() -> None:
        store.append(TABLE, SCHEMA, batch)
        store.flush(TABLE)

    def plain() -> None:
        columns = dict(zip(names, zip(*(one.values for one in batch), strict=True), strict=True))
        columns["event_us"] = [one.event_us for one in batch]
        columns["write_us"] = [one.write_us for one in batch]
        columns["is_deleted"] = [one.is_deleted for one in batch]
        columns["row"] = range(ROWS)
        path = folder / f"plain-{next(numbers)}.parquet"
        pyarrow.parquet.write_table(pa.table(columns), path, compression="zstd")
        manifest = folder / "manifest.json"
        manifest.write_text(json.dumps([str(path)]))
        for written in (path, manifest):
            with written.open("rb") as file:
                os.fsync(file.fileno())

    ours()
    mine, theirs = interleaved_s(7, ours, plain)
    name = f"append and flush of {ROWS:,} records of {len(names)} features"
    return Figure(
        name, mine * 1e3, "ms", theirs * 1.2e3, "Parquet file with a manifest", theirs * 1e3
    )


def _small(folder: Path) -> Figure:
    """Flush one small commit more, in turn on a table of many and on one of few."""
    batch = records(10)

    def flushing(name: str):
        store = DeltaRecords(folder / name, folder / f"logs-{name}")

        def one() -> None:
            store.append(TABLE, SCHEMA, batch)
            store.flush(TABLE)

        def again() -> None:
            one()
            if len(store.files(TABLE)) > 32:
                store.compact(TABLE, is_whole=False)

        return one, again

    old, old_again = flushing("old")
    for _ in range(COMMITS):
        old_again()
    new, new_again = flushing("new")
    took: tuple[list[float], list[float]] = [], []
    for _ in range(100):
        for mine, one, again in zip(took, (old, new), (old_again, new_again), strict=True):
            mine.extend(interleaved_s(1, one))
            again()
    last, first = (median(one) * 1e3 for one in took)
    name = f"small flush after {COMMITS:,} commits, as compacted on the way"
    return Figure(name, last, "ms", 1.2 * first, "a table of a hundred", first)
