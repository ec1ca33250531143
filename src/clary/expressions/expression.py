"""An expression: parsed and checked once, then three executions."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from clary.expressions.render import render
from clary.expressions.row import compile_chain, compile_mapping, compile_rows
from clary.expressions.tree import Node, columns
from clary.kernel.errors import NotSupported

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import ModuleType

    from clary.expressions.builder import Term
    from clary.expressions.types import Type

_CACHED = 4096


@dataclass(frozen=True)
class Expression:
    r"""A checked expression.

    Examples
    --------
    >>> from clary.expressions import DOUBLE, parse
    >>> bmi = parse("weight / height ** 2", {"weight": DOUBLE, "height": DOUBLE})
    >>> bmi.type.name, sorted(bmi.columns)
    ('double', ['height', 'weight'])
    >>> print(bmi.sql())
    ("weight" / ("height" ** CAST('2.0' AS DOUBLE)))
    >>> bmi.row()({"weight": 81.0, "height": 1.8})
    25.0
    """

    text: str
    tree: Node

    @property
    def type(self) -> Type:
        """The type of its value."""
        return self.tree.type

    @property
    def columns(self) -> frozenset[str]:
        """The columns it reads."""
        return columns(self.tree)

    def sql(self) -> str:
        """Write it for DuckDB. Raises LimitExceeded when that is too long."""
        return render(self.tree, "duckdb")

    def spark(self) -> str:
        """Write it for Spark. Raises NotSupported where Spark has no text of the same meaning."""
        return render(self.tree, "spark")

    def row(self) -> Callable[[Mapping[str, Any]], Any]:
        """Compile a function from a row, as a mapping of every column it reads, to its value.

        The function raises InvalidInput where DuckDB fails: overflow, division of whole numbers
        by zero, text that is no number.
        """
        return _row(self)


def parse(text: str | Term, schema: Mapping[str, Type]) -> Expression:
    """Check an expression, text or built, over columns of the types given.

    Names of columns and functions ignore case.

    Raises
    ------
    InvalidInput
        It is no expression of the language; names what is not, and the nearest that is.
    LimitExceeded
        It is too large.
    NotSupported
        The extra ``features`` is not installed.
    """
    return _parse(str(text), tuple(schema.items()))


def check_text(text: str) -> None:
    """See to it that a text is an expression, whatever its columns are. Raises as ``parse``."""
    _parsing().check_text(text)


def lookup(
    value: Expression, table: Mapping[Any, Any], default: Any = None, *, gives: Type | None = None
) -> Expression:
    """Make the expression that finds a key's value in a table of up to 100,000.

    Parameters
    ----------
    value
        The key: a text or a whole number.
    table
        Values by key, of one type, none of them None.
    default
        The value of other keys; ``Ellipsis`` (``...``) makes them fail. NULL stays NULL.
    gives
        The type of the values, where there may be none.

    Raises
    ------
    InvalidInput
        Keys or values are of other types.
    LimitExceeded
        It is too large.
    """
    forms = importlib.import_module("clary.expressions.forms")
    tree = forms.lookup(value.tree, table, default, gives=gives)
    return Expression(f"lookup({value.text}, {len(table)} keys)", tree)


def compile_all(
    expressions: Sequence[Expression], columns: Sequence[str]
) -> Callable[[Sequence[Any]], tuple[Any, ...]]:
    """Compile expressions to one function from a row, in the order of ``columns``, to a tuple."""
    return _all(tuple(expressions), tuple(columns))


def compile_steps(
    columns: Sequence[str], steps: Sequence[Expression | Mapping[str, Expression]]
) -> Callable[[Sequence[Any]], tuple[Any, ...] | None]:
    """Compile steps one after another to one function from a row, in the order of ``columns``.

    Parameters
    ----------
    steps
        Each a condition, without which being true the function gives None; or all columns that
        there are afterwards, each computed from those before.
    """
    return compile_chain(
        columns,
        [
            one.tree
            if isinstance(one, Expression)
            else {name: made.tree for name, made in one.items()}
            for one in steps
        ],
    )


@lru_cache(_CACHED)
def _parse(text: str, schema: tuple[tuple[str, Type], ...]) -> Expression:
    return Expression(text, _parsing().parse_tree(text, dict(schema)))


def _parsing() -> ModuleType:
    try:
        return importlib.import_module("clary.expressions.parsing")
    except ModuleNotFoundError as error:
        raise NotSupported(
            f"expressions need {error.name}, which is not installed", hint="install clary[features]"
        ) from None


@lru_cache(_CACHED)
def _row(expression: Expression) -> Callable[[Mapping[str, Any]], Any]:
    named = compile_mapping({"value": expression.tree}, sorted(expression.columns))
    return lambda row: named(row)["value"]


@lru_cache(_CACHED)
def _all(
    expressions: tuple[Expression, ...], columns: tuple[str, ...]
) -> Callable[[Sequence[Any]], tuple[Any, ...]]:
    return compile_rows([one.tree for one in expressions], columns)
