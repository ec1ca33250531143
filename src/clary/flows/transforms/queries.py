"""Words of the queries of transforms: lists of names, lots that are drawn from a seed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clary.expressions import BIGINT, DOUBLE
from clary.expressions.types import quoted
from clary.flows.transform import column
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterable

    from clary.expressions import Type
    from clary.flows.steps import Schema

FUNCTIONS = {
    "count": "count({0})",
    "count_distinct": "count(DISTINCT {0})",
    "sum": "sum({0})",
    "mean": "avg({0})",
    "min": "min({0})",
    "max": "max({0})",
    "median": "median({0})",
    "std": "stddev_samp({0})",
    "var": "var_samp({0})",
}
"""Aggregates that need no order; of the values that are not missing."""
_COUNTS, _SAME = {"count", "count_distinct"}, {"min", "max", "first", "last"}
_ORDERED = {"first": "arg_min({0}, {1})", "last": "arg_max({0}, {1})"}


def listed(names: Iterable[str], table: str = "") -> str:
    """Write names, separated by commas."""
    start = f"{table}." if table else ""
    return ", ".join(start + quoted(one) for one in names)


def found(schema: Schema, names: Iterable[str], field: str) -> tuple[str, ...]:
    """Find columns, each once. Raises InvalidInput."""
    made = tuple(column(schema, one, field=field) for one in names)
    if len(set(made)) < len(made):
        raise InvalidInput(field, f"a column is named twice: {', '.join(made)}")
    return made


def fresh(schema: Schema, word: str) -> str:
    """Make a name that no column has, quoted."""
    taken = {one.lower() for one in schema}
    while word in taken:
        word += "_"
    return quoted(word)


def partition(keys: Iterable[str]) -> str:
    """Write the part of a window that keeps series apart."""
    names = listed(keys)
    return f"PARTITION BY {names} " if names else ""


def lot(seed: int, *texts: str) -> str:
    """Write a number from 0 to, without, 1, the same for the same seed and values."""
    return f"((hash({', '.join(texts)}, {int(seed)}) >> 11)::DOUBLE / 9007199254740992.0)"


def aggregate(
    function: str, text: str, kind: Type, *, time: str = "", only: str = "", over: str = ""
) -> tuple[str, Type]:
    """Write an aggregate of values of a type, and tell the type of what it gives.

    Parameters
    ----------
    time
        What ``first`` and ``last`` go by; without it these are refused.
    only
        A condition of the rows that count.
    over
        The window that it is taken over.

    Raises
    ------
    InvalidInput
        There is none of that name, or it is for numbers only.
    """
    known = FUNCTIONS | (_ORDERED if time else {})
    if function not in known:
        raise InvalidInput("function", repr(function), legal=", ".join(known))
    if function not in _COUNTS | _SAME and kind not in (BIGINT, DOUBLE):
        raise InvalidInput("function", f"{function} of {text}, a {kind}", legal="bigint, double")
    gives = BIGINT if function in _COUNTS else DOUBLE
    if function in _SAME or (function == "sum" and kind == BIGINT):
        gives = kind
    filtered = f" FILTER (WHERE {only})" if only else ""
    window = f" OVER {over}" if over else ""
    called = known[function].format(text, time)
    return f"CAST({called}{filtered}{window} AS {gives.duckdb})", gives
