"""Texts as numbers, truths, dates and times, and these as texts; types learned from the rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from clary.expressions import (
    BIGINT,
    BOOLEAN,
    DATE,
    DOUBLE,
    TIMESTAMP,
    VARCHAR,
    Term,
    Type,
    col,
    fn,
    lit,
    parse,
    type_named,
)
from clary.flows.steps import Filter, edit
from clary.flows.transform import Transform, columns, outputs
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from clary.flows.steps import Schema, Step
    from clary.flows.transform import Ask, State

_TYPES = {
    "long": BIGINT,
    "float": DOUBLE,
    "boolean": BOOLEAN,
    "date": DATE,
    "timestamp": TIMESTAMP,
    "string": VARCHAR,
}
_MISSING = ("", "na", "n/a", "null", "none", "nan", "-", "?")
_ZEROS = "[+-]?0[0-9].*"


class Cast(Transform, frozen=True):
    """Convert columns to another type.

    Parameters
    ----------
    columns
        The columns, replaced where they stand.
    to
        The type. Dates and times are read from ISO 8601; see the transforms of dates for others.
    invalid
        What happens to values that do not convert: ``null``: they become missing; ``drop``: their
        rows are dropped; ``fill``: they become ``fill``; ``error``.
    fill
        The value for ``fill``, as text.
    output
        The name of a new column for what is made of one column.
    """

    operator: ClassVar[str] = "parse.cast"
    columns: tuple[str, ...]
    to: Literal["long", "float", "boolean", "date", "timestamp", "string"]
    invalid: Literal["null", "drop", "fill", "error"] = "null"
    fill: str = ""
    output: str = ""

    def steps(self, schemas: Sequence[Schema], state: State) -> tuple[Step, ...]:  # noqa: ARG002
        """Convert each value, or try to."""
        [schema] = schemas
        names = outputs(columns(schema, self.columns), self.output)
        kind, tests = _TYPES[self.to], []
        made: dict[str, str] = {}
        for one, output in names.items():
            value = self._converted(one, schema, kind)
            if self.invalid == "drop":
                tests.append(Filter(parse(col(one).is_null() | ~value.is_null(), schema)))
            if self.invalid == "fill":
                filled = value.otherwise(self._filling(kind))
                value = Term(f"CASE WHEN {col(one)} IS NOT NULL THEN {filled} END")
            made[output] = str(value)
        return (*tests, edit(schema, dict(made)))

    def _converted(self, name: str, schema: Schema, kind: Type) -> Term:
        value = col(name)
        if schema[name] == kind:
            return value
        tries = self.invalid != "error"
        made = _tried(value, schema[name], kind) if tries else value.cast(kind)
        try:
            parse(made, schema)
        except InvalidInput as error:
            problem = f"{name!r}, a {schema[name]}, does not become a {kind}"
            raise InvalidInput("columns", problem, hint=error.message) from None
        return made

    def _filling(self, kind: Type) -> Term:
        made = lit(self.fill).cast(kind)
        try:
            parse(made, {})
        except InvalidInput:
            raise InvalidInput("fill", f"{self.fill!r} is no {kind}") from None
        return made


def _tried(value: Term, have: Type, kind: Type) -> Term:
    """Try to convert; a text that holds a time is a date too, and whole numbers lose fractions."""
    made = value.cast(kind, tries=True)
    if kind == BIGINT and have in (VARCHAR, DOUBLE):
        number = value.cast(DOUBLE, tries=True)
        cut = Term(
            f"CASE WHEN {number} < 0 THEN {fn('ceil', number)} ELSE {fn('floor', number)} END"
        )
        cut = cut.cast(BIGINT, tries=True)
        if have == DOUBLE:
            return cut
        is_whole = fn("regexp_full_match", value, "[+-]?[0-9]+")
        return Term(f"CASE WHEN {is_whole} THEN {made} ELSE {cut} END")
    if (have, kind) == (VARCHAR, DATE):
        return made.otherwise(value.cast(TIMESTAMP, tries=True).cast(DATE))
    return made


class Infer(Transform, frozen=True):
    """Learn the types of columns of text, and convert them.

    A column becomes ``bigint``, ``double``, ``boolean``, ``date`` or ``timestamp``, the first that
    fits all of its values; blanks around, and ``NA``, ``N/A``, ``null``, ``none``, ``NaN``, ``-``
    and ``?``, whatever their case, count as missing. Numbers that begin with 0, as codes do, stay
    texts. Values that do not convert later become missing.

    Parameters
    ----------
    columns
        The columns; all if none is given.
    """

    operator: ClassVar[str] = "parse.infer"
    learns: ClassVar[bool] = True
    columns: tuple[str, ...] = ()

    def fit(self, schemas: Sequence[Schema], ask: Ask) -> State:
        """Try every type on every value."""
        [schema] = schemas
        names = columns(schema, self.columns or tuple(schema))
        types = {one: schema[one].name for one in names}
        texts = [one for one in names if schema[one] == VARCHAR]
        if texts:
            asked = ", ".join(test for one in texts for test in _tests(one, schema))
            [found] = ask(f"SELECT {asked} FROM input0")  # noqa: S608 checked trees
            tests = iter(found)
            for one in texts:
                count, zeros, *fits = (next(tests) for _ in range(2 + len(_CANDIDATES)))
                types[one] = _type(count, zeros, fits)
        return {"types": types}

    def steps(self, schemas: Sequence[Schema], state: State) -> tuple[Step, ...]:
        """Convert the columns of text."""
        [schema] = schemas
        made: dict[str, str] = {}
        for name, kind in state["types"].items():
            if schema.get(name) == VARCHAR and kind != VARCHAR.name:
                made[name] = str(_tried(_told(name), VARCHAR, type_named(kind)))
        return (edit(schema, dict(made)),)


_CANDIDATES: Mapping[str, Type] = {
    one.name: one for one in (BIGINT, DOUBLE, BOOLEAN, DATE, TIMESTAMP)
}


def _told(name: str) -> Term:
    """Write a text without blanks around; missing where it says so."""
    text = fn("trim", col(name))
    return Term(f"CASE WHEN NOT {fn('lower', text).is_in(*_MISSING)} THEN {text} END")


def _tests(name: str, schema: Schema) -> list[str]:
    told = _told(name)
    whole = fn("regexp_full_match", told, r"[+-]?[0-9]+")
    conditions = [
        ~told.is_null(),
        fn("regexp_full_match", told, _ZEROS),
        *(
            ~told.cast(one, tries=True).is_null() & (whole if one == BIGINT else ~told.is_null())
            for one in _CANDIDATES.values()
        ),
    ]
    return [f"count(*) FILTER ({parse(one, schema).sql()})" for one in conditions]


def _type(count: int, zeros: int, fits: Sequence[int]) -> str:
    for name, fitting in zip(_CANDIDATES, fits, strict=True):
        is_code = zeros and name in {BIGINT.name, DOUBLE.name}
        if count and fitting == count and not is_code:
            return name
    return VARCHAR.name
