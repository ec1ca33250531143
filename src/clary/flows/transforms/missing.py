"""Missing values, NULL or NaN: filled, imputed, marked, dropped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from clary.expressions import BIGINT, DOUBLE, VARCHAR, Type, col, fn, lit, parse, when
from clary.expressions.types import type_of, widens
from clary.flows.steps import Filter, edit
from clary.flows.transform import Transform, columns, free, outputs
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clary.expressions import Term
    from clary.flows.steps import Schema, Step
    from clary.flows.transform import Ask, State

Value = str | bool | int | float


def absent(name: str, kind: Type) -> Term:
    """Write that a value is missing."""
    value = col(name)
    return value.is_null() | fn("isnan", value) if kind == DOUBLE else value.is_null()


def filled(name: str, kind: Type, value: Any) -> str:
    """Write a column with a value where it is missing."""
    if kind == DOUBLE:
        return str(when(absent(name, kind)).then(value).otherwise(col(name)))
    return str(col(name).otherwise(value))


class Fill(Transform, frozen=True):
    """Put a value where one is missing."""

    operator: ClassVar[str] = "missing.fill"
    columns: tuple[str, ...]
    value: Value
    output: str = ""

    def steps(self, schemas: Sequence[Schema], state: State) -> tuple[Step, ...]:  # noqa: ARG002
        """Fill each column with the value, as its type has it."""
        [schema] = schemas
        names = outputs(columns(schema, self.columns), self.output)
        made = {
            output: filled(one, schema[one], self._typed(one, schema[one]))
            for one, output in names.items()
        }
        return (edit(schema, made),)

    def _typed(self, name: str, kind: Type) -> Term:
        if widens(type_of(self.value), kind):
            return lit(self.value)
        try:
            given = parse(f"CAST({lit(str(self.value))} AS {kind.duckdb})", {})
        except InvalidInput:
            problem = f"{self.value!r} is no value of {name!r}, which is a {kind}"
            raise InvalidInput("value", problem) from None
        return lit(given.row()({}))


class Impute(Transform, frozen=True):
    """Put what is usual in a column where a value is missing.

    A mean makes numbers with a point of whole ones; so does a median that lies between two.
    """

    operator: ClassVar[str] = "missing.impute"
    learns: ClassVar[bool] = True
    columns: tuple[str, ...]
    strategy: Literal["mean", "median", "mode"] = "mean"
    output: str = ""

    def fit(self, schemas: Sequence[Schema], ask: Ask) -> State:
        """Learn the value for each column: of several that are as frequent, the least."""
        [schema] = schemas
        kinds = () if self.strategy == "mode" else (BIGINT, DOUBLE)
        learned = {}
        for one in columns(schema, self.columns, *kinds):
            where = f"FROM input0 WHERE NOT {parse(absent(one, schema[one]), schema).sql()}"
            if self.strategy == "mode":
                told = _kept_as_json(one, schema[one])
                rows = ask(f"SELECT {told} {where} GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1")
            else:
                word = {"mean": "avg", "median": "median"}[self.strategy]
                rows = ask(f"SELECT {word}({col(one)}) {where} AND isfinite({col(one)}::DOUBLE)")
            learned[one] = rows[0][0] if rows else None
        return {"values": learned}

    def steps(self, schemas: Sequence[Schema], state: State) -> tuple[Step, ...]:
        """Fill each column; one without any value stays as it is."""
        [schema] = schemas
        names = outputs(columns(schema, self.columns), self.output)
        made = {}
        for one, output in names.items():
            value, kind = state["values"][one], schema[one]
            if value is None:
                made[output] = str(col(one))
            elif kind in (BIGINT, DOUBLE) or isinstance(value, bool):
                made[output] = filled(one, kind, lit(value))
            else:
                made[output] = filled(one, kind, lit(value).cast(kind))
        return (edit(schema, made),)


def _kept_as_json(name: str, kind: Type) -> str:
    """Write a column as what JSON holds: dates and times as text."""
    if kind.item is not None or kind.fields:
        raise InvalidInput("columns", f"{name!r} is a {kind}", legal="columns of single values")
    is_plain = kind in (BIGINT, DOUBLE, VARCHAR) or kind.name == "boolean"
    return str(col(name)) if is_plain else f"{col(name)}::VARCHAR"


class Indicator(Transform, frozen=True):
    """Add a column that is true where a value is missing, ``<column>_missing``."""

    operator: ClassVar[str] = "missing.indicator"
    columns: tuple[str, ...]
    output: str = ""

    def steps(self, schemas: Sequence[Schema], state: State) -> tuple[Step, ...]:  # noqa: ARG002
        """Test each column."""
        [schema] = schemas
        names = columns(schema, self.columns)
        outputs(names, self.output)
        made = {
            self.output or free(schema, f"{one}_missing"): str(absent(one, schema[one]))
            for one in names
        }
        return (edit(schema, made),)


class Drop(Transform, frozen=True):
    """Drop rows in which any, or all, of the columns given are missing; of all if none is given."""

    operator: ClassVar[str] = "missing.drop"
    columns: tuple[str, ...] = ()
    how: Literal["any", "all"] = "any"

    def steps(self, schemas: Sequence[Schema], state: State) -> tuple[Step, ...]:  # noqa: ARG002
        """Keep rows without."""
        [schema] = schemas
        names = columns(schema, self.columns or tuple(schema))
        tests = [absent(one, schema[one]) for one in names]
        if self.how == "any":
            return tuple(Filter(parse(~one, schema)) for one in tests)
        return (Filter(parse(~fn("least", *tests), schema)),)


class DropColumns(Transform, frozen=True):
    """Drop columns of which a larger share than ``above``, 0 to 1, is missing."""

    operator: ClassVar[str] = "missing.drop_columns"
    learns: ClassVar[bool] = True
    columns: tuple[str, ...] = ()
    above: float = 0.5

    def fit(self, schemas: Sequence[Schema], ask: Ask) -> State:
        """Learn which columns are missing that often."""
        if not 0 <= self.above <= 1:
            raise InvalidInput("above", f"{self.above}", legal="0 … 1")
        [schema] = schemas
        names = columns(schema, self.columns or tuple(schema))
        shares = ", ".join(
            f"avg(({parse(absent(one, schema[one]), schema).sql()})::INT)" for one in names
        )
        [found] = ask(f"SELECT {shares} FROM input0")  # noqa: S608 quoted names
        pairs = zip(names, found, strict=True)
        return {"dropped": [name for name, share in pairs if (share or 0) > self.above]}

    def steps(self, schemas: Sequence[Schema], state: State) -> tuple[Step, ...]:
        """Keep the others."""
        return (edit(schemas[0], dict.fromkeys(state["dropped"])),)
