"""Numbers scaled by what was learned of them; missing, NaN and infinite ones teach nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from clary.expressions import BIGINT, DOUBLE, col
from clary.expressions.types import quoted
from clary.flows.steps import edit
from clary.flows.transform import Transform, columns, outputs
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from clary.expressions import Term
    from clary.flows.steps import Schema, Step
    from clary.flows.transform import Ask, State


def measured(ask: Ask, names: Sequence[str], measures: Mapping[str, str]) -> dict[str, Any]:
    """Measure the finite numbers of columns.

    Parameters
    ----------
    ask
        Asks the rows.
    names
        The columns.
    measures
        Aggregates over ``{0}``, by name.
    """
    finite = {
        one: f"CASE WHEN isfinite({quoted(one)}::DOUBLE) THEN {quoted(one)}::DOUBLE END"
        for one in names
    }
    asked = ", ".join(one.format(finite[name]) for name in names for one in measures.values())
    [found] = ask(f"SELECT {asked} FROM input0")  # noqa: S608 quoted names
    values = iter(found)
    return {name: {one: next(values) for one in measures} for name in names}


class Scaled(Transform, frozen=True):
    """Scale numbers; a column that has none stays as it is.

    Parameters
    ----------
    columns
        The columns, replaced where they stand.
    output
        The name of a new column for what is made of one column.
    """

    learns: ClassVar[bool] = True
    columns: tuple[str, ...]
    output: str = ""

    def fit(self, schemas: Sequence[Schema], ask: Ask) -> State:
        """Measure each column."""
        names = columns(schemas[0], self.columns, BIGINT, DOUBLE)
        return measured(ask, names, self.measures())

    def steps(self, schemas: Sequence[Schema], state: State) -> tuple[Step, ...]:
        """Scale each column."""
        [schema] = schemas
        names = outputs(columns(schema, self.columns, BIGINT, DOUBLE), self.output)
        made = {}
        for name, output in names.items():
            value, learned = col(name).cast("double"), state[name]
            is_known = all(one is not None for one in learned.values())
            made[output] = str(self.scaled(value, learned) if is_known else value)
        return (edit(schema, made),)

    def measures(self) -> Mapping[str, str]:
        """Give what to measure: aggregates over ``{0}``."""
        raise NotImplementedError

    def scaled(self, value: Term, learned: Mapping[str, float]) -> Term:
        """Scale a number."""
        raise NotImplementedError


class Standard(Scaled, frozen=True, kw_only=True):
    """Divide by the standard deviation where ``scale``, from the mean if ``center``.

    The deviation is of n - 1, as Spark has it; scikit-learn's is of n.
    """

    operator: ClassVar[str] = "numeric.standard"
    center: bool = True
    scale: bool = True

    def measures(self) -> Mapping[str, str]:
        """Mean and deviation; one number deviates by nothing."""
        return {"mean": "avg({0})", "deviation": "coalesce(stddev_samp({0}), 0)"}

    def scaled(self, value: Term, learned: Mapping[str, float]) -> Term:
        """Subtract and divide; a constant column is not divided."""
        moved = value - learned["mean"] if self.center else value
        return moved / (learned["deviation"] or 1.0) if self.scale else moved


class Robust(Scaled, frozen=True, kw_only=True):
    """Divide by the distance of two quantiles where ``scale``, from the median if ``center``."""

    operator: ClassVar[str] = "numeric.robust"
    center: bool = True
    scale: bool = True
    lower: float = 0.25
    upper: float = 0.75

    def measures(self) -> Mapping[str, str]:
        """Median and the two quantiles. Raises InvalidInput for quantiles that are none."""
        if not 0 <= self.lower < self.upper <= 1:
            raise InvalidInput("lower", f"{self.lower} … {self.upper}", legal="0 … 1, in order")
        return {
            "median": "quantile_cont({0}, 0.5)",
            "lower": f"quantile_cont({{0}}, {self.lower!r})",
            "upper": f"quantile_cont({{0}}, {self.upper!r})",
        }

    def scaled(self, value: Term, learned: Mapping[str, float]) -> Term:
        """Subtract and divide; a constant column is not divided."""
        moved = value - learned["median"] if self.center else value
        return moved / ((learned["upper"] - learned["lower"]) or 1.0) if self.scale else moved


class MinMax(Scaled, frozen=True, kw_only=True):
    """Map the range of a column to ``minimum`` … ``maximum``; a constant goes to the middle."""

    operator: ClassVar[str] = "numeric.min_max"
    minimum: float = 0.0
    maximum: float = 1.0

    def measures(self) -> Mapping[str, str]:
        """Measure the range. Raises InvalidInput where the wanted one is none."""
        if not self.minimum < self.maximum:
            raise InvalidInput("minimum", f"{self.minimum}", legal=f"less than {self.maximum}")
        return {"minimum": "min({0})", "maximum": "max({0})"}

    def scaled(self, value: Term, learned: Mapping[str, float]) -> Term:
        """Map linearly."""
        low, high = learned["minimum"], learned["maximum"]
        if low == high:
            return value * 0.0 + (self.minimum + self.maximum) / 2
        share = (value - low) / (high - low)
        return share * (self.maximum - self.minimum) + self.minimum


class MaxAbs(Scaled, frozen=True, kw_only=True):
    """Divide by the largest absolute number."""

    operator: ClassVar[str] = "numeric.max_abs"

    def measures(self) -> Mapping[str, str]:
        """Measure the largest."""
        return {"largest": "max(abs({0}))"}

    def scaled(self, value: Term, learned: Mapping[str, float]) -> Term:
        """Divide; zeros stay."""
        return value / (learned["largest"] or 1.0)
