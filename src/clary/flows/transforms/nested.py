"""What has parts: structs and texts of JSON made flat, lists made rows."""

from __future__ import annotations

import json
from itertools import islice
from typing import TYPE_CHECKING, Any, ClassVar

from clary.expressions import BIGINT, BOOLEAN, DOUBLE, VARCHAR, Term, Type, col, fn
from clary.expressions.types import quoted
from clary.flows.graphs import free
from clary.flows.steps import Query, edit
from clary.flows.transform import Transform, column
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from clary.flows.steps import Schema, Step
    from clary.flows.transform import Ask, State

_MOST_FIELDS = 1000
_MOST_ITEMS = 100
_FUNCTIONS = {VARCHAR: "text", BIGINT: "bigint", DOUBLE: "double", BOOLEAN: "boolean"}
_LEARNED = {
    "UBIGINT": BIGINT, "BIGINT": BIGINT, "DOUBLE": DOUBLE, "HUGEINT": DOUBLE, "BOOLEAN": BOOLEAN,
    "VARCHAR": VARCHAR, "NULL": VARCHAR, "JSON": VARCHAR,
}  # fmt: skip


class Flatten(Transform, frozen=True):
    """Make a column of each value inside of a struct, or of texts of JSON: ``column_key_inner``.

    Values of JSON are texts, whole numbers, numbers and booleans; values that are not of the type
    learned are left out.

    Parameters
    ----------
    drops
        Drop the column.
    items
        How many of the first items of each array in JSON become columns, ``column_key_0`` and so
        on, at most 100; 0: arrays are left out.
    """

    operator: ClassVar[str] = "nested.flatten"
    learns: ClassVar[bool] = True
    column: str
    drops: bool = True
    items: int = 0

    def fit(self, schemas: Sequence[Schema], ask: Ask) -> State:
        """Learn the keys and types in JSON, from the first 100,000 objects."""
        [schema] = schemas
        if not 0 <= self.items <= _MOST_ITEMS:
            raise InvalidInput("items", f"{self.items}", legal=f"0 … {_MOST_ITEMS}")
        name = quoted(column(schema, self.column))
        if schema[column(schema, self.column)] != VARCHAR:
            return {}
        [[found]] = ask(
            f"SELECT json_group_structure({name}::JSON) FROM (SELECT {name} FROM input0 "  # noqa: S608 a quoted name
            f"WHERE CASE WHEN json_valid({name}) THEN json_type({name}) END = 'OBJECT' "
            f"LIMIT 100000)"
        )
        structure = json.loads(found) if found else {}
        places: list[list[Any]] = []
        if isinstance(structure, dict):
            places += islice(_places(structure, self.items), _MOST_FIELDS + 1)
        if not places:
            raise InvalidInput("column", f"{self.column!r} holds no objects of JSON")
        return {"places": places}

    def steps(self, schemas: Sequence[Schema], state: State) -> tuple[Step, ...]:
        """Take each value."""
        [schema] = schemas
        name = column(schema, self.column)
        parts = dict(_fields(col(name), schema[name], ()))
        if schema[name] == VARCHAR:
            parts = {tuple(keys): _value(col(name), keys, kind) for keys, kind in state["places"]}
        if not 1 <= len(parts) <= _MOST_FIELDS:
            problem = f"{name!r}, a {schema[name]}, has {len(parts)} values inside"
            raise InvalidInput("column", problem, legal=f"1 … {_MOST_FIELDS}")
        made: dict[str, str | None] = {name: None} if self.drops else {}
        for keys, term in parts.items():
            made[free("_".join((name, *keys)), {*schema, *made})] = str(term)
        return (edit(schema, made),)


def _fields(
    value: Term, kind: Type, above: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], Term]]:
    for name, inner in kind.fields:
        keys, term = (*above, name), value[name]
        if inner.fields:
            yield from _fields(term, inner, keys)
        else:
            yield keys, term


def _places(structure: Any, items: int, above: tuple[str, ...] = ()) -> Iterator[list[Any]]:
    """Yield the keys and the type of each value: of objects by name, of arrays by place."""
    if isinstance(structure, dict):
        for key, inner in structure.items():
            if key:
                yield from _places(inner, items, (*above, key))
    elif isinstance(structure, list):
        for at in range(items):
            yield from _places(structure[0], items, (*above, str(at)))
    else:
        yield [list(above), str(_LEARNED.get(structure, VARCHAR))]


def _value(text: Term, keys: Sequence[str], kind: str) -> Term:
    word = next(word for known, word in _FUNCTIONS.items() if str(known) == kind)
    pointer = "".join(f"/{one.replace('~', '~0').replace('/', '~1')}" for one in keys)
    return fn(f"json_{word}", text, pointer)


class Explode(Transform, frozen=True):
    """Make a row of each value of a list; a row whose list is missing or empty is dropped.

    Parameters
    ----------
    output
        The name of the column of values; empty: the list's own.
    place
        The name of a column that tells the place in the list, from 0.
    """

    operator: ClassVar[str] = "nested.explode"
    column: str
    output: str = ""
    place: str = ""

    def steps(self, schemas: Sequence[Schema], state: State) -> tuple[Step, ...]:  # noqa: ARG002
        """Unnest."""
        [schema] = schemas
        name = column(schema, self.column)
        kind = schema[name].item
        if kind is None:
            raise InvalidInput("column", f"{name!r} is of the type {schema[name]}", legal="a list")
        output = self.output or name
        columns: dict[str, Type] = {**schema, output: kind}
        made = {output: f"unnest({quoted(name)})"}
        if self.place:
            columns[self.place] = BIGINT
            made[self.place] = f"unnest(range(len({quoted(name)})))"
        texts = ", ".join(
            f"{made[one]} AS {quoted(one)}" if one in made else quoted(one) for one in columns
        )
        return (Query(f"SELECT {texts} FROM input0", columns),)  # noqa: S608 quoted names
