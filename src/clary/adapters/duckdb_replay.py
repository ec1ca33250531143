"""Features of many rows of facts at once, by DuckDB."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from clary.adapters.duckdb_session import library, name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clary.adapters.duckdb_session import DuckDB
    from clary.expressions import Type
    from clary.features.replay import Definition, Row

_TYPES = {
    "boolean": "bool_",
    "bigint": "int64",
    "double": "float64",
    "varchar": "string",
    "date": "date32",
}


class DuckBatch:
    """The port ``Batch``.

    Parameters
    ----------
    database
        Makes connections.
    """

    def __init__(self, database: DuckDB) -> None:
        self._database = database

    def compute(self, definition: Definition, rows: Sequence[Row]) -> Sequence[Row]:
        """Compute the features of rows; see ``Batch``."""
        if not rows or not definition.features:
            return [()] * len(rows)
        pa = library("pyarrow")
        arrays = [
            pa.array([row[at] for row in rows], _type(pa, kind))
            for at, kind in enumerate(definition.columns.values())
        ]
        arrays.append(pa.array(range(len(rows)), pa.int64()))
        place = "row"
        while place in {one.lower() for one in definition.columns}:
            place += "_"
        facts = pa.table(arrays, names=[*definition.columns, place])
        made = ", ".join(
            f"TRY({one.sql()}) AS f{at}" if one.tree.fails else f"{one.sql()} AS f{at}"
            for at, one in enumerate(definition.features.values())
        )
        with self._database.open() as connection:
            connection.register("facts", facts)
            found = connection.sql(f"SELECT {made} FROM facts ORDER BY {name(place)}")
            columns = [column.to_pylist() for column in found.to_arrow_table().columns]
        return list(zip(*columns, strict=True))


def _type(pa: Any, kind: Type) -> Any:
    if kind.item is not None:
        return pa.list_(_type(pa, kind.item))
    if kind.name in _TYPES:
        return getattr(pa, _TYPES[kind.name])()
    return pa.timestamp("us", "UTC" if kind.name == "timestamptz" else None)
