"""Categories as numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from clary.expressions import BIGINT, BOOLEAN, DOUBLE, VARCHAR, col, fn, lit, lookup, parse, when
from clary.expressions.functions.tables import MOST_KEYS
from clary.flows.steps import Filter, edit
from clary.flows.transform import Transform, column, columns, free, outputs
from clary.kernel.errors import InvalidInput, LimitExceeded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clary.expressions import Expression
    from clary.flows.steps import Schema, Step
    from clary.flows.transform import Ask, State

_MOST_COLUMNS = 1000


def text(schema: Schema, name: str, *, instead: str | None = None) -> Expression:
    """Take a column as text, with another text where it is missing. Raises InvalidInput."""
    value = col(name) if schema[name] == VARCHAR else col(name).cast(VARCHAR)
    try:
        return parse(value if instead is None else value.otherwise(instead), schema)
    except InvalidInput as error:
        problem = f"{name!r} is a {schema[name]}, which has no categories"
        raise InvalidInput("column", problem, hint=error.message) from None


def counted(schema: Schema, name: str, ask: Ask) -> list[tuple[str, int]]:
    """Count the categories of a column, the most frequent first, equals by their text.

    Raises
    ------
    LimitExceeded
        There are more than 100,000.
    """
    value = text(schema, name).sql()
    found = ask(
        f"SELECT {value}, count(*) FROM input0 WHERE {col(name)} IS NOT NULL "  # noqa: S608 a checked tree
        f"GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT {MOST_KEYS + 1}"
    )
    if len(found) > MOST_KEYS:
        raise LimitExceeded(f"column {name!r} has over {MOST_KEYS} categories")
    return [(category, count) for category, count in found]


class Indexed(Transform, frozen=True):
    """Number the categories of a column, the most frequent 0."""

    learns: ClassVar[bool] = True
    column: str

    def fit(self, schemas: Sequence[Schema], ask: Ask) -> State:
        """Learn the categories, the most frequent first."""
        name = column(schemas[0], self.column)
        return {"categories": [category for category, _ in counted(schemas[0], name, ask)]}

    def numbered(self, schema: Schema, state: State, unseen: str, output: str) -> list[Step]:
        """Put the number of each category into ``output``; others as ``unseen`` says."""
        name, categories = column(schema, self.column), state["categories"]
        table = {one: place for place, one in enumerate(categories)}
        if unseen == "error":
            missing = "a missing value"
            while missing in table:
                missing += "!"
            value = lookup(text(schema, name, instead=missing), table, ..., gives=BIGINT)
            return [edit(schema, {output: value})]
        made = edit(schema, {output: lookup(text(schema, name), table, gives=BIGINT)})
        after = made.schema(schema)
        if unseen == "skip":
            return [made, Filter(parse(~col(output).is_null(), after))]
        return [made, edit(after, {output: str(col(output).otherwise(len(categories)))})]


class Ordinal(Indexed, frozen=True):
    """Number categories from 0.0, the most frequent first.

    Parameters
    ----------
    column
        The column, replaced where it stands.
    unseen
        What missing and new categories become: ``keep``: one number more; ``skip``: their rows are
        dropped; ``nan``; ``error``.
    output
        The name of a new column instead.
    """

    operator: ClassVar[str] = "encode.ordinal"
    unseen: Literal["skip", "keep", "error", "nan"] = "keep"
    output: str = ""

    def steps(self, schemas: Sequence[Schema], state: State) -> tuple[Step, ...]:
        """Look the number up."""
        [schema] = schemas
        output = self.output or column(schema, self.column)
        steps = self.numbered(schema, state, self.unseen, output)
        after = schema
        for one in steps:
            after = one.schema(after)
        number = col(output).cast("double")
        if self.unseen == "nan":
            known = col(output) < len(state["categories"])
            number = when(known).then(number).otherwise(float("nan"))
        return (*steps, edit(after, {output: str(number)}))


class OneHot(Indexed, frozen=True):
    """Make a column, or a place in a vector, of each category: 1.0 where it is, else 0.0.

    Parameters
    ----------
    column
        The column, which they replace unless there is an ``output``.
    unseen
        What missing and new categories become: ``keep``: one category more, ``unknown``, the last;
        ``skip``: their rows are dropped; ``error``.
    drop_last
        Leave the last category out: it is all zeros.
    style
        ``columns``, named ``<column>_<category>``, or one ``vector``.
    output
        The name of the vector, or what stands before the ``_`` in the names of columns.
    """

    operator: ClassVar[str] = "encode.one_hot"
    unseen: Literal["skip", "keep", "error"] = "keep"
    drop_last: bool = False
    style: Literal["columns", "vector"] = "columns"
    output: str = ""

    def steps(self, schemas: Sequence[Schema], state: State) -> tuple[Step, ...]:
        """Compare with the number of each category."""
        [schema] = schemas
        name, number = column(schema, self.column), free(schema, "number")
        steps = self.numbered(schema, state, self.unseen, number)
        after = {**schema, number: BIGINT}
        labels = [*state["categories"], *(["unknown"] if self.unseen == "keep" else [])]
        labels = labels[: -1 if self.drop_last else None]
        made: dict[str, str | None] = dict.fromkeys((number,) if self.output else (number, name))
        if self.style == "vector":
            vector = self.output or name
            made[vector] = str(fn("one_hot", col(number), len(labels)))
            return (*steps, edit(after, made))
        if len(labels) > _MOST_COLUMNS:
            raise InvalidInput(
                "style",
                f"{name!r} has {len(labels)} categories",
                legal=f"at most {_MOST_COLUMNS} columns",
                hint="make a vector, or replace rare categories before",
            )
        for place, label in enumerate(labels):
            output = free(
                {**schema, **dict.fromkeys(made, BIGINT)}, f"{self.output or name}_{label}"
            )
            made[output] = str(when(col(number) == place).then(1.0).otherwise(0.0))
        return (*steps, edit(after, made))


class Target(Transform, frozen=True):
    """Replace categories by the mean of a target, drawn towards the mean of all where they are few.

    Parameters
    ----------
    columns
        The columns, replaced where they stand. Missing and new categories become the mean of all.
    target
        A column of numbers or of true and false.
    smoothing
        How many rows the mean of all counts for, beside those of the category.
    output
        The name of a new column for what is made of one column.
    """

    operator: ClassVar[str] = "encode.target"
    learns: ClassVar[bool] = True
    columns: tuple[str, ...]
    target: str
    smoothing: float = 10.0
    output: str = ""

    def fit(self, schemas: Sequence[Schema], ask: Ask) -> State:
        """Learn the smoothed mean of each category."""
        [schema] = schemas
        if self.smoothing < 0:
            raise InvalidInput("smoothing", f"{self.smoothing}", legal="0 or more")
        target = column(schema, self.target, BIGINT, DOUBLE, BOOLEAN, field="target")
        value = f"{col(target)}::DOUBLE"
        where = f"FROM input0 WHERE isfinite({value})"
        [[mean]] = ask(f"SELECT avg({value}) {where}")
        if mean is None:
            raise InvalidInput("target", f"{target!r} holds no numbers")
        return {
            "mean": mean,
            "categories": {
                one: self._means(
                    ask, f"SELECT {text(schema, one).sql()}, sum({value}), ", where, mean
                )
                for one in columns(schema, self.columns)
            },
        }

    def _means(self, ask: Ask, select: str, where: str, mean: float) -> dict[str, float]:
        rows = ask(f"{select} count(*) {where} GROUP BY 1 ORDER BY 1 LIMIT {MOST_KEYS + 2}")
        known = [row for row in rows if row[0] is not None]
        if len(known) > MOST_KEYS:
            raise LimitExceeded(f"a column has over {MOST_KEYS} categories")
        weight = self.smoothing
        return {one: (total + weight * mean) / (count + weight) for one, total, count in known}

    def steps(self, schemas: Sequence[Schema], state: State) -> tuple[Step, ...]:
        """Look the means up."""
        [schema] = schemas
        names = outputs(columns(schema, self.columns), self.output)
        found: dict[str, Any] = {
            output: lookup(text(schema, one), state["categories"][one], gives=DOUBLE)
            for one, output in names.items()
        }
        made = edit(schema, found)
        mean = {one: str(col(one).otherwise(lit(state["mean"]))) for one in names.values()}
        return (made, edit(made.schema(schema), mean))


class Similarity(Transform, frozen=True):
    """Make vectors of texts, near for similar texts: min-hashes of their 3-grams, 0 to 1.

    Parameters
    ----------
    columns
        The columns. Missing texts count as empty ones.
    dimensions
        How many hashes, 1 to 1,000.
    style
        One ``vector`` where the column stands, or ``columns`` named ``<column>_<number>``.
    output
        The name of the vector, or what stands before the ``_``, where there is one column.
    """

    operator: ClassVar[str] = "encode.similarity"
    columns: tuple[str, ...]
    dimensions: int = 30
    style: Literal["columns", "vector"] = "vector"
    output: str = ""

    def steps(self, schemas: Sequence[Schema], state: State) -> tuple[Step, ...]:  # noqa: ARG002
        """Hash each text once."""
        [schema] = schemas
        names = outputs(columns(schema, self.columns), self.output)
        vectors = {
            output: f"min_hash({text(schema, one, instead='').text}, {self.dimensions})"
            for one, output in names.items()
        }
        made = edit(schema, dict(vectors))
        if self.style == "vector":
            return (made,)
        after = made.schema(schema)
        parts: dict[str, str | None] = dict.fromkeys(names.values())
        for output in names.values():
            for place in range(self.dimensions):
                name = free({**after, **dict.fromkeys(parts, DOUBLE)}, f"{output}_{place}")
                parts[name] = str(col(output)[place + 1])
        return (made, edit(after, parts))
