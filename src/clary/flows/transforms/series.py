"""Series as wholes: at even times, as lists of one length, as features."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from clary.expressions import (
    BIGINT,
    DOUBLE,
    TIMESTAMP,
    TIMESTAMPTZ,
    Type,
    col,
    fn,
    lit,
    parse,
    when,
)
from clary.expressions.types import quoted
from clary.flows.steps import Query, edit
from clary.flows.transform import Transform, column, free
from clary.flows.transforms.queries import aggregate, found, fresh, listed
from clary.flows.transforms.timeseries import MOST_STEPS, TIMES, Ordered, Unit, known, seconds
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clary.flows.steps import Schema, Step
    from clary.flows.transform import Ask, State

_LONGEST = 200
_MOST_ROWS = 100_000_000
_CLOCK = ("second", "minute", "hour")


class Resample(Ordered, frozen=True, kw_only=True):
    """Bring series to even times: one row a series and interval, called by its beginning.

    Parameters
    ----------
    every, unit
        The length of an interval. Days and longer ones begin at midnight in the zone, weeks on
        Mondays.
    aggregates
        A function a column: count, sum, mean, min, max, median, std, var, or first, last.
    fills_gaps
        Make rows of intervals without any, between the first and the last of a series; their
        columns are missing. There are at most 100,000,000 rows then.
    zone
        Whose midnights count for a ``timestamptz``.
    """

    operator: ClassVar[str] = "series.resample"
    unit: Unit
    aggregates: dict[str, str]
    every: int = 1
    fills_gaps: bool = True
    zone: str = "UTC"

    def steps(self, schemas: Sequence[Schema], state: State) -> tuple[Step, ...]:  # noqa: ARG002
        """Group by interval, and join that with all intervals."""
        [schema] = schemas
        time = column(schema, self.time, *TIMES, field="time")
        keys = found(schema, self.keys, "keys")
        if time in keys:
            raise InvalidInput("keys", f"{time!r} is the time, and no key of a series")
        made = self._aggregated(schema, (*keys, time), quoted(time))
        zone = self._zone(schema[time])
        kind = TIMESTAMPTZ if zone else TIMESTAMP
        at = fresh(schema, "at")
        local = f"timezone({zone}, {quoted(time)})" if zone else f"{quoted(time)}::TIMESTAMP"
        start = "".join(f"{quoted(one)}, " for one in keys)
        texts = ", ".join(f"{text} AS {quoted(one)}" for one, (text, _) in made.items())
        back = f"timezone({zone}, {at})" if zone else at
        order = "".join(f"{quoted(one)} NULLS LAST, " for one in keys)
        sql = (
            f"WITH made AS (SELECT {start}time_bucket({self._length()}, {local}) AS {at}, {texts} "  # noqa: S608 quoted names
            f"FROM input0 WHERE {quoted(time)} IS NOT NULL GROUP BY ALL) "
            f"SELECT {start}{back} AS {quoted(time)}, {listed(made)} "
            f"FROM {self._all(schema, keys, made)} ORDER BY {order}{at}"
        )
        columns = {**{one: schema[one] for one in keys}, time: kind}
        return (Query(sql, {**columns, **{one: kind for one, (_, kind) in made.items()}}),)

    def _aggregated(
        self, schema: Schema, taken: tuple[str, ...], time: str
    ) -> dict[str, tuple[str, Type]]:
        made = {}
        for name, function in self.aggregates.items():
            one = column(schema, name, field="aggregates")
            if one in taken:
                raise InvalidInput("aggregates", f"{one!r} is what rows are gathered by")
            made[one] = aggregate(function, quoted(one), schema[one], time=time)
        if not made:
            raise InvalidInput("aggregates", "there are none", legal='{"column": "mean"}')
        return made

    def _zone(self, kind: Type) -> str:
        """Write the zone in which intervals begin; empty for times without one."""
        if kind != TIMESTAMPTZ:
            return ""
        zone = lit("UTC" if self.unit in _CLOCK else self.zone)
        parse(f"timezone({zone}, m)", {"m": TIMESTAMP})
        return str(zone)

    def _length(self) -> str:
        if not 1 <= self.every <= MOST_STEPS:
            raise InvalidInput("every", f"{self.every}", legal=f"1 … {MOST_STEPS}")
        return f"INTERVAL {self.every} {self.unit}"

    def _all(self, schema: Schema, keys: tuple[str, ...], made: dict[str, tuple[str, Type]]) -> str:
        """Give all intervals of each series."""
        if not self.fills_gaps:
            return "made"
        at, low, high = (fresh(schema, one) for one in ("at", "low", "high"))
        count = f"sum(date_diff('{self.unit}', {low}, {high}) // {self.every} + 1) OVER ()"
        told = f"'all intervals are ' || {count} || ' rows; legal: at most {_MOST_ROWS}'"
        spread = f"generate_series({low}, {high}, {self._length()})"
        spread = f"CASE WHEN {count} > {_MOST_ROWS} THEN error({told}) ELSE {spread} END"
        start = "".join(f"{quoted(one)}, " for one in keys)
        names = (*map(quoted, keys), at)
        same = " AND ".join(f"g.{one} IS NOT DISTINCT FROM m.{one}" for one in names)
        return (
            f"(SELECT {', '.join(f'g.{one}' for one in names)}, {listed(made, 'm')} FROM (SELECT "  # noqa: S608 quoted names
            f"{start}unnest({spread}) AS {at} FROM (SELECT "
            f"{start}min({at}) AS {low}, max({at}) AS {high} FROM made GROUP BY ALL)) g "
            f"LEFT JOIN made m ON {same})"
        )


class Gather(Ordered, frozen=True):
    """Make a row of each series: its keys, and lists of all else in the order of the time."""

    operator: ClassVar[str] = "series.gather"

    def steps(self, schemas: Sequence[Schema], state: State) -> tuple[Step, ...]:  # noqa: ARG002
        """Gather the rows of each."""
        [schema] = schemas
        time = quoted(column(schema, self.time, *TIMES, BIGINT, field="time"))
        keys = found(schema, self.keys, "keys")
        columns = {one: schema[one] for one in keys}
        columns |= {one: Type("list", kind) for one, kind in schema.items() if one not in keys}
        texts = [
            quoted(one)
            if one in keys
            else f"list({quoted(one)} ORDER BY {time} NULLS LAST, rowid) AS {quoted(one)}"
            for one in columns
        ]
        sql = f"SELECT {', '.join(texts)} FROM input0"  # noqa: S608 quoted names
        if keys:
            order = ", ".join(f"{quoted(one)} NULLS LAST" for one in keys)
            sql += f" GROUP BY {listed(keys)} ORDER BY {order}"
        return (Query(sql, columns, is_ordered=True),)


class StandardizeLength(Transform, frozen=True):
    """Bring lists to one length: longer ones lose their end, shorter ones get a value.

    Parameters
    ----------
    length
        ``shortest``, ``longest``, ``mean`` or ``median`` of all, learned and rounded up, or a
        number; at most 200.
    fill
        What is put at the end of lists of numbers; else, and for others, what is missing.
    """

    operator: ClassVar[str] = "series.standardize_length"
    learns: ClassVar[bool] = True
    columns: tuple[str, ...]
    length: Literal["shortest", "longest", "mean", "median"] | int = "longest"
    fill: float | None = None

    def fit(self, schemas: Sequence[Schema], ask: Ask) -> State:
        """Learn the length."""
        names = self._lists(schemas[0])
        if isinstance(self.length, int):
            return {"length": self._checked(self.length)}
        word = {"shortest": "min", "longest": "max", "mean": "avg", "median": "median"}[self.length]
        lengths = " UNION ALL ".join(
            f"SELECT len({quoted(one)}) AS size FROM input0"  # noqa: S608 a quoted name
            for one in names
        )
        [[found]] = ask(f"SELECT CAST(ceil({word}(size)) AS BIGINT) FROM ({lengths})")  # noqa: S608 see above
        return {"length": self._checked(found or 0)}

    def steps(self, schemas: Sequence[Schema], state: State) -> tuple[Step, ...]:
        """Take each place, or the fill."""
        [schema] = schemas
        made = {}
        for name in self._lists(schema):
            kind = schema[name].item
            fill = self.fill if kind in (BIGINT, DOUBLE) else None
            other = lit(fill).cast(kind) if fill is not None and kind else lit(None)
            size = fn("length", col(name))
            places = [
                when(size >= at).then(col(name)[at]).otherwise(other)
                for at in range(1, state["length"] + 1)
            ]
            whole = fn("list_value", *places)
            made[name] = str(when(col(name).is_null()).then(None).otherwise(whole))
        return (edit(schema, made),)

    def _lists(self, schema: Schema) -> list[str]:
        names = [column(schema, one, field="columns") for one in self.columns]
        for one in names:
            if schema[one].item is None:
                raise InvalidInput(
                    "columns", f"{one!r} is of the type {schema[one]}", legal="lists"
                )
        return names

    def _checked(self, length: int) -> int:
        if not 1 <= length <= _LONGEST:
            raise InvalidInput("length", f"{length}", legal=f"1 … {_LONGEST}")
        return length


class ExtractFeatures(Ordered, frozen=True, kw_only=True):
    """Make a row of each series: what is telling of its columns of numbers.

    They are ``column_count``, ``_mean``, ``_std``, ``_min``, ``_max``, ``_median``, ``_sum``,
    ``_first`` and ``_last``, ``_slope`` (per second) and ``_r2`` of the line through it,
    ``_mean_change`` and ``_mean_abs_change`` from row to row, and ``_autocorrelation`` at one row.
    Missing numbers and NaN are left out.
    """

    operator: ClassVar[str] = "series.extract_features"
    columns: tuple[str, ...]

    def steps(self, schemas: Sequence[Schema], state: State) -> tuple[Step, ...]:  # noqa: ARG002
        """Aggregate each series."""
        [schema] = schemas
        time = column(schema, self.time, *TIMES, BIGINT, field="time")
        keys = found(schema, self.keys, "keys")
        names = found(schema, self.columns, "columns")
        at = fresh(schema, "at")
        columns = {one: schema[one] for one in keys}
        texts, inner = [quoted(one) for one in keys], [quoted(one) for one in keys]
        for place, name in enumerate(names):
            column(schema, name, BIGINT, DOUBLE, field="columns")
            value, before = fresh(schema, f"value{place}"), fresh(schema, f"before{place}")
            number = f"CAST({known(quoted(name), schema[name])} AS DOUBLE)"
            over = self.window(schema)
            inner += [
                f"{number} AS {value}",
                f"lag({number} IGNORE NULLS) OVER ({over}) AS {before}",
            ]
            for feature, text in _features(value, before, at).items():
                kind = BIGINT if feature == "count" else DOUBLE
                output = free(columns, f"{name}_{feature}")
                columns[output] = kind
                texts.append(f"CAST({text} AS {kind.duckdb}) AS {quoted(output)}")
        inner.append(f"{seconds(quoted(time), schema[time])} AS {at}")
        sql = f"SELECT {', '.join(texts)} FROM (SELECT {', '.join(inner)} FROM input0)"  # noqa: S608 quoted names
        if keys:
            order = ", ".join(f"{quoted(one)} NULLS LAST" for one in keys)
            sql += f" GROUP BY {listed(keys)} ORDER BY {order}"
        return (Query(sql, columns, is_ordered=True),)


def _features(value: str, before: str, at: str) -> dict[str, str]:
    plain = {one: f"{word}({value})" for one, word in _PLAIN.items()}
    finite = f"FILTER (WHERE isfinite({value}) AND isfinite({at}))"
    both = f"FILTER (WHERE isfinite({value}) AND isfinite({before}))"
    return plain | {
        "first": f"arg_min({value}, {at})",
        "last": f"arg_max({value}, {at})",
        "slope": f"regr_slope({value}, {at}) {finite}",
        "r2": f"regr_r2({value}, {at}) {finite}",
        "mean_change": f"avg({value} - {before})",
        "mean_abs_change": f"avg(abs({value} - {before}))",
        "autocorrelation": f"corr({value}, {before}) {both}",
    }


_PLAIN = {
    "count": "count", "mean": "avg", "std": "stddev_samp", "min": "min", "max": "max",
    "median": "median", "sum": "sum",
}  # fmt: skip
