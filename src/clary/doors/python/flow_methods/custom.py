# written by tools/flow_methods.py; do not edit
"""Transforms of the group ``custom``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clary.doors.python.flow_methods.chain import Chain

if TYPE_CHECKING:
    from typing import Literal, Self


class Custom(Chain):
    """Transforms of this group."""

    def pandas(self, code: str) -> Self:
        """Run pandas code over the rows, a frame called ``df``; what ``df`` is then, is the result."""
        return self._then("custom.pandas", {"code": code})

    def pyspark(self, code: str) -> Self:
        """Run PySpark code over the rows, a Spark frame called ``df``, where a Spark is installed."""
        return self._then("custom.pyspark", {"code": code})

    def python(self, code: str) -> Self:
        """Run a function ``transform(row)`` over each row, a dict; it gives a dict, None drops it."""
        return self._then("custom.python", {"code": code})

    def sql(self, sql: str, *, dialect: Literal["spark", "duckdb"] = "spark") -> Self:
        """Ask a SELECT over the rows, the table ``df``.

        Parameters
        ----------
        sql
            One SELECT; it sees no other table, file or function that reads one.
        dialect
            Whose SQL it is: ``spark`` as Data Wrangler's, or ``duckdb``.
        """
        return self._then("custom.sql", {"sql": sql, "dialect": dialect})
