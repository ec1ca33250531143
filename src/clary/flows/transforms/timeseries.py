"""Series: rows of the same keys in the order of a time; windows, lags, gaps."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from clary.expressions import (
    BIGINT,
    BOOLEAN,
    DATE,
    DOUBLE,
    TIMESTAMP,
    TIMESTAMPTZ,
    Type,
    lit,
    parse,
)
from clary.expressions.types import quoted
from clary.flows.steps import Query
from clary.flows.transform import Transform, column
from clary.flows.transforms.queries import aggregate, found, partition
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clary.flows.steps import Schema, Step
    from clary.flows.transform import State

TIMES = (DATE, TIMESTAMP, TIMESTAMPTZ)
Unit = Literal["second", "minute", "hour", "day", "week", "month", "quarter", "year"]
MOST_STEPS = 100_000
_SECONDS = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400, "week": 604_800}


class Ordered(Transform, frozen=True):
    """What goes along a series.

    Parameters
    ----------
    time
        The column of the time; rows without one come last, equal times as they stand.
    keys
        What the rows of one series have in common; none: all rows are one series.
    """

    time: str
    keys: tuple[str, ...] = ()

    def window(self, schema: Schema) -> str:
        """Write the window of a row: its series, in order."""
        time = quoted(column(schema, self.time, *TIMES, BIGINT, field="time"))
        return f"{partition(found(schema, self.keys, 'keys'))}ORDER BY {time} NULLS LAST, rowid"


class Lag(Ordered, frozen=True, kw_only=True):
    """Add what columns were so many rows before in the series: ``column_lag_1``."""

    operator: ClassVar[str] = "series.lag"
    columns: tuple[str, ...]
    lags: tuple[int, ...] = (1,)

    def steps(self, schemas: Sequence[Schema], state: State) -> tuple[Step, ...]:  # noqa: ARG002
        """Look back; negative lags look ahead."""
        [schema] = schemas
        over = self.window(schema)
        made = {
            f"{name}_lag_{lag}": (f"lag({quoted(name)}, {_bounded(lag)}) OVER w", schema[name])
            for name in found(schema, self.columns, "columns")
            for lag in self.lags
        }
        return (added(schema, made, over),)


class Rolling(Ordered, frozen=True, kw_only=True):
    """Add aggregates over the rows up to each: ``column_mean_3``, of three rows with its own.

    Parameters
    ----------
    functions
        count, sum, mean, min, max, median, std or var; of the values that are not missing.
    size
        How many rows, or, with ``unit``, how long before each: ``column_mean_3_day``, without
        what is just so long ago.
    """

    operator: ClassVar[str] = "series.rolling"
    columns: tuple[str, ...]
    functions: tuple[str, ...] = ("mean",)
    size: int = 3
    unit: Unit | None = None

    def steps(self, schemas: Sequence[Schema], state: State) -> tuple[Step, ...]:  # noqa: ARG002
        """Aggregate over a window."""
        [schema] = schemas
        size = _bounded(self.size, least=1)
        time = column(schema, self.time, *TIMES, BIGINT, field="time")
        over, end = f"{self.window(schema)} ROWS {size - 1} PRECEDING", f"{size}"
        if self.unit:
            if schema[time] == BIGINT:
                raise InvalidInput(
                    "unit", f"{time!r} is a number", legal="no unit: rows are counted"
                )
            keys = partition(found(schema, self.keys, "keys"))
            over, end = f"{keys}{self._span(schema, time, size)} PRECEDING", f"{size}_{self.unit}"
        made = {}
        for name in found(schema, self.columns, "columns"):
            for function in self.functions:
                text, kind = aggregate(function, quoted(name), schema[name], over="w")
                made[f"{name}_{function}_{end}"] = (text, kind)
        return (added(schema, made, over),)

    def _span(self, schema: Schema, time: str, size: int) -> str:
        """Write an order by time and how far it reaches back: in microseconds, or in months."""
        moment = f"{quoted(time)}::TIMESTAMP" if schema[time] == DATE else quoted(time)
        length_s = _SECONDS.get(str(self.unit))
        if length_s is None or schema[time] == TIMESTAMPTZ:
            length = f"INTERVAL {size} {self.unit} - INTERVAL 1 microsecond"
            return f"ORDER BY {moment} RANGE ({length})"
        return f"ORDER BY epoch_us({moment}) RANGE {size * length_s * 1_000_000 - 1}"


class Fill(Ordered, frozen=True, kw_only=True):
    """Fill what is missing, NaN too, from its neighbours in the series.

    Parameters
    ----------
    how
        ``forward``: the last before; ``backward``: the next; ``interpolate``: on the line between
        the two, by time, which makes numbers ``double``; ends stay missing.
    """

    operator: ClassVar[str] = "series.fill"
    columns: tuple[str, ...]
    how: Literal["forward", "backward", "interpolate"] = "forward"

    def steps(self, schemas: Sequence[Schema], state: State) -> tuple[Step, ...]:  # noqa: ARG002
        """Look for the nearest on both sides."""
        [schema] = schemas
        time = column(schema, self.time, *TIMES, BIGINT, field="time")
        made = {}
        for name in found(schema, self.columns, "columns"):
            kind = schema[name]
            value = known(quoted(name), kind)
            before, after = _nearest(value)
            if self.how == "interpolate":
                column(schema, name, BIGINT, DOUBLE, field="columns")
                text, kind = _between(value, seconds(quoted(time), schema[time])), DOUBLE
            else:
                text = f"coalesce({value}, {before if self.how == 'forward' else after})"
            made[name] = (text, kind)
        return (added(schema, made, self.window(schema)),)


class ValidateTimes(Ordered, frozen=True, kw_only=True):
    """Find rows whose time is missing, or one that their series has already.

    Parameters
    ----------
    policy
        ``drop`` them, or ``flag`` all in a column ``time_is_valid``.
    """

    operator: ClassVar[str] = "series.validate_times"
    policy: Literal["drop", "flag"] = "drop"

    def steps(self, schemas: Sequence[Schema], state: State) -> tuple[Step, ...]:  # noqa: ARG002
        """Look for rows of the same time."""
        [schema] = schemas
        time = column(schema, self.time, *TIMES, BIGINT, field="time")
        keys = (*found(schema, self.keys, "keys"), time)
        over = f"{partition(keys)}ORDER BY rowid"
        valid = f"{quoted(time)} IS NOT NULL AND row_number() OVER w = 1"
        if self.policy == "flag":
            return (added(schema, {f"{time}_is_valid": (valid, BOOLEAN)}, over),)
        sql = f"SELECT * FROM input0 WINDOW w AS ({over}) QUALIFY {valid} ORDER BY rowid"  # noqa: S608 quoted names
        return (Query(sql, schema, is_ordered=True),)


class Range(Transform, frozen=True):
    """Add a column of times at even distances, in the order of the rows.

    Parameters
    ----------
    output
        Its name.
    start
        The first time, as ISO 8601 writes it.
    keys
        Begin anew for each combination of these.
    """

    operator: ClassVar[str] = "series.range"
    output: str
    start: str
    unit: Unit = "day"
    every: int = 1
    keys: tuple[str, ...] = ()

    def steps(self, schemas: Sequence[Schema], state: State) -> tuple[Step, ...]:  # noqa: ARG002
        """Count on from the start."""
        [schema] = schemas
        first = parse(f"CAST({lit(self.start)} AS TIMESTAMP)", {}).sql()
        over = f"{partition(found(schema, self.keys, 'keys'))}ORDER BY rowid"
        steps = f"CAST((row_number() OVER w - 1) * {_bounded(self.every)} AS INTEGER)"
        text = f"{first} + to_{self.unit}s({steps})"
        return (added(schema, {self.output: (text, TIMESTAMP)}, over),)


def added(schema: Schema, made: dict[str, tuple[str, Type]], over: str) -> Query:
    """Make the query of columns computed over a window ``w``; the rows stay in their order."""
    columns = {**schema, **{name: kind for name, (_, kind) in made.items()}}
    texts = ", ".join(
        f"{made[name][0]} AS {quoted(name)}" if name in made else quoted(name) for name in columns
    )
    sql = f"SELECT {texts} FROM input0 WINDOW w AS ({over}) ORDER BY rowid"  # noqa: S608 quoted names
    return Query(sql, columns, is_ordered=True)


def known(text: str, kind: Type) -> str:
    """Write a value that is missing where it is NaN."""
    return f"CASE WHEN NOT isnan({text}) THEN {text} END" if kind == DOUBLE else text


def seconds(text: str, kind: Type) -> str:
    """Write a time as a number that grows evenly."""
    if kind == BIGINT:
        return f"CAST({text} AS DOUBLE)"
    moment = f"timezone('UTC', {text})" if kind == TIMESTAMPTZ else f"CAST({text} AS TIMESTAMP)"
    return f"(CAST(epoch_us({moment}) AS DOUBLE) / 1000000)"


def _nearest(value: str) -> tuple[str, str]:
    """Write the last value up to a row, and the first from it on."""
    after = "ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING"
    return (
        f"last_value({value} IGNORE NULLS) OVER (w ROWS UNBOUNDED PRECEDING)",
        f"first_value({value} IGNORE NULLS) OVER (w {after})",
    )


def _between(value: str, time: str) -> str:
    number = f"CAST({value} AS DOUBLE)"
    before, after = _nearest(number)
    start, end = _nearest(f"CASE WHEN {value} IS NOT NULL THEN {time} END")
    line = f"{before} + ({after} - {before}) * ({time} - {start}) / nullif({end} - {start}, 0)"
    return f"coalesce({number}, {line})"


def _bounded(count: int, *, least: int = -MOST_STEPS) -> int:
    if not least <= count <= MOST_STEPS:
        raise InvalidInput("steps", f"{count}", legal=f"{least} … {MOST_STEPS}")
    return count
