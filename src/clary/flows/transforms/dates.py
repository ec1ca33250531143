"""Dates and times: read from texts, and taken apart into numbers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar, Literal

from clary.expressions import BIGINT, DATE, TIMESTAMP, TIMESTAMPTZ, VARCHAR, Term, col, fn
from clary.expressions import parse as expression
from clary.expressions.types import quoted
from clary.flows.steps import edit
from clary.flows.transform import Transform, column
from clary.flows.transforms.formats import COMMON, read
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clary.flows.steps import Schema, Step
    from clary.flows.transform import Ask, State

Part = Literal[
    "year", "quarter", "month", "week_of_year", "day_of_year", "day_of_week", "day",
    "hour", "minute", "second",
]  # fmt: skip
_FUNCTIONS = {"week_of_year": "week", "day_of_year": "dayofyear", "day_of_week": "isodow"}
_CYCLES = {
    "quarter": (1, 4), "month": (1, 12), "week_of_year": (1, 53), "day_of_year": (1, 366),
    "day_of_week": (1, 7), "day": (1, 31), "hour": (0, 24), "minute": (0, 60), "second": (0, 60),
}  # fmt: skip
_KINDS = (VARCHAR, BIGINT, DATE, TIMESTAMP, TIMESTAMPTZ)


class Timed(Transform, frozen=True):
    """What reads a column as a time.

    Parameters
    ----------
    column
        A date, a time, or a text of one.
    format
        How texts are written, as ``strptime`` says it (``%d/%m/%Y``); empty: it is inferred.
    zone
        The time zone in which parts of moments are told.
    """

    learns: ClassVar[bool] = True
    column: str
    format: str = ""
    zone: str = "UTC"

    def fit(self, schemas: Sequence[Schema], ask: Ask) -> State:
        """Infer the format by which most texts can be read, the more usual first."""
        name = column(schemas[0], self.column, *_KINDS)
        if schemas[0][name] != VARCHAR or self.format:
            return {"format": self.format}
        asked = ", ".join(
            f"count({expression(read(col(name), one), schemas[0]).sql()})" for one in COMMON
        )
        sql = (
            f"SELECT count({quoted(name)}), {asked} FROM "  # noqa: S608 quoted names
            f"(SELECT {quoted(name)} FROM input0 WHERE {quoted(name)} IS NOT NULL LIMIT 10000)"
        )
        [(count, *found)] = ask(sql)
        best = max(range(len(COMMON)), key=lambda place: (found[place], -place))
        if count and found[best] * 2 < count:
            problem = f"{name!r} holds dates of no format that is known"
            raise InvalidInput("format", problem, legal="%d/%m/%Y and so on")
        return {"format": COMMON[best]}

    def moment(self, schema: Schema, state: State) -> Term:
        """Give the column's time as a timestamp, in the zone."""
        name = column(schema, self.column, *_KINDS)
        if schema[name] == BIGINT:
            return fn("make_timestamp", col(name) * 1_000_000)
        if schema[name] == VARCHAR:
            return read(col(name), state["format"])
        if schema[name] == TIMESTAMPTZ:
            return fn("timezone", self.zone, col(name))
        return col(name).cast(TIMESTAMP)


class Parse(Timed, frozen=True):
    """Read a time from a text, or from whole seconds since 1970; what is none is missing."""

    operator: ClassVar[str] = "dates.parse"
    output: str = ""
    to: Literal["timestamp", "date"] = "timestamp"

    def steps(self, schemas: Sequence[Schema], state: State) -> tuple[Step, ...]:
        """Read each."""
        [schema] = schemas
        name = self.output or column(schema, self.column)
        return (edit(schema, {name: str(self.moment(schema, state).cast(self.to))}),)


class Featurize(Timed, frozen=True):
    """Take a time apart: ``column_year`` and so on, or sine and cosine of where in its cycle it is.

    Parameters
    ----------
    parts
        What is taken; Monday is the first day of the week, weeks are ISO's.
    embedding
        ``ordinal``: the numbers; ``cyclic``: ``column_month_sin`` and ``_cos``, the year a number.
    style
        A column each, or all in one vector ``column_features``.
    """

    operator: ClassVar[str] = "dates.featurize"
    parts: tuple[Part, ...] = ("year", "month", "day", "hour", "minute", "second")
    embedding: Literal["ordinal", "cyclic"] = "ordinal"
    style: Literal["columns", "vector"] = "columns"
    output: str = ""

    def steps(self, schemas: Sequence[Schema], state: State) -> tuple[Step, ...]:
        """Compute each part."""
        [schema] = schemas
        if not self.parts:
            raise InvalidInput("parts", "none is named", legal=", ".join(("year", *_CYCLES)))
        start = self.output or column(schema, self.column)
        moment = self.moment(schema, state)
        made: dict[str, Term] = {}
        for part in self.parts:
            number = fn(_FUNCTIONS.get(part, part), moment)
            if self.embedding == "ordinal" or part == "year":
                made[f"{start}_{part}"] = number
                continue
            first, length = _CYCLES[part]
            angle = (number - first) * (2 * math.pi / length)
            made |= {
                f"{start}_{part}_sin": fn("sin", angle),
                f"{start}_{part}_cos": fn("cos", angle),
            }
        if self.style == "vector":
            values = [one.cast("double") for one in made.values()]
            made = {f"{start}_features": fn("list_value", *values)}
        return (edit(schema, {name: str(one) for name, one in made.items()}),)
