"""Where the columns of a query come from, by its syntax tree."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.lineage import lineage
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import build_scope

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlglot.lineage import Node

    from clary.flows.origins import Origins
    from clary.flows.steps import Query, Schema


def traced(step: Query, inputs: Sequence[Origins], schemas: Sequence[Schema]) -> Origins | None:
    """Trace a query's columns by its syntax tree; None where that does not tell."""
    if not all(schemas):
        return None
    known: dict[str, object] = {
        f"input{place}": {name: str(kind) for name, kind in one.items()}
        for place, one in enumerate(schemas)
    }
    origin = {
        (f"input{place}", name.lower()): columns
        for place, one in enumerate(inputs)
        for name, columns in one.items()
    }
    try:
        tree = qualify(
            sqlglot.parse_one(step.sql, dialect="duckdb"),
            schema=known,
            dialect="duckdb",
            validate_qualify_columns=False,
        )
        scope = build_scope(tree)
        read = {
            name.lower(): [origin[one] for one in _leaves(node)]
            for name, node in lineage(None, tree, known, dialect="duckdb", scope=scope).items()
        }
        return {name: frozenset().union(*read[name.lower()]) for name in step.columns}
    except (SqlglotError, KeyError, ValueError):
        return None


def _leaves(traced: Node) -> Iterator[tuple[str, str]]:
    """Yield the tables and columns that a column was traced back to."""
    for one in traced.walk():
        if not one.downstream and isinstance(one.source, exp.Table):
            column = exp.to_column(one.name, dialect="duckdb")
            yield one.source.name.lower(), column.name.lower()
