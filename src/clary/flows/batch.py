"""Flows over many rows, by DuckDB: a sample while it is made, or all the data, out of core."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from clary.expressions import type_named
from clary.expressions.types import quoted
from clary.flows import transforms
from clary.flows.fitted import NOTHING, Fitted, finite, learned
from clary.flows.foreign import nearest
from clary.flows.graphs import free
from clary.flows.inputs import ORDER, order_beside, with_inputs
from clary.flows.plans import named, planned
from clary.flows.steps import Edit, Filter, Program, Query
from clary.flows.transforms.queries import listed
from clary.kernel.errors import InvalidInput, LimitExceeded, NotSupported

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection, DuckDBPyRelation

    from clary.flows.model import Flow, Node
    from clary.flows.plans import Planned
    from clary.flows.sandboxed import Programs
    from clary.flows.steps import Schema, Step


class Batch:
    """A flow over tables of a DuckDB connection.

    Parameters
    ----------
    connection
        Where the rows of each source are the table or view of its node's name.
    flow
        The flow.
    fitted
        What was learned before; kept for nodes that have not changed.
    programs
        Runs the flow's own code over a table (``sandboxed.Sandbox.run``); without it, nodes of
        such code are refused.
    """

    def __init__(
        self,
        connection: DuckDBPyConnection,
        flow: Flow,
        fitted: Fitted = NOTHING,
        *,
        programs: Programs | None = None,
    ) -> None:
        self._connection = connection
        self._run_program = programs
        self._flow = flow
        self._nodes = {one.id for one in flow.nodes}
        self.fitted = fitted
        self._columns: dict[str, Schema] = {}
        self._kept: set[str] = set()
        self._programs: set[str] = set()

    def fit(self, node: str) -> Fitted:
        """Learn whatever a node and those before it have not learned yet."""
        for one in self._flow.until(node):
            self._ensure(one)
        return self.fitted

    def rows(self, node: str) -> DuckDBPyRelation:
        """Give the rows of a node, computed while they are read."""
        self.fit(node)
        return self._connection.table(node)

    def _ensure(self, node: Node) -> None:
        if node.id in self._columns:
            return
        if node.operator == "source":
            columns = self._columns[node.id] = self._described(node.id)
            noted = {**self.fitted.nodes, node.id: learned(node, columns, {})}
            self.fitted = Fitted(noted)
            return
        schemas = [self._columns[one] for one in node.inputs]
        transform = transforms.of(node)
        if self.fitted.learned(node) is None:
            state = {}
            if transform.learns:
                try:
                    state = finite(transform.fit(schemas, lambda sql: self._asked(node, sql)))
                except (InvalidInput, LimitExceeded) as error:
                    raise named(node, error) from None
            noted = {**self.fitted.nodes, node.id: learned(node, {}, state)}
            made = planned(node, schemas, Fitted(noted))
            if isinstance(made.steps[0], Program):
                ran = self._run(node, made.steps[0])
                state = {"columns": [[name, str(kind)] for name, kind in ran.items()]}
                noted[node.id] = learned(node, ran, state)
                made = planned(node, schemas, Fitted(noted))
            noted[node.id] = learned(node, made.columns, state)
            self.fitted = Fitted(noted)
        else:
            made = planned(node, schemas, self.fitted)
        self._view(made)
        self._columns[node.id] = made.columns

    def _asked(self, node: Node, sql: str) -> list[tuple[Any, ...]]:
        return self._connection.execute(with_inputs(sql, node.inputs)).fetchall()

    def _view(self, made: Planned) -> None:
        node = made.node
        sql = f"SELECT * FROM {quoted(node.inputs[0])}"  # noqa: S608 a quoted name
        for place, step in enumerate(made.steps):
            if place and isinstance(step, Query):
                sql = self._query(node, step, self._between(node, place, sql))
            else:
                sql = self._step(node, step, sql)
        self._connection.execute(f"CREATE OR REPLACE VIEW {quoted(made.node.id)} AS {sql}")

    def _step(self, node: Node, step: Step, sql: str) -> str:
        if isinstance(step, Edit):
            names = ", ".join(
                f"{step.made[one].sql()} AS {quoted(one)}" if one in step.made else quoted(one)
                for one in step.columns
            )
            return f"SELECT {names} FROM ({sql})"  # noqa: S608 quoted names
        if isinstance(step, Filter):
            return f"SELECT * FROM ({sql}) WHERE {step.condition.sql()}"  # noqa: S608 a checked tree
        if isinstance(step, Query):
            return self._query(node, step, node.inputs[0])
        return self._program(node, step)

    def _query(self, node: Node, step: Query, first: str) -> str:
        inputs = [first, *node.inputs[1:]]
        if not step.asks_order:
            return with_inputs(step.sql, inputs)
        for one in inputs:
            self._keep(one)
        order = order_beside({name for one in inputs for name in self._described(one)})
        if order == ORDER:
            return with_inputs(step.sorted_sql, inputs)
        sql = with_inputs(step.sorted_sql, [self._numbered(one, order) for one in inputs], order)
        return f"SELECT {listed(step.columns)} FROM ({sql})"  # noqa: S608 quoted names

    def _numbered(self, rows: str, order: str) -> str:
        """Give rows a column of their numbers: one of theirs hides the order."""
        name = self._beside(rows, f"by {order}")
        numbered = f"SELECT *, row_number() OVER () - 1 AS {quoted(order)} FROM {quoted(rows)}"  # noqa: S608 quoted names
        self._connection.execute(f"CREATE OR REPLACE VIEW {quoted(name)} AS {numbered}")
        return name

    def _beside(self, rows: str, word: str) -> str:
        """Name a table that stands beside the rows of a node, as no node is called."""
        return free(f"{rows} {word}", self._nodes)

    def _between(self, node: Node, place: int, sql: str) -> str:
        """Give the rows between two steps of a node a name."""
        name = self._beside(node.id, f"before {place}")
        self._connection.execute(f"CREATE OR REPLACE VIEW {quoted(name)} AS {sql}")
        return name

    def _program(self, node: Node, step: Program) -> str:
        """Ask for what code gave, as the columns that it gave when the flow was fitted."""
        ran = (
            self._described(self._beside(node.id, "ran"))
            if node.id in self._programs
            else self._run(node, step)
        )
        for name in step.columns:
            if name not in ran:
                problem = f"the code gave no column {name!r}, which it gave when it was fitted"
                raise named(node, InvalidInput("code", problem))
        names = ", ".join(
            f"CAST({quoted(one)} AS {kind.duckdb}) AS {quoted(one)}"
            for one, kind in step.columns.items()
        )
        return f"SELECT {names} FROM {quoted(self._beside(node.id, 'ran'))}"  # noqa: S608 quoted names

    def _run(self, node: Node, step: Program) -> Schema:
        """Run code over all rows of a node's input; keeps what it gave as a table."""
        if self._run_program is None:
            raise NotSupported(f"the node {node.id} has code of its own, and there is no sandbox")
        table = self._connection.table(node.inputs[0]).to_arrow_table()
        try:
            given = self._run_program(step, table)
        except (InvalidInput, LimitExceeded) as error:
            raise named(node, error) from None
        self._connection.register(f"{node.id} given", given)
        found = self._connection.execute(f"DESCRIBE {quoted(f'{node.id} given')}").fetchall()
        names = ", ".join(
            f"CAST({quoted(row[0])} AS {nearest(row[1]).duckdb}) AS {quoted(row[0])}"
            for row in found
        )
        sql = f"SELECT {names} FROM {quoted(f'{node.id} given')}"  # noqa: S608 quoted names
        made = self._beside(node.id, "ran")
        self._connection.execute(f"CREATE OR REPLACE TABLE {quoted(made)} AS {sql}")
        self._connection.unregister(f"{node.id} given")
        self._programs.add(node.id)
        return self._described(made)

    def _keep(self, node: str) -> None:
        """Make a table of the rows of a node: only tables have an order."""
        if node not in self._kept:
            self._kept.add(node)
            views = "SELECT 1 FROM duckdb_views() WHERE view_name = ?"
            if not self._connection.execute(views, [node]).fetchall():
                return
            kept = quoted(self._beside(node, "kept"))
            self._connection.execute(f"CREATE TABLE {kept} AS FROM {quoted(node)}")
            self._connection.execute(f"DROP VIEW {quoted(node)}")
            self._connection.execute(f"ALTER TABLE {kept} RENAME TO {quoted(node)}")

    def _described(self, table: str) -> Schema:
        found = self._connection.execute(f"DESCRIBE {quoted(table)}").fetchall()
        return {row[0]: type_named(row[1]) for row in found}
