"""Classes brought to comparable sizes, for training; what is predicted on is left alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from clary.expressions import BIGINT, DOUBLE
from clary.expressions.types import quoted
from clary.flows.steps import Query
from clary.flows.transform import Transform, column
from clary.flows.transforms.queries import found, fresh, listed, lot
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clary.flows.steps import Schema, Step
    from clary.flows.transform import State

_MOST_NEIGHBOURS = 100
_CANDIDATES = 1000


class Balance(Transform, frozen=True):
    """Bring classes to comparable sizes; rows of no class are kept as they are.

    Parameters
    ----------
    column
        The class of each row.
    ratio
        The size of the smaller classes to that of the largest afterwards, over 0 to 1.
    """

    column: str
    ratio: float = 1.0
    seed: int = 0

    def steps(self, schemas: Sequence[Schema], state: State) -> tuple[Step, ...]:  # noqa: ARG002
        """Count the classes, and make or drop rows."""
        [schema] = schemas
        name = column(schema, self.column)
        if not 0 < self.ratio <= 1:
            raise InvalidInput("ratio", f"{self.ratio}", legal="over 0 to 1")
        sql = self.written(schema, quoted(name))
        return (Query(sql, schema, record="same", is_ordered=True),)

    def written(self, schema: Schema, label: str) -> str:
        """Write the query."""
        raise NotImplementedError

    def _numbered(self, schema: Schema, label: str) -> str:
        """Give the rows with what they are called by: at, its place in its class, sizes."""
        at, place, size = (fresh(schema, one) for one in ("at", "place", "size"))
        return (
            f"numbered AS (SELECT *, rowid AS {at}, row_number() OVER (PARTITION BY {label} "  # noqa: S608 quoted names
            f"ORDER BY {lot(self.seed, 'rowid')}, rowid) AS {place}, "
            f"count(*) OVER (PARTITION BY {label}) AS {size} FROM input0)"
        )

    def _copied(self, schema: Schema, label: str, target: str, missing: int) -> str:
        """Give rows so often that their class has as many as ``target``; ``copy`` counts them.

        ``missing`` is how often rows of no class are given.
        """
        place, size, copy = (fresh(schema, one) for one in ("place", "size", "copy"))
        most = f"(SELECT max({size}) FROM numbered WHERE {label} IS NOT NULL)"  # noqa: S608 quoted names
        wanted = f"CAST({target.format(size=size, most=most)} AS BIGINT)"
        count = f"{wanted} // {size} + ({place} <= {wanted} % {size})::BIGINT"
        times = f"CASE WHEN {label} IS NULL THEN {missing} ELSE {count} END"
        return f"(SELECT *, unnest(range({times})) AS {copy} FROM numbered)"  # noqa: S608 quoted names


class Oversample(Balance, frozen=True):
    """Repeat random rows of the smaller classes."""

    operator: ClassVar[str] = "balance.oversample"

    def written(self, schema: Schema, label: str) -> str:
        """Repeat rows after all there were."""
        target = f"greatest({{size}}, ceil({{most}} * {self.ratio!r}))"
        copied = self._copied(schema, label, target, 1)
        at, copy = fresh(schema, "at"), fresh(schema, "copy")
        return (
            f"WITH {self._numbered(schema, label)} SELECT {listed(schema)} FROM {copied} "  # noqa: S608 quoted names
            f"ORDER BY {copy}, {at}"
        )


class Undersample(Balance, frozen=True):
    """Drop random rows of the larger classes."""

    operator: ClassVar[str] = "balance.undersample"

    def written(self, schema: Schema, label: str) -> str:
        """Keep the first of each class, as lots are drawn."""
        at, place, size = (fresh(schema, one) for one in ("at", "place", "size"))
        least = f"(SELECT min({size}) FROM numbered WHERE {label} IS NOT NULL)"  # noqa: S608 quoted names
        return (
            f"WITH {self._numbered(schema, label)} SELECT {listed(schema)} FROM numbered "  # noqa: S608 quoted names
            f"WHERE {label} IS NULL OR {place} <= floor({least} / {self.ratio!r}) ORDER BY {at}"
        )


class Smote(Balance, frozen=True):
    """Make rows between a random row of a smaller class and one of its neighbours.

    Numbers are taken between the two at random, whole ones rounded; categories are what most of
    the neighbours have; everything else is the first row's. Neighbours are near by Euclid's
    distance over the numbers as they stand, missing ones as 0, and are looked for among 1,000 rows
    of the class. Source: Chawla et al. 2002, SMOTE and SMOTE-NC.

    Parameters
    ----------
    neighbours
        How many of the nearest there are to choose from.
    categories
        Columns of categories. Two rows that differ in one are as far apart as the median of the
        deviations of the numbers of their class.
    """

    operator: ClassVar[str] = "balance.smote"
    neighbours: int = 5
    categories: tuple[str, ...] = ()

    def written(self, schema: Schema, label: str) -> str:
        """Make rows after all there were."""
        if not 1 <= self.neighbours <= _MOST_NEIGHBOURS:
            legal = f"1 … {_MOST_NEIGHBOURS}"
            raise InvalidInput("neighbours", f"{self.neighbours}", legal=legal)
        kinds = [quoted(one) for one in found(schema, self.categories, "categories")]
        if label in kinds:
            raise InvalidInput("categories", f"{label} is the class itself")
        numbers = [
            quoted(one)
            for one, kind in schema.items()
            if kind in (BIGINT, DOUBLE) and quoted(one) not in (label, *kinds)
        ]
        if not numbers:
            raise InvalidInput("column", "no other column holds numbers")
        at, copy, near = (fresh(schema, one) for one in ("at", "copy", "near"))
        target = f"greatest({{size}}, ceil({{most}} * {self.ratio!r})) - {{size}}"
        base = self._copied(schema, label, target, 0)
        chosen = f"n.{near}[1 + (hash(b.{at}, b.{copy}, {self.seed}) % len(n.{near}))::BIGINT]"
        names = listed(schema)
        cells = ", ".join(self._cell(schema, one, numbers, kinds) for one in schema)
        return (
            f"WITH {self._numbered(schema, label)}, base AS {base}, "  # noqa: S608 quoted names
            f"neighbours AS ({self._near(schema, label, numbers, kinds)}), "
            f"made AS (SELECT {cells}, b.{at} AS {at}, b.{copy} AS {copy} FROM base b "
            f"LEFT JOIN neighbours n ON n.{at} = b.{at} LEFT JOIN numbered c ON c.{at} = {chosen}) "
            f"SELECT {names} FROM (SELECT {names}, {at}, -1 AS {copy} FROM numbered "
            f"UNION ALL SELECT * FROM made) ORDER BY {copy}, {at}"
        )

    def _near(self, schema: Schema, label: str, numbers: list[str], kinds: list[str]) -> str:
        """Find the neighbours of each row, and what most of them have of each category."""
        at, place, near = (fresh(schema, one) for one in ("at", "place", "near"))
        apart = " + ".join(
            [f"power(coalesce(b.{x}, 0)::DOUBLE - coalesce(c.{x}, 0)::DOUBLE, 2)" for x in numbers]
            + [f"(b.{x} IS DISTINCT FROM c.{x})::BIGINT * s.apart" for x in kinds]
        )
        told = [f"list(c.{at} ORDER BY {apart}, c.{at})[:{self.neighbours}] AS {near}"] + [
            f"list_mode(list(c.{one} ORDER BY {apart}, c.{at})[:{self.neighbours}]) "
            f"AS {fresh(schema, f'mode{number}')}"
            for number, one in enumerate(kinds)
        ]
        deviations = ", ".join(f"stddev_samp({one})" for one in numbers)
        spread = (
            f"(SELECT {label} AS class, power(list_median([{deviations}]), 2) AS apart "  # noqa: S608 quoted names
            f"FROM numbered GROUP BY 1) s"
        )
        joined = f"JOIN {spread} ON s.class = b.{label} " if kinds else ""
        return (
            f"SELECT b.{at} AS {at}, {', '.join(told)} "  # noqa: S608 quoted names
            f"FROM (SELECT DISTINCT ON ({at}) * FROM base) b {joined}JOIN numbered c "
            f"ON b.{label} = c.{label} AND b.{at} <> c.{at} AND c.{place} <= {_CANDIDATES} "
            f"GROUP BY b.{at}"
        )

    def _cell(self, schema: Schema, name: str, numbers: list[str], kinds: list[str]) -> str:
        one = quoted(name)
        if one in kinds:
            mode = fresh(schema, f"mode{kinds.index(one)}")
            return f"coalesce(n.{mode}, b.{one}) AS {one}"
        if one not in numbers:
            return f"b.{one} AS {one}"
        at, copy = fresh(schema, "at"), fresh(schema, "copy")
        share = lot(self.seed + 1, f"b.{at}", f"b.{copy}")
        value = f"b.{one} + (coalesce(c.{one}, b.{one}) - b.{one}) * {share}"
        rounded = f"round({value})" if schema[name] == BIGINT else value
        return f"CAST({rounded} AS {schema[name].duckdb}) AS {one}"
