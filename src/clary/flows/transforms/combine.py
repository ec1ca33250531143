"""Rows of several inputs: joined, put one after another."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from clary.expressions import BIGINT, VARCHAR, lit
from clary.expressions.types import quoted, shared
from clary.flows.steps import Query
from clary.flows.transform import Transform, column
from clary.flows.transforms.queries import fresh, listed
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from clary.expressions import Type
    from clary.flows.steps import Schema, Step
    from clary.flows.transform import State

_MOST_KEYS = 10
_LEFT_ONLY = {"left_anti": "ANTI", "left_semi": "SEMI"}


class Join(Transform, frozen=True):
    """Join two inputs. Missing keys match nothing.

    Rows come in the order of the left's, what matches one of them in the order of the right's;
    last are those of the right that match nothing.

    Columns that both have, in whatever case, are called ``name_0`` and ``name_1`` afterwards, with
    ``_dup`` where such a name is taken.

    Parameters
    ----------
    on
        The keys: a name that both have, or the left's and the right's; at most ten.
    how
        Which rows: ``left_semi`` and ``left_anti`` keep the left's columns alone.
    """

    operator: ClassVar[str] = "combine.join"
    takes: ClassVar[int] = 2
    on: tuple[str | tuple[str, str], ...] = ()
    how: Literal["inner", "left", "right", "full", "left_anti", "left_semi", "cross"] = "inner"

    def steps(self, schemas: Sequence[Schema], state: State) -> tuple[Step, ...]:  # noqa: ARG002
        """Match the keys."""
        left, right = schemas
        pairs = [self._pair(left, right, one) for one in self.on]
        if (self.how == "cross") != (not pairs) or len(pairs) > _MOST_KEYS:
            legal = f"1 … {_MOST_KEYS}; none for a cross join"
            raise InvalidInput(
                "on", f"{len(pairs)} keys for a join of kind {self.how}", legal=legal
            )
        test = " AND ".join(f"l.{quoted(one)} = r.{quoted(other)}" for one, other in pairs)
        on = f" ON {test}" if pairs else ""
        kind = _LEFT_ONLY.get(self.how, self.how.upper())
        if self.how in _LEFT_ONLY:
            sql = f"SELECT l.* FROM input0 AS l {kind} JOIN input1 AS r{on}"  # noqa: S608 quoted names
            return (Query(sql, left, order="l.rowid"),)
        columns, texts = {}, []
        for table, schema, names in zip("lr", schemas, renamed(left, right), strict=True):
            for before, after in names.items():
                columns[after] = schema[before]
                texts.append(f"{table}.{quoted(before)} AS {quoted(after)}")
        sql = f"SELECT {', '.join(texts)} FROM input0 AS l {kind} JOIN input1 AS r{on}"  # noqa: S608 quoted names
        return (Query(sql, columns, order="l.rowid NULLS LAST, r.rowid"),)

    def _pair(self, left: Schema, right: Schema, key: str | tuple[str, str]) -> tuple[str, str]:
        first, second = (key, key) if isinstance(key, str) else key
        one, other = column(left, first, field="on"), column(right, second, field="on")
        if shared((left[one], right[other])) is None:
            problem = f"{one!r} is a {left[one]}, {other!r} a {right[other]}"
            raise InvalidInput("on", problem, legal="keys of one type")
        return one, other


def renamed(left: Schema, right: Schema) -> tuple[dict[str, str], dict[str, str]]:
    """Name the columns of two tables in their join.

    Examples
    --------
    >>> renamed({"id": 1, "a": 1}, {"ID": 1, "id_0": 1})
    ({'id': 'id_0_dup', 'a': 'a'}, {'ID': 'ID_1', 'id_0': 'id_0'})
    """
    both = {one.lower() for one in left} & {one.lower() for one in right}
    taken = {one.lower() for one in (*left, *right) if one.lower() not in both}

    def named(schema: Schema, end: str) -> Iterator[tuple[str, str]]:
        for one in schema:
            after = one
            if one.lower() in both:
                after += end
                while after.lower() in taken:
                    after += "_dup"
                taken.add(after.lower())
            yield one, after

    return dict(named(left, "_0")), dict(named(right, "_1"))


class Concatenate(Transform, frozen=True):
    """Put the rows of inputs one after another; a column that one has not is missing there.

    Parameters
    ----------
    distinct
        Keep the first of rows that are the same.
    indicator
        The name of a column that tells where a row is from.
    labels
        What it tells, one an input; else ``0``, ``1``, ….
    """

    operator: ClassVar[str] = "combine.concatenate"
    takes: ClassVar[int] = 0
    distinct: bool = False
    indicator: str = ""
    labels: tuple[str, ...] = ()

    def steps(self, schemas: Sequence[Schema], state: State) -> tuple[Step, ...]:  # noqa: ARG002
        """Bring them to the same columns."""
        columns = _common(schemas)
        if self.labels and len(self.labels) != len(schemas):
            raise InvalidInput("labels", f"{len(self.labels)} for {len(schemas)} inputs")
        if self.indicator.lower() in {one.lower() for one in columns}:
            raise InvalidInput("indicator", f"there is a column {self.indicator!r} already")
        after = {**columns, self.indicator: VARCHAR} if self.indicator else columns
        source = fresh(after, "source")
        more = f", CAST({{}} AS BIGINT) AS {source}" if self.distinct else ""
        union = " UNION ALL ".join(
            f"SELECT {_cells(columns, schema)}{self._told(place)}{more.format(place)} "  # noqa: S608 quoted names
            f"FROM input{place}"
            for place, schema in enumerate(schemas)
        )
        if not self.distinct:
            return (Query(union, after),)
        same = f"PARTITION BY {listed(columns)}"
        test = f"row_number() OVER ({same} ORDER BY {source}) = 1"
        sql = f"SELECT {listed(after)} FROM input0 QUALIFY {test}"  # noqa: S608 quoted names
        whole = {**after, source[1:-1]: BIGINT}
        order = f"min(rowid) OVER ({same})"
        return Query(union, whole), Query(sql, after, record="same", order=order)

    def _told(self, place: int) -> str:
        if not self.indicator:
            return ""
        label = self.labels[place] if self.labels else str(place)
        return f", {lit(label)} AS {quoted(self.indicator)}"


def _common(schemas: Sequence[Schema]) -> dict[str, Type]:
    """Give the columns of all tables; those whose names differ by case alone are one."""
    alike: dict[str, list[tuple[str, Type]]] = {}
    for schema in schemas:
        for name, kind in schema.items():
            alike.setdefault(name.lower(), []).append((name, kind))
    columns = {}
    for same in alike.values():
        name, kinds = same[0][0], [kind for _, kind in same]
        common = shared(kinds)
        if common is None:
            problem = f"{name!r} is of the types {', '.join(map(str, kinds))}"
            raise InvalidInput("columns", problem, hint="cast it before")
        columns[name] = common
    return columns


def _cells(columns: Mapping[str, Type], schema: Schema) -> str:
    known = {one.lower() for one in schema}
    return ", ".join(
        f"CAST({quoted(name) if name.lower() in known else 'NULL'} AS {kind.duckdb}) "
        f"AS {quoted(name)}"
        for name, kind in columns.items()
    )
