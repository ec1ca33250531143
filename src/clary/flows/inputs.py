"""The words of a query for its inputs and for the order of their rows, put into names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from clary.expressions.types import quoted
from clary.flows.graphs import free

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

ORDER = "rowid"
"""What queries call the number of a row of an input, from 0."""
_WORD = re.compile(
    r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|/\*.*?\*/|--[^\n]*"
    r"|\binput(?P<place>\d{1,4})\b|\b(?P<order>rowid)\b",
    re.DOTALL,
)
"""A quoted text, a quoted name, a comment; or an input or the order, which alone have a group."""


def with_inputs(sql: str, inputs: Sequence[str], order: str = ORDER) -> str:
    r"""Call the tables ``input0``, … by the names of their nodes, and ``rowid`` otherwise.

    Texts, quoted names and comments stay as they are.

    Examples
    --------
    >>> with_inputs("SELECT 'input0' FROM input0 ORDER BY rowid", ["a b"], "at")
    'SELECT \'input0\' FROM "a b" ORDER BY "at"'
    """

    def put(found: re.Match[str]) -> str:
        place = found["place"]
        if found["order"] and order != ORDER:
            return quoted(order)
        return quoted(inputs[int(place)]) if place and int(place) < len(inputs) else found[0]

    return _WORD.sub(put, sql)


def order_beside(columns: Iterable[str]) -> str:
    """Name the order of rows so that no column has that name: ``rowid``, or that with a number."""
    return free(ORDER, set(columns))
