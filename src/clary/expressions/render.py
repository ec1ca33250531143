"""A tree as text: DuckDB's and Spark's."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, Literal

from clary.expressions.tree import Call, Column, Constant, Node
from clary.expressions.types import BIGINT, DOUBLE, NULL, TIMESTAMPTZ, VARCHAR, quoted, ticked
from clary.kernel.errors import LimitExceeded, NotSupported

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Sequence

Dialect = Literal["duckdb", "spark"]
LONGEST_TEXT = 8_000_000
"""Characters of the SQL of one expression."""
_PLACE = re.compile(r"\{(\d|\d?\*|T)\}")


def fill(template: str, arguments: Sequence[str], kind: str = "") -> str:
    """Put arguments into a template: ``{0}``, ``{*}`` for all, ``{1*}`` for all but the first.

    Examples
    --------
    >>> fill("{0} IN ({1*})", ["a", "1", "2"])
    'a IN (1, 2)'
    """

    def put(place: re.Match[str]) -> str:
        word = place[1]
        if word == "T":
            return kind
        if word.endswith("*"):
            return ", ".join(arguments[int(word[:-1] or 0) :])
        return arguments[int(word)]

    return _PLACE.sub(put, template)


def render(node: Node, dialect: Dialect) -> str:
    """Write a tree as SQL that means the same whatever stands around it.

    Raises
    ------
    NotSupported
        A function means something else in Spark.
    LimitExceeded
        The text is too long.
    """
    if isinstance(node, Column):
        return quoted(node.name) if dialect == "duckdb" else ticked(node.name)
    if isinstance(node, Constant):
        return _constant(node, dialect)
    return _call(node, dialect)


def _call(node: Call, dialect: Dialect) -> str:
    function = node.function
    template = function.sql if dialect == "duckdb" else function.spark
    if callable(template):
        template = template(node.arguments)
    if template is None:
        raise NotSupported(
            f"{function.name} has no text in Spark that means the same",
            hint="run it in DuckDB, or by row",
        )
    arguments = [render(one, dialect) for one in (*node.arguments, *_beside(node, dialect))]
    kind = node.type.duckdb if dialect == "duckdb" else node.type.spark
    text = fill(template or f"{function.name}({{*}})", arguments, kind)
    if len(text) > LONGEST_TEXT:
        raise LimitExceeded(f"the SQL of the expression is over {LONGEST_TEXT} characters long")
    is_closed = not template or re.fullmatch(r"\w+\(.*\)", template)
    return text if is_closed else f"({text})"


def _beside(node: Call, dialect: Dialect) -> list[Constant]:
    if dialect == "duckdb" or node.function.beside is None:
        return []
    constants = [node.arguments[place] for place in node.function.constants]
    given = [one.value for one in constants if isinstance(one, Constant)]
    return [Constant(one, _KINDS[type(one)]) for one in node.function.beside(*given)]


def _constant(node: Constant, dialect: Dialect) -> str:
    kind = node.type.duckdb if dialect == "duckdb" else node.type.spark
    if node.value is None:
        return "NULL" if node.type == NULL else f"CAST(NULL AS {kind})"
    if isinstance(node.value, bool):
        return str(node.value).upper()
    return _WRITERS[node.type.name](node.value, kind, dialect)


def _double(value: float, kind: str, dialect: Dialect) -> str:
    if dialect == "spark" and math.isfinite(value):
        return f"{value!r}D"
    return f"CAST('{value!r}' AS {kind})"


def _text(value: str, _kind: str, dialect: Dialect) -> str:
    if dialect == "spark":
        value = value.replace("\\", "\\\\")
        return "'" + value.replace("'", "\\'") + "'"
    return "'" + value.replace("'", "''") + "'"


def _time(value: dt.date, kind: str, _dialect: Dialect) -> str:
    return f"CAST('{value}' AS {kind})"


_KINDS = {str: VARCHAR, int: BIGINT, float: DOUBLE}
_WRITERS: dict[str, Callable[[Any, str, Dialect], str]] = {
    BIGINT.name: lambda value, kind, _: f"CAST({value} AS {kind})",
    DOUBLE.name: _double,
    VARCHAR.name: _text,
    "date": _time,
    "timestamp": _time,
    TIMESTAMPTZ.name: _time,
}
