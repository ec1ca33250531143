"""Numbers scaled by what was learned of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from clary.expressions import BIGINT, DOUBLE, col
from clary.expressions.types import quoted
from clary.flows.steps import edit
from clary.flows.transform import Transform, column

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clary.flows.steps import Schema, Step
    from clary.flows.transform import Ask, State


class Standard(Transform, frozen=True):
    """Scale numbers to a standard deviation of one, and a mean of zero where ``center``."""

    operator: ClassVar[str] = "numeric.standard"
    learns: ClassVar[bool] = True
    columns: tuple[str, ...]
    center: bool = True

    def fit(self, schemas: Sequence[Schema], ask: Ask) -> State:
        """Learn mean and standard deviation (n - 1) of each column; NaN counts as missing."""
        names = [column(schemas[0], one, BIGINT, DOUBLE) for one in self.columns]
        asked = ", ".join(
            f"avg({one}) FILTER ({one}::DOUBLE <> 'nan'), "
            f"stddev_samp({one}) FILTER ({one}::DOUBLE <> 'nan')"
            for one in map(quoted, names)
        )
        [found] = ask(f"SELECT {asked} FROM input0")  # noqa: S608 quoted names
        pairs = zip(names, found[::2], found[1::2], strict=True)
        return {name: {"mean": mean, "deviation": deviation} for name, mean, deviation in pairs}

    def steps(self, schemas: Sequence[Schema], state: State) -> tuple[Step, ...]:
        """Subtract and divide; a constant column becomes zero, one of no numbers stays."""
        made = {}
        for name, learned in state.items():
            if learned["mean"] is None:
                continue
            value = col(name).cast("double") - learned["mean"] * self.center
            made[name] = str(value / (learned["deviation"] or 1.0))
        return (edit(schemas[0], made),)
