"""Flows over many rows, by DuckDB: a sample while it is made, or all the data, out of core."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from clary.expressions import type_named
from clary.expressions.types import quoted
from clary.flows import transforms
from clary.flows.fitted import NOTHING, Fitted, learned
from clary.flows.foreign import nearest
from clary.flows.plans import named, planned
from clary.flows.steps import Edit, Filter, Program, Query
from clary.kernel.errors import InvalidInput, NotSupported

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection, DuckDBPyRelation

    from clary.flows.model import Flow, Node
    from clary.flows.plans import Planned
    from clary.flows.sandboxed import Programs
    from clary.flows.steps import Schema, Step

_WORD = re.compile(
    r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|/\*.*?\*/|--[^\n]*|\binput(?P<place>\d{1,4})\b", re.DOTALL
)
"""A quoted text, a quoted name, a comment; or an input, which alone has a place."""


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
                    state = transform.fit(schemas, lambda sql: self._asked(node, sql))
                except InvalidInput as error:
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
        return self._connection.execute(_with_inputs(node.inputs, sql)).fetchall()

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
        if step.is_ordered:
            for one in (first, *node.inputs[1:]):
                self._keep(one)
        return _with_inputs((first, *node.inputs[1:]), step.sql)

    def _between(self, node: Node, place: int, sql: str) -> str:
        """Give the rows between two steps of a node a name."""
        name = f"{node.id} before {place}"
        self._connection.execute(f"CREATE OR REPLACE VIEW {quoted(name)} AS {sql}")
        return name

    def _program(self, node: Node, step: Program) -> str:
        """Ask for what code gave, as the columns that it gave when the flow was fitted."""
        ran = self._described(_ran(node)) if node.id in self._programs else self._run(node, step)
        for name in step.columns:
            if name not in ran:
                problem = f"the code gave no column {name!r}, which it gave when it was fitted"
                raise named(node, InvalidInput("code", problem))
        names = ", ".join(
            f"CAST({quoted(one)} AS {kind}) AS {quoted(one)}" for one, kind in step.columns.items()
        )
        return f"SELECT {names} FROM {quoted(_ran(node))}"  # noqa: S608 quoted names

    def _run(self, node: Node, step: Program) -> Schema:
        """Run code over all rows of a node's input; keeps what it gave as a table."""
        if self._run_program is None:
            raise NotSupported(f"the node {node.id} has code of its own, and there is no sandbox")
        table = self._connection.table(node.inputs[0]).to_arrow_table()
        try:
            given = self._run_program(step, table)
        except InvalidInput as error:
            raise named(node, error) from None
        self._connection.register(f"{node.id} given", given)
        found = self._connection.execute(f"DESCRIBE {quoted(f'{node.id} given')}").fetchall()
        names = ", ".join(
            f"CAST({quoted(row[0])} AS {nearest(row[1])}) AS {quoted(row[0])}" for row in found
        )
        sql = f"SELECT {names} FROM {quoted(f'{node.id} given')}"  # noqa: S608 quoted names
        self._connection.execute(f"CREATE OR REPLACE TABLE {quoted(_ran(node))} AS {sql}")
        self._connection.unregister(f"{node.id} given")
        self._programs.add(node.id)
        return self._described(_ran(node))

    def _keep(self, node: str) -> None:
        """Make a table of the rows of a node: only tables have an order."""
        if node not in self._kept:
            self._kept.add(node)
            views = "SELECT 1 FROM duckdb_views() WHERE view_name = ?"
            if not self._connection.execute(views, [node]).fetchall():
                return
            kept = quoted(f"{node} kept")
            self._connection.execute(f"CREATE TABLE {kept} AS FROM {quoted(node)}")
            self._connection.execute(f"DROP VIEW {quoted(node)}")
            self._connection.execute(f"ALTER TABLE {kept} RENAME TO {quoted(node)}")

    def _described(self, table: str) -> Schema:
        found = self._connection.execute(f"DESCRIBE {quoted(table)}").fetchall()
        return {row[0]: type_named(row[1]) for row in found}


def _ran(node: Node) -> str:
    return f"{node.id} ran"


def _with_inputs(inputs: tuple[str, ...], sql: str) -> str:
    """Call the tables ``input0``, … by the names of their nodes; texts stay as they are."""

    def put(found: re.Match[str]) -> str:
        place = found["place"]
        return quoted(inputs[int(place)]) if place and int(place) < len(inputs) else found[0]

    return _WORD.sub(put, sql)
