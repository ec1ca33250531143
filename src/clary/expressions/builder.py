"""Expressions written in Python; they become the text that ``parse`` reads."""

from __future__ import annotations

import datetime as dt
from typing import Any

from clary.expressions.types import Type, quoted, type_named, type_of


class Term:
    """Part of an expression; its operators make larger ones.

    Parameters
    ----------
    text
        SQL that means the same whatever stands around it.

    Examples
    --------
    >>> str(col("weight") / col("height") ** 2)
    '("weight" / ("height" ** 2))'
    """

    __slots__ = ("_text",)
    __hash__ = None  # type: ignore[assignment]  # == makes a term

    def __init__(self, text: str) -> None:
        self._text = text

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"Term({self._text!r})"

    def __bool__(self) -> bool:
        raise TypeError("an expression has no truth of its own: combine with & | ~")

    def __add__(self, other: Any) -> Term:
        return _two(self, "+", other)

    def __radd__(self, other: Any) -> Term:
        return _two(other, "+", self)

    def __sub__(self, other: Any) -> Term:
        return _two(self, "-", other)

    def __rsub__(self, other: Any) -> Term:
        return _two(other, "-", self)

    def __mul__(self, other: Any) -> Term:
        return _two(self, "*", other)

    def __rmul__(self, other: Any) -> Term:
        return _two(other, "*", self)

    def __truediv__(self, other: Any) -> Term:
        return _two(self, "/", other)

    def __rtruediv__(self, other: Any) -> Term:
        return _two(other, "/", self)

    def __floordiv__(self, other: Any) -> Term:
        return _two(self, "//", other)

    def __rfloordiv__(self, other: Any) -> Term:
        return _two(other, "//", self)

    def __mod__(self, other: Any) -> Term:
        return _two(self, "%", other)

    def __rmod__(self, other: Any) -> Term:
        return _two(other, "%", self)

    def __pow__(self, other: Any) -> Term:
        return _two(self, "**", other)

    def __rpow__(self, other: Any) -> Term:
        return _two(other, "**", self)

    def __neg__(self) -> Term:
        return Term(f"(-{self})")

    def __eq__(self, other: object) -> Term:  # type: ignore[override]  # as every builder of expressions does
        return _two(self, "=", other)

    def __ne__(self, other: object) -> Term:  # type: ignore[override]  # as every builder of expressions does
        return _two(self, "<>", other)

    def __lt__(self, other: Any) -> Term:
        return _two(self, "<", other)

    def __le__(self, other: Any) -> Term:
        return _two(self, "<=", other)

    def __gt__(self, other: Any) -> Term:
        return _two(self, ">", other)

    def __ge__(self, other: Any) -> Term:
        return _two(self, ">=", other)

    def __and__(self, other: Any) -> Term:
        return _two(self, "AND", other)

    def __rand__(self, other: Any) -> Term:
        return _two(other, "AND", self)

    def __or__(self, other: Any) -> Term:
        return _two(self, "OR", other)

    def __ror__(self, other: Any) -> Term:
        return _two(other, "OR", self)

    def __invert__(self) -> Term:
        return Term(f"(NOT {self})")

    def __getitem__(self, index: Any) -> Term:
        return Term(f"{self}[{lit(index)}]")

    def is_null(self) -> Term:
        """Tell whether it is NULL."""
        return Term(f"({self} IS NULL)")

    def is_in(self, *options: Any) -> Term:
        """Tell whether it equals one of the options."""
        return Term(f"({self} IN ({', '.join(str(lit(one)) for one in options)}))")

    def between(self, low: Any, high: Any) -> Term:
        """Tell whether it lies between two values, both included."""
        return Term(f"({self} BETWEEN {lit(low)} AND {lit(high)})")

    def like(self, pattern: str) -> Term:
        """Match a pattern of ``%`` and ``_``."""
        return Term(f"({self} LIKE {lit(pattern)})")

    def cast(self, kind: Type | str, *, tries: bool = False) -> Term:
        """Convert; ``tries`` makes NULL of what does not convert."""
        word = (type_named(kind) if isinstance(kind, str) else kind).duckdb
        return Term(f"{'TRY_' if tries else ''}CAST({self} AS {word})")

    def otherwise(self, value: Any) -> Term:
        """Take another value where it is NULL."""
        return fn("coalesce", self, value)


class Choice:
    """Conditions and values so far; ends by ``otherwise``, or by itself with NULL."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def then(self, value: Any) -> Cases:
        """Give the value for the condition before."""
        return Cases(f"{self._text} THEN {lit(value)}")


class Cases(Term):
    """A CASE without its default."""

    __slots__ = ()

    def __str__(self) -> str:
        return f"CASE {self._text} END"

    def when(self, condition: Term) -> Choice:
        """Go on with another condition."""
        return Choice(f"{self._text} WHEN {condition}")

    def otherwise(self, value: Any) -> Term:
        """Give the value where no condition holds."""
        return Term(f"CASE {self._text} ELSE {lit(value)} END")


def col(name: str) -> Term:
    """Take the value of a column."""
    return Term(quoted(name))


def lit(value: Any) -> Term:
    """Take a Python value; a term stays as it is. Raises InvalidInput for what is no value."""
    if isinstance(value, Term):
        return value
    kind = type_of(value)
    if isinstance(value, str):
        return Term("'" + value.replace("'", "''") + "'")
    if isinstance(value, dt.date):
        return Term(f"CAST('{value.isoformat()}' AS {kind.duckdb})")
    if isinstance(value, float):
        return Term(f"CAST('{value!r}' AS DOUBLE)")
    return Term("NULL" if value is None else f"({value})" if value != abs(value) else str(value))


def when(condition: Term) -> Choice:
    """Begin a CASE: ``when(a > 1).then("x").otherwise("y")``."""
    return Choice(f"WHEN {condition}")


def fn(name: str, *arguments: Any) -> Term:
    """Call a function by its name."""
    return Term(f"{name}({', '.join(str(lit(one)) for one in arguments)})")


def _two(left: Any, sign: str, right: Any) -> Term:
    return Term(f"({lit(left)} {sign} {lit(right)})")
