"""What a function is: one entry, three executions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from clary.expressions.types import ANY, Type

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from clary.expressions.tree import Node


@dataclass(frozen=True)
class Function:
    """A function over arguments of fixed types; several may share a name.

    Parameters
    ----------
    name
        As it is called; operators by their sign.
    takes
        Types of the arguments; ``ANY`` for any one type that all the ANYs share.
    gives
        The type of its value; ``ANY`` is what the arguments share.
    run
        The value in Python: a function, or its source over ``{0}``, ``{1}``, …
    sql, spark
        Its text; ``{*}`` is every argument, ``{T}`` the type of the value. ``spark`` is None where
        Spark means something else, and may be a function that gives the text for the arguments.
    beside
        Called with the constants, gives more of them that Spark's text takes after the arguments.
    is_variadic
        The last argument may come any number of times, but once at least.
    nulls
        ``strict``: NULL when an argument is; ``seen``: it is handed them; ``lazy``: ``run`` is
        handed the sources of its arguments, and a function that names a new variable.
    constants
        Places of arguments that are constants. ``run`` is called with these when compiled, and
        returns the function of the others.
    check
        Called with the constants when parsed. Raises InvalidInput.
    fails
        It raises InvalidInput for some values.
    example
        A call, for the reference.
    """

    name: str
    takes: tuple[Type, ...]
    gives: Type
    run: Callable[..., Any] | str
    sql: str = ""
    spark: str | Callable[[Sequence[Node]], str] | None = ""
    beside: Callable[..., Sequence[Any]] | None = None
    is_variadic: bool = False
    nulls: Literal["strict", "seen", "lazy"] = "strict"
    constants: tuple[int, ...] = ()
    check: Callable[..., object] | None = None
    fails: bool = False

    def parameters(self, count: int) -> tuple[Type, ...] | None:
        """Say what types ``count`` arguments must have, None where it takes another number."""
        if self.is_variadic and count >= len(self.takes):
            return self.takes + self.takes[-1:] * (count - len(self.takes))
        return self.takes if count == len(self.takes) else None

    def result(self, common: Type) -> Type:
        """Say the type of its value where the ANYs are ``common``."""
        if self.gives == ANY:
            return common
        return Type("list", common) if self.gives.item == ANY else self.gives

    @property
    def signature(self) -> str:
        """Name and types, for messages and the reference."""
        dots = ", …" if self.is_variadic else ""
        return f"{self.name}({', '.join(map(str, self.takes))}{dots}) → {self.gives}"
