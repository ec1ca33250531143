"""What a transform is: typed parameters, what it learns, and the steps it becomes."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from msgspec import Struct, structs

from clary.expressions import check_text
from clary.kernel.codec import from_json, to_json
from clary.kernel.errors import InvalidInput, LimitExceeded

if TYPE_CHECKING:
    from clary.expressions import Type
    from clary.flows.steps import Schema, Step

Ask = Callable[[str], list[tuple[Any, ...]]]
"""Asks DuckDB a SELECT over the node's rows, the table ``input0``; gives its rows."""
State = dict[str, Any]
"""What JSON holds."""


class Transform(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A transform: a subclass's fields are its parameters, its class variables say what it is.

    Parameters have the same names everywhere: ``columns`` are changed where they stand; ``column``
    stands where only one makes sense; ``output`` names a new column for what is made of one.

    Attributes
    ----------
    operator
        Its name in a flow: ``group.verb``.
    takes
        How many inputs it has; 0 for one or more.
    learns
        Whether ``fit`` learns anything: then it runs before ``steps``, once.
    """

    operator: ClassVar[str]
    takes: ClassVar[int] = 1
    learns: ClassVar[bool] = False

    def chosen(self) -> dict[str, Any]:
        """Give the parameters that are not as by default, as JSON has them."""
        return {
            one.encode_name: from_json(to_json(value))
            for one in structs.fields(self)
            if (value := getattr(self, one.name)) != one.default
        }

    def fit(self, schemas: Sequence[Schema], ask: Ask) -> State:  # noqa: ARG002 most learn nothing
        """Learn from all rows what ``steps`` needs.

        Parameters
        ----------
        schemas
            The columns of each input.
        ask
            Answers SQL over the rows of the inputs: ``input0``, ``input1``, ….

        Raises
        ------
        InvalidInput
            The rows do not allow it: an unknown column, no numbers.
        """
        return {}

    def steps(self, schemas: Sequence[Schema], state: State) -> tuple[Step, ...]:
        """Become steps, given what was learned; only the first may be a query of many inputs.

        Raises
        ------
        InvalidInput
            A parameter does not fit the columns; names both.
        """
        raise NotImplementedError


def check(text: str) -> None:
    """See to it that a parameter is an expression; one with ``{{values}}`` is not known yet.

    Raises
    ------
    ValueError
        It is none; says where. Who builds the transform makes it an InvalidInput with the place.
    """
    try:
        if "{{" not in text:
            check_text(text)
    except InvalidInput as error:
        raise ValueError(error.message) from None
    except LimitExceeded:
        return  # it is told where the node is planned


def column(schema: Schema, name: str, *kinds: Type, field: str = "column") -> str:
    """Find a column, whatever its case, and check its type.

    Raises
    ------
    InvalidInput
        There is none of that name, or it is of no such type; names what there is.
    """
    found = name if name in schema else _folded(schema, name)
    if found is None:
        known = ", ".join(list(schema)[:30])
        raise InvalidInput(field, f"there is no column {name!r}", legal=known)
    if kinds and schema[found] not in kinds:
        legal = ", ".join(map(str, kinds))
        raise InvalidInput(field, f"{found!r} is of the type {schema[found]}", legal=legal)
    return found


def columns(schema: Schema, names: Sequence[str], *kinds: Type) -> tuple[str, ...]:
    """Find columns, each once, and check their types. Raises InvalidInput, also for none."""
    found = dict.fromkeys(column(schema, one, *kinds, field="columns") for one in names)
    if not found:
        raise InvalidInput("columns", "there are none", legal="one or more")
    return tuple(found)


def outputs(names: Sequence[str], output: str) -> dict[str, str]:
    """Name what is made of each column: ``output``, or the column itself. Raises InvalidInput."""
    if output and len(names) != 1:
        raise InvalidInput("output", f"{output!r} is one name for {len(names)} columns")
    return {one: output or one for one in names}


def free(schema: Schema, name: str) -> str:
    """Make a name that no column has, whatever the case: with ``_1``, ``_2``, … where needed."""
    taken = {one.lower() for one in schema}
    numbers = itertools.count(1)
    found = name
    while found.lower() in taken:
        found = f"{name}_{next(numbers)}"
    return found


def _folded(schema: Schema, name: str) -> str | None:
    matching = [one for one in schema if one.lower() == name.lower()]
    return matching[0] if len(matching) == 1 else None
