"""What Spark's texts of functions are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clary.expressions.tree import Constant

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from clary.expressions.tree import Node


def let(body: str, **given: str) -> str:
    """Write a text that names its arguments as fields of ``v``, each computed once.

    The body stands inside of a lambda, where a column called as its variable would be hidden:
    it names no columns and no places of a template.

    Examples
    --------
    >>> let("v.a * v.a", a="{0}")
    "element_at(transform(array(named_struct('a', {0})), v -> v.a * v.a), 1)"
    """
    fields = ", ".join(f"'{name}', {text}" for name, text in given.items())
    return f"element_at(transform(array(named_struct({fields})), v -> {body}), 1)"


def whole(text: str, least: int = -(2**31) + 1) -> str:
    """Write a BIGINT as an INT, the nearest there is; missing if it is."""
    bounded = f"greatest({least}, least({text}, {2**31 - 1}))"
    return f"CAST(CASE WHEN {text} IS NOT NULL THEN {bounded} END AS INT)"


def failing(test: str, text: str, problem: str) -> str:
    """Write a value that fails where the test is true."""
    return f"CASE WHEN {test} THEN raise_error('{problem}') ELSE {text} END"


def plainly(plain: str, general: str, least: int = 0) -> Callable[[Sequence[Node]], str]:
    """Choose a plain text where all arguments but the first are constants from ``least`` on.

    ``plain`` has ``%s`` for these, which fit into an INT.
    """

    def chosen(arguments: Sequence[Node]) -> str:
        values = [one.value for one in arguments[1:] if isinstance(one, Constant)]
        numbers = [one for one in values if isinstance(one, int) and least <= one < 2**31]
        is_plain = len(numbers) == len(arguments) - 1 and numbers[0] > 0
        return plain % ", ".join(map(str, numbers)) if is_plain else general

    return chosen


EPOCH_US = (
    "(CAST(datediff({0}, DATE'1970-01-01') AS BIGINT) * 86400000000 + hour({0}) * 3600000000 "
    "+ minute({0}) * 60000000L + CAST(extract(SECOND FROM {0}) * 1000000 AS BIGINT))"
)
"""Microseconds of a timestamp without a zone, whatever the session's zone."""
_DAY_US = 86_400_000_000


def from_us(text: str) -> str:
    """Write microseconds since 1970 as a timestamp without a zone."""
    return (
        f"(TIMESTAMP_NTZ'1970-01-01 00:00:00' + make_dt_interval("
        f"CAST({text} DIV {_DAY_US} AS INT), 0, 0, "
        f"CAST(CAST({text} % {_DAY_US} AS DECIMAL(18, 0)) / 1000000 AS DECIMAL(18, 6))))"
    )
