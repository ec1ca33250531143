"""Truth in three values, and choice: only what is chosen is computed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from clary.expressions.function import Function
from clary.expressions.types import ANY, BOOLEAN

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Name = Callable[[], str]


def _and(left: bool | None, right: bool | None) -> bool | None:  # noqa: FBT001 - SQL's booleans
    if left is False or right is False:
        return False
    return None if left is None or right is None else True


def _or(left: bool | None, right: bool | None) -> bool | None:  # noqa: FBT001 - SQL's booleans
    if left is True or right is True:
        return True
    return None if left is None or right is None else False


def _case(sources: Sequence[str], _name: Name) -> str:
    chosen = sources[-1]
    for place in range(len(sources) - 3, -1, -2):
        chosen = f"{sources[place + 1]} if {sources[place]} else {chosen}"
    return f"({chosen})"


def _coalesce(sources: Sequence[str], name: Name) -> str:
    found = sources[-1]
    for source in reversed(sources[:-1]):
        one = name()
        found = f"{one} if ({one} := {source}) is not None else {found}"
    return f"({found})"


def _null_if(value: Any, other: Any) -> Any:
    if value is None or other is None:
        return value
    return None if value == other or (value != value and other != other) else value  # noqa: PLR0124 - tells NaN


_TWO = (BOOLEAN, BOOLEAN)
FUNCTIONS = (
    Function("and", _TWO, BOOLEAN, _and, "{0} AND {1}", "{0} AND {1}", nulls="seen"),
    Function("or", _TWO, BOOLEAN, _or, "{0} OR {1}", "{0} OR {1}", nulls="seen"),
    Function("not", (BOOLEAN,), BOOLEAN, "not {0}", "NOT {0}", "NOT {0}"),
    Function("is null", (ANY,), BOOLEAN, "{0} is None", "{0} IS NULL", "{0} IS NULL", nulls="seen"),
    Function(
        "is not null",
        (ANY,),
        BOOLEAN,
        "{0} is not None",
        "{0} IS NOT NULL",
        "{0} IS NOT NULL",
        nulls="seen",
    ),
    Function("coalesce", (ANY,), ANY, _coalesce, is_variadic=True, nulls="lazy"),
    Function("ifnull", (ANY, ANY), ANY, _coalesce, nulls="lazy"),
    Function("nullif", (ANY, ANY), ANY, _null_if, nulls="seen"),
    Function("if", (BOOLEAN, ANY, ANY), ANY, _case, nulls="lazy"),
)


def case(branches: int) -> Function:
    """Make the function of a CASE of so many branches and an ELSE."""
    whens = " ".join(f"WHEN {{{2 * n}}} THEN {{{2 * n + 1}}}" for n in range(branches))
    text = f"CASE {whens} ELSE {{{2 * branches}}} END"
    return Function(
        "case", (BOOLEAN, ANY) * branches + (ANY,), ANY, _case, text, text, nulls="lazy"
    )
