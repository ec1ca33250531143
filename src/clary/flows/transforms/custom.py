"""Code of the author's own: SQL over the rows, pandas, PySpark, a function of a row."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import duckdb
import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.scope import traverse_scope

from clary.expressions import type_named
from clary.expressions.types import quoted
from clary.flows.foreign import nearest
from clary.flows.steps import Program, Query
from clary.flows.transform import Transform
from clary.kernel.errors import InvalidInput, LimitExceeded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clary.flows.steps import Schema, Step
    from clary.flows.transform import Ask, State

LONGEST = 100_000
"""Most characters of a program."""


class _Code(Transform, frozen=True):
    """Code that is run in a sandbox, over all the rows at once."""

    learns: ClassVar[bool] = True
    language: ClassVar[Literal["pandas", "pyspark", "python"]]
    code: str

    def steps(self, schemas: Sequence[Schema], state: State) -> tuple[Step, ...]:  # noqa: ARG002
        """Run it; its columns are those that it gave when the flow was fitted."""
        if len(self.code) > LONGEST:
            raise LimitExceeded(f"code has at most {LONGEST} characters")
        columns = {name: type_named(kind) for name, kind in state.get("columns", ())}
        return (Program(self.language, self.code, columns),)


class Pandas(_Code, frozen=True):
    """Run pandas code over the rows, a frame called ``df``; what ``df`` is then, is the result."""

    operator: ClassVar[str] = "custom.pandas"
    language: ClassVar[Literal["pandas", "pyspark", "python"]] = "pandas"


class PySpark(_Code, frozen=True):
    """Run PySpark code over the rows, a Spark frame called ``df``, where a Spark is installed."""

    operator: ClassVar[str] = "custom.pyspark"
    language: ClassVar[Literal["pandas", "pyspark", "python"]] = "pyspark"


class Python(_Code, frozen=True):
    """Run a function ``transform(row)`` over each row, a dict; it gives a dict, None drops it."""

    operator: ClassVar[str] = "custom.python"
    language: ClassVar[Literal["pandas", "pyspark", "python"]] = "python"


class Sql(Transform, frozen=True):
    """Ask a SELECT over the rows, the table ``df``.

    Parameters
    ----------
    sql
        One SELECT; it sees no other table, file or function that reads one.
    dialect
        Whose SQL it is: ``spark`` as Data Wrangler's, or ``duckdb``.
    """

    operator: ClassVar[str] = "custom.sql"
    learns: ClassVar[bool] = True
    sql: str
    dialect: Literal["spark", "duckdb"] = "spark"

    def fit(self, schemas: Sequence[Schema], ask: Ask) -> State:  # noqa: ARG002 DuckDB tells
        """Learn the names and types of its columns."""
        sql = f"SELECT column_name, column_type FROM (DESCRIBE {self._query()})"  # noqa: S608 a checked tree
        try:
            found = ask(sql)
        except duckdb.ProgrammingError as error:
            raise InvalidInput("sql", str(error).partition("\n\n")[0]) from None
        return {"columns": [[name, str(nearest(kind))] for name, kind in found]}

    def steps(self, schemas: Sequence[Schema], state: State) -> tuple[Step, ...]:  # noqa: ARG002
        """Ask it."""
        columns = {name: type_named(kind) for name, kind in state["columns"]}
        cast = ", ".join(
            f"CAST({quoted(name)} AS {kind.duckdb}) AS {quoted(name)}"
            for name, kind in columns.items()
        )
        sql = f"SELECT {cast} FROM ({self._query()})"  # noqa: S608 a checked tree, quoted names
        return (Query(sql, columns),)

    def _query(self) -> str:
        """Read the text, and let its table be the node's input. Raises InvalidInput."""
        if len(self.sql) > LONGEST:
            raise LimitExceeded(f"SQL has at most {LONGEST} characters")
        try:
            trees = [one for one in sqlglot.parse(self.sql, dialect=self.dialect) if one]
        except (SqlglotError, RecursionError) as error:
            told = [one.get("description") for one in getattr(error, "errors", ())]
            raise InvalidInput("sql", f"does not parse: {told[0] if told else error}") from None
        if len(trees) != 1 or not isinstance(trees[0], exp.Query):
            raise InvalidInput("sql", "is no SELECT, or more than one")
        tree = trees[0]
        for one in _outside(tree):
            if one.name.lower() != "df" or not isinstance(one.this, exp.Identifier) or one.db:
                outside = one.sql(dialect=self.dialect)
                raise InvalidInput("sql", f"reads {outside}", legal="df, the rows of the node")
            one.replace(exp.to_table("input0", alias=one.alias or "df"))
        return tree.sql(dialect="duckdb")


def _outside(tree: exp.Query) -> list[exp.Table]:
    """Find the tables that the query itself does not define."""
    own = {
        id(table)
        for scope in traverse_scope(tree)
        for table in scope.tables
        if table.name in scope.cte_sources and not table.db
    }
    return [one for one in tree.find_all(exp.Table) if id(one) not in own]
