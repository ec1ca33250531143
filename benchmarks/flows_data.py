"""The table and the flow of the flows' benchmark: 11 steps, 6 of them fitted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb

if TYPE_CHECKING:
    from pathlib import Path

STEPS = (
    ("strings.case", {"columns": ["city"], "to": "lower"}),
    ("strings.affix", {"columns": ["plan"], "prefix": "p_"}),
    ("outliers.rare", {"columns": ["city"], "count": 1000, "replacement": "other"}),
    ("missing.impute", {"columns": ["income"], "strategy": "mean"}),
    ("outliers.standard_deviation", {"columns": ["income"], "deviations": 4}),
    ("columns.formula", {"formula": "income / (age + 1)", "output": "ratio"}),
    ("numeric.standard", {"columns": ["income", "ratio"]}),
    ("encode.ordinal", {"column": "plan", "output": "plan_number"}),
    ("encode.one_hot", {"column": "city"}),
    ("columns.formula", {"formula": "year(seen)", "output": "year"}),
    ("columns.drop", {"columns": ["seen", "plan"]}),
)


def document() -> dict:
    """Write the flow."""
    nodes = [{"id": "rows", "operator": "source"}]
    for place, (operator, with_) in enumerate(STEPS):
        before = nodes[-1]["id"]
        nodes.append({"id": f"n{place}", "operator": operator, "with": with_, "inputs": [before]})
    return {"nodes": nodes}


def write(path: str, rows: int) -> None:
    """Write the table as Parquet; the same each time."""
    with duckdb.connect() as connection:
        connection.execute(f"COPY ({_rows(rows)}) TO '{path}' (FORMAT parquet)")


def write_csv(path: Path, rows: int) -> None:
    """Write the table as CSV, with a column more that is hard to compress."""
    with duckdb.connect(config={"memory_limit": "2GB", "preserve_insertion_order": False}) as one:
        query = f"SELECT *, md5(id::VARCHAR) AS token FROM ({_rows(rows)})"
        one.execute(f"COPY ({query}) TO '{path}' (FORMAT csv)")


def _rows(rows: int) -> str:
    return (
        f"SELECT range AS id, "
        f"CAST(18 + hash(range, 1) % 60 AS BIGINT) AS age, "
        f"CASE WHEN hash(range, 2) % 20 = 0 THEN NULL "
        f"ELSE (hash(range, 3) % 100000)::DOUBLE / 7 END AS income, "
        f"'City' || (hash(range, 4) % 12) AS city, "
        f"['gold', 'free', 'team'][1 + (hash(range, 5) % 3)::BIGINT] AS plan, "
        f"TIMESTAMP '2020-01-01' + to_minutes((hash(range, 6) % 2000000)::BIGINT) AS seen "
        f"FROM range({rows})"
    )
