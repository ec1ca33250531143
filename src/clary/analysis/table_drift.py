"""Drift between two tables from all of their rows: exact, where that of profiles is close."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from clary.analysis.drift import adjusted, column_drift
from clary.analysis.samples import Categories, of_values
from clary.analysis.tables import name

if TYPE_CHECKING:
    from clary.analysis.drift import ColumnDrift
    from clary.analysis.samples import Sample
    from clary.analysis.tables import Table

_NUMBERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "FLOAT", "DOUBLE", "HUGEINT", "DECIMAL")
_MOST_CATEGORIES = 10_000


def table_drift(before: Table, now: Table, *, level: float = 0.01) -> tuple[ColumnDrift, ...]:
    """Compare the columns that two tables share, in the order of the first; see ``drift.drift``.

    A column of both is in memory at a time: 64 bytes a row. Of texts the 10,000 most frequent are
    told apart.

    Raises
    ------
    InvalidInput
        A file of a table cannot be read.
    """
    there = set(now.columns)
    found = [
        one
        for column in before.columns
        if column in there
        and (one := column_drift(column, _sample(before, column), _sample(now, column)))
    ]
    return adjusted(found, level=level)


def _sample(table: Table, column: str) -> Sample:
    quoted = name(column)
    kinds = dict(zip(table.relation.columns, table.relation.types, strict=True))
    if str(kinds[column]).removeprefix("U").startswith(_NUMBERS):
        asked = f"SELECT {quoted}::DOUBLE AS x FROM dataset WHERE {quoted} IS NOT NULL"
        (values,) = table.sql(asked).fetchnumpy().values()
        return of_values(np.asarray(values))
    asked = (
        f"SELECT {quoted}::VARCHAR AS x, count(*) AS rows, sum(rows) OVER () FROM dataset"
        f" WHERE {quoted} IS NOT NULL GROUP BY 1 ORDER BY 2 DESC LIMIT {_MOST_CATEGORIES + 1}"
    )
    counted = table.sql(asked).fetchall()
    if not counted:
        return Categories({})
    kept = {value: float(rows) for value, rows, _ in counted[:_MOST_CATEGORIES]}
    error = float(counted[-1][1]) if len(counted) > _MOST_CATEGORIES else 0.0
    return Categories(kept, float(counted[0][2]) - sum(kept.values()), error)
