"""Outliers: numbers far away, categories that are rare."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from clary.expressions import BIGINT, DOUBLE, col, fn, lookup, parse, when
from clary.flows.steps import Filter, edit
from clary.flows.transform import Transform, columns, outputs
from clary.flows.transforms.encode import counted, text
from clary.flows.transforms.missing import absent
from clary.flows.transforms.numeric import measured
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from clary.flows.steps import Schema, Step
    from clary.flows.transform import Ask, State

_NORMAL_RANGE = 1.3489795003921634
"""Distance of the quartiles of a normal distribution, in standard deviations."""
Limits = tuple[float | None, float | None]


class Bounded(Transform, frozen=True):
    """Find numbers outside of limits, and mend them.

    Parameters
    ----------
    columns
        The columns, replaced where they stand.
    fix
        ``clip``: the limit instead; ``remove``: their rows are dropped; ``invalidate``: missing.
    output
        The name of a new column for what is made of one column.
    """

    learns: ClassVar[bool] = True
    columns: tuple[str, ...]
    fix: Literal["clip", "remove", "invalidate"] = "clip"
    output: str = ""

    def fit(self, schemas: Sequence[Schema], ask: Ask) -> State:
        """Learn the limits of each column."""
        names = columns(schemas[0], self.columns, BIGINT, DOUBLE)
        found = measured(ask, names, self.measures())
        limits = {name: self.limits(found[name]) for name in names}
        return {name: {"lower": low, "upper": high} for name, (low, high) in limits.items()}

    def steps(self, schemas: Sequence[Schema], state: State) -> tuple[Step, ...]:
        """Compare with the limits; missing values and NaN are no outliers."""
        [schema] = schemas
        names = outputs(columns(schema, self.columns, BIGINT, DOUBLE), self.output)
        known = {one: output for one, output in names.items() if state[one]["lower"] is not None}
        if self.fix == "remove":
            tests = [parse(self._within(one, schema, state), schema) for one in known]
            return (edit(schema, {}), *map(Filter, tests))
        made = {output: str(col(one)) for one, output in names.items()}
        made |= {output: self._mended(one, schema, state) for one, output in known.items()}
        return (edit(schema, made),)

    def _within(self, name: str, schema: Schema, state: State) -> str:
        value, low, high = col(name), state[name]["lower"], state[name]["upper"]
        return str(absent(name, schema[name]) | value.cast("double").between(low, high))

    def _mended(self, name: str, schema: Schema, state: State) -> str:
        value, low, high = col(name), state[name]["lower"], state[name]["upper"]
        if self.fix == "invalidate":
            within = parse(self._within(name, schema, state), schema).text
            return f"CASE WHEN {within} THEN {value} END"
        number = value.cast("double")
        clipped = fn("greatest", fn("least", number, high), low)
        return str(when(absent(name, schema[name])).then(number).otherwise(clipped))

    def measures(self) -> Mapping[str, str]:
        """Give what to measure: aggregates over ``{0}``."""
        raise NotImplementedError

    def limits(self, learned: Mapping[str, float]) -> Limits:
        """Give the limits of a column; None where it has no numbers."""
        raise NotImplementedError


class StandardDeviation(Bounded, frozen=True, kw_only=True):
    """Outliers are further from the mean than so many standard deviations."""

    operator: ClassVar[str] = "outliers.standard_deviation"
    deviations: float = 4.0

    def measures(self) -> Mapping[str, str]:
        """Mean and deviation (of n - 1)."""
        return {"center": "avg({0})", "deviation": "coalesce(stddev_samp({0}), 0)"}

    def limits(self, learned: Mapping[str, float]) -> Limits:
        """So far on either side."""
        return _around(learned["center"], learned["deviation"], self.deviations)


class Robust(Bounded, frozen=True, kw_only=True):
    """Outliers are further from the median than so many deviations, told by the quartiles.

    The deviation is the distance of the quartiles by 1.349: what it is of normal numbers.
    """

    operator: ClassVar[str] = "outliers.robust"
    deviations: float = 4.0

    def measures(self) -> Mapping[str, str]:
        """Median and quartiles."""
        return {
            "center": "quantile_cont({0}, 0.5)",
            "first": "quantile_cont({0}, 0.25)",
            "third": "quantile_cont({0}, 0.75)",
        }

    def limits(self, learned: Mapping[str, float]) -> Limits:
        """So far on either side."""
        if learned["center"] is None:
            return None, None
        deviation = (learned["third"] - learned["first"]) / _NORMAL_RANGE
        return _around(learned["center"], deviation, self.deviations)


class Quantile(Bounded, frozen=True, kw_only=True):
    """Outliers are below the lower quantile or above the upper one."""

    operator: ClassVar[str] = "outliers.quantile"
    lower: float = 0.01
    upper: float = 0.99

    def measures(self) -> Mapping[str, str]:
        """Both quantiles. Raises InvalidInput for what are none."""
        if not 0 <= self.lower < self.upper <= 1:
            raise InvalidInput("lower", f"{self.lower} … {self.upper}", legal="0 … 1, in order")
        return {
            "lower": f"quantile_cont({{0}}, {self.lower!r})",
            "upper": f"quantile_cont({{0}}, {self.upper!r})",
        }

    def limits(self, learned: Mapping[str, float]) -> Limits:
        """They are the limits."""
        return learned["lower"], learned["upper"]


class MinMax(Bounded, frozen=True, kw_only=True):
    """Outliers are below ``lower`` or above ``upper``."""

    operator: ClassVar[str] = "outliers.min_max"
    learns: ClassVar[bool] = False
    lower: float
    upper: float

    def steps(self, schemas: Sequence[Schema], state: State) -> tuple[Step, ...]:  # noqa: ARG002
        """Compare with the limits given."""
        if not self.lower <= self.upper:
            raise InvalidInput("lower", f"{self.lower}", legal=f"at most {self.upper}")
        given = {"lower": self.lower, "upper": self.upper}
        names = columns(schemas[0], self.columns, BIGINT, DOUBLE)
        return Bounded.steps(self, schemas, dict.fromkeys(names, given))


class Rare(Transform, frozen=True):
    """Replace categories of fewer rows than ``count``, or a smaller share of them, by one text.

    Parameters
    ----------
    columns
        The columns, replaced where they stand. Missing values stay; new categories are rare.
    count, fraction
        The least number of rows, and the least share of the rows that have a category, to be kept.
    replacement
        What stands for the rare ones.
    output
        The name of a new column for what is made of one column.
    """

    operator: ClassVar[str] = "outliers.rare"
    learns: ClassVar[bool] = True
    columns: tuple[str, ...]
    count: int = 0
    fraction: float = 0.0
    replacement: str = "Other"
    output: str = ""

    def fit(self, schemas: Sequence[Schema], ask: Ask) -> State:
        """Learn which are kept."""
        if self.count <= 0 and not 0 < self.fraction <= 1:
            problem = f"count {self.count} and fraction {self.fraction}"
            raise InvalidInput("count", problem, legal="a count, or a fraction of 0 to 1")
        [schema] = schemas
        kept = {}
        for one in columns(schema, self.columns):
            found = counted(schema, one, ask)
            least = max(self.count, self.fraction * sum(count for _, count in found))
            kept[one] = [category for category, count in found if count >= least]
        return {"kept": kept}

    def steps(self, schemas: Sequence[Schema], state: State) -> tuple[Step, ...]:
        """Look up whether one is kept."""
        [schema] = schemas
        names = outputs(columns(schema, self.columns), self.output)
        made = {
            output: lookup(
                text(schema, one), {kept: kept for kept in state["kept"][one]}, self.replacement
            )
            for one, output in names.items()
        }
        return (edit(schema, dict(made)),)


def _around(center: float | None, deviation: float, count: float) -> Limits:
    if count < 0:
        raise InvalidInput("deviations", f"{count}", legal="0 or more")
    return (
        (None, None) if center is None else (center - count * deviation, center + count * deviation)
    )
