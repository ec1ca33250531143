"""What transformations cost: on the row of a request beside Feast, in batch beside raw DuckDB."""

from __future__ import annotations

import random
from statistics import median
from typing import TYPE_CHECKING

import pyarrow as pa
from figure import Figure, interleaved_s
from online_features import NAMES, each_s

from clary.adapters.duckdb_session import DuckDB
from clary.adapters.duckdb_views import DuckViews
from clary.expressions import DOUBLE, compile_all, parse
from clary.features.view_engine import Column

if TYPE_CHECKING:
    from pathlib import Path

    from feast_peer import Feast

COUNT = 20
ROWS = 1_000_000
ROUNDS = 5
INPUTS = [*NAMES, "v"]
TEXTS = [f"f{n % 10} * v + {n}" for n in range(COUNT)]


def figures(folder: Path, feast: Feast) -> list[Figure]:
    """Measure one row, and a million."""
    return [*_one(feast), _many(folder)]


def _one(feast: Feast) -> list[Figure]:
    compute = compile_all(_expressions(), INPUTS)
    ours: list[float] = []
    plain: list[float] = []
    python: list[float] = []
    frames: list[float] = []
    for _ in range(ROUNDS):
        row = tuple(random.random() for _ in INPUTS)
        ours += each_s(lambda: compute(row), 2000)  # noqa: B023 - at once
        plain += feast.measure("get", 1, 60)
        python += feast.measure("get_transformed", 1, 60)
        frames += feast.measure("get_framed", 1, 60)
    us = median(ours) * 1e6
    name = f"{COUNT} transforms on one row, added p50"
    added = [(median(one) - median(plain)) * 1e6 for one in (python, frames)]
    return [
        Figure(name, us, "us", 10.0, "feast in its python mode", added[0]),
        Figure(f"{name}: the same", us, "us", 10.0, "feast in its pandas mode", added[1]),
    ]


def _many(folder: Path) -> Figure:
    table = pa.table({name: [random.random() for _ in range(ROWS)] for name in INPUTS})
    engine, database = DuckViews(DuckDB(folder / "scratch")), DuckDB(folder / "raw")
    columns = {name: Column(name, "DOUBLE") for name in INPUTS}
    made = {f"t{n}": one.sql() for n, one in enumerate(_expressions())}
    raw = ", ".join(f"{text} AS t{n}" for n, text in enumerate(TEXTS))

    def ours() -> None:
        engine.compute(table, columns, made)

    def theirs() -> None:
        with database.open() as connection:
            connection.register("given", table)
            connection.sql(f"SELECT {raw} FROM given").to_arrow_table()

    ours()
    theirs()
    mine, bare = interleaved_s(ROUNDS, ours, theirs)
    name = f"{COUNT} transforms in batch, a row"
    us, raw_us = mine / ROWS * 1e6, bare / ROWS * 1e6
    return Figure(name, us, "us", 1.1 * raw_us, "raw DuckDB", raw_us)


def _expressions():
    return [parse(text, dict.fromkeys(INPUTS, DOUBLE)) for text in TEXTS]
