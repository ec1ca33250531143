"""What went wrong while rows were computed, in words: which node, which value."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

import duckdb

from clary.expressions.types import quoted
from clary.flows.plans import named
from clary.kernel.errors import InvalidInput, LimitExceeded

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from duckdb import DuckDBPyConnection

    from clary.flows.model import Node

_OF_VALUES = (duckdb.DataError, duckdb.InvalidInputException)
_UNKNOWN = re.compile(r"Could not convert string 'unknown: (?P<value>.*)' to INT64", re.DOTALL)
_MEMORY = "this needs more memory than a flow may have"
_KIND = re.compile(r"^(\w+ )*Error: ")


@contextmanager
def explained(connection: DuckDBPyConnection, nodes: Sequence[Node]) -> Iterator[None]:
    """Tell at which node a value did not fit, when rows are computed inside.

    Parameters
    ----------
    nodes
        The nodes that are computed, each after its inputs. On failure their rows are computed
        once more, node by node, until one fails or has not learned yet.

    Raises
    ------
    InvalidInput
        A value does not fit a node that refuses such values: an unknown category, a text that
        is no number, a sum that is out of range.
    LimitExceeded
        A node needs more memory than the flow may have.
    """
    try:
        yield
    except (*_OF_VALUES, duckdb.OutOfMemoryException) as error:
        is_limit = isinstance(error, duckdb.OutOfMemoryException)
        said = _said(error)
        told = LimitExceeded(f"{_MEMORY}: {said}") if is_limit else InvalidInput("rows", said)
        where = next((one for one in nodes if _fails(connection, one)), None)
        raise (told if where is None else named(where, told)) from None


def _fails(connection: DuckDBPyConnection, node: Node) -> bool:
    """Compute all rows of a node, and keep none; the first that has none was being learned."""
    try:
        row = quoted(f"{node.id} row")
        sql = f"SELECT max(hash({row})) FROM {quoted(node.id)} AS {row}"  # noqa: S608 quoted names
        connection.execute(sql).fetchall()
    except (*_OF_VALUES, duckdb.OutOfMemoryException, duckdb.CatalogException):
        return True
    except duckdb.Error:
        return False
    return False


def _said(error: duckdb.Error) -> str:
    said = _KIND.sub("", str(error).partition("\n\n")[0])
    unknown = _UNKNOWN.search(said)
    return f"{unknown['value']!r} is none of the known values" if unknown else said
