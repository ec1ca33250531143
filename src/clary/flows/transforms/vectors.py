"""Vectors: lists of numbers, made of columns, taken apart, turned to their principal components."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from clary.expressions import BIGINT, BOOLEAN, DOUBLE, Term, Type, col, fn, when
from clary.expressions.types import quoted
from clary.flows.steps import edit
from clary.flows.transform import Transform, column
from clary.flows.transforms.queries import found
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from clary.flows.steps import Schema, Step
    from clary.flows.transform import Ask, State

VECTORS = (Type("list", DOUBLE), Type("list", BIGINT))
_NUMBERS = (DOUBLE, BIGINT, BOOLEAN, *VECTORS)
_LONGEST = 1000
_MOST_COMPONENTS = 200


class Assemble(Transform, frozen=True):
    """Put numbers and vectors together to one vector; missing where one of them is.

    Parameters
    ----------
    columns
        The columns in order; of a vector as many numbers as the longest has when it is fitted.
    output
        The name of the vector.
    missing
        ``keep``: missing numbers stand in the vector as NaN.
    drops
        Drop the columns.
    """

    operator: ClassVar[str] = "vectors.assemble"
    learns: ClassVar[bool] = True
    columns: tuple[str, ...]
    output: str
    missing: Literal["skip", "keep"] = "skip"
    drops: bool = False

    def fit(self, schemas: Sequence[Schema], ask: Ask) -> State:
        """Learn the lengths of vectors."""
        names = _numeric(schemas[0], self.columns)
        return {"lengths": _lengths(schemas[0], names, ask)}

    def steps(self, schemas: Sequence[Schema], state: State) -> tuple[Step, ...]:
        """List all numbers."""
        [schema] = schemas
        names = _numeric(schema, self.columns)
        numbers = _terms(schema, names, state["lengths"])
        if self.missing == "keep":
            vector = fn("list_value", *(fn("coalesce", one, float("nan")) for one in numbers))
        else:
            vector = _complete(numbers)
        made: dict[str, str | None] = {one: None for one in names if self.drops}
        return (edit(schema, {**made, self.output: str(vector)}),)


class Flatten(Transform, frozen=True):
    """Make a column of each number of a vector: ``column_0`` and so on.

    Parameters
    ----------
    size
        How many; 0: as many as the longest has, which is learned.
    drops
        Drop the vector.
    """

    operator: ClassVar[str] = "vectors.flatten"
    learns: ClassVar[bool] = True
    column: str
    size: int = 0
    output: str = ""
    drops: bool = True

    def fit(self, schemas: Sequence[Schema], ask: Ask) -> State:
        """Learn the length."""
        name = column(schemas[0], self.column, *VECTORS)
        return {"lengths": {name: self.size} if self.size else _lengths(schemas[0], [name], ask)}

    def steps(self, schemas: Sequence[Schema], state: State) -> tuple[Step, ...]:
        """Take each place."""
        [schema] = schemas
        name = column(schema, self.column, *VECTORS)
        size = _checked(state["lengths"][name])
        start = self.output or name
        made: dict[str, str | None] = {name: None} if self.drops else {}
        made |= {f"{start}_{place}": str(col(name)[place + 1]) for place in range(size)}
        return (edit(schema, made),)


class PrincipalComponents(Transform, frozen=True):
    """Turn numbers to their principal components: few that tell most of how rows differ.

    Rows with a missing number, or one that is not finite, are not learned from, and get none.

    Parameters
    ----------
    columns
        Numbers, or vectors.
    output
        The name of the vector of components, the largest variance first; a component's largest
        factor is positive.
    variance
        The least share of all variance that the components tell together, over 0 to 1.
    components
        How many there are; 0: by ``variance``.
    """

    operator: ClassVar[str] = "vectors.principal_components"
    learns: ClassVar[bool] = True
    columns: tuple[str, ...]
    output: str
    variance: float = 0.95
    components: int = 0
    drops: bool = True

    def fit(self, schemas: Sequence[Schema], ask: Ask) -> State:
        """Learn means and components from the covariance, which is of centred sums."""
        [schema] = schemas
        names = _numeric(schema, self.columns)
        lengths = _lengths(schema, names, ask)
        texts = [f"{one}::DOUBLE" for one in _terms(schema, names, lengths)]
        if not 0 < self.variance <= 1 or not 0 <= self.components <= len(texts):
            problem = f"{self.components} components, {self.variance} of the variance"
            raise InvalidInput("components", problem, legal=f"0 … {len(texts)}, over 0 to 1")
        if len(texts) > _MOST_COMPONENTS:
            legal = f"at most {_MOST_COMPONENTS}"
            raise InvalidInput("columns", f"there are {len(texts)} numbers", legal=legal)
        finite = " AND ".join(f"isfinite({one})" for one in texts)
        source = f"FROM input0 WHERE {finite}"
        [[count, *means]] = ask(
            f"SELECT count(*), {', '.join(f'avg({x})' for x in texts)} {source}"
        )
        if count <= 1:
            raise InvalidInput("columns", f"{count} rows have all numbers", legal="at least 2")
        centred = [f"({x} - {mean!r}::DOUBLE)" for x, mean in zip(texts, means, strict=True)]
        products = ", ".join(
            f"sum({one} * {other})" for at, one in enumerate(centred) for other in centred[: at + 1]
        )
        [sums] = ask(f"SELECT {products} {source}")
        return {"lengths": lengths, "means": means, **self._found(len(texts), sums, count)}

    def _found(self, size: int, sums: tuple[Any, ...], count: int) -> State:
        matrix = np.zeros((size, size))
        matrix[np.tril_indices(size)] = np.array(sums) / (count - 1)
        values, vectors = np.linalg.eigh(matrix, UPLO="L")
        values, vectors = np.maximum(values[::-1], 0), vectors[:, ::-1].T
        whole = values.sum()
        shares = values / whole if whole else np.full(size, 1 / size)
        enough = int(np.searchsorted(np.cumsum(shares), self.variance - 1e-12)) + 1
        kept = vectors[: self.components or min(enough, size)]
        signs = np.sign(kept[np.arange(len(kept)), np.abs(kept).argmax(axis=1)])
        return {
            "components": (kept * signs[:, None]).tolist(),
            "variance": shares[: len(kept)].tolist(),
        }

    def steps(self, schemas: Sequence[Schema], state: State) -> tuple[Step, ...]:
        """Subtract the means, weigh and add; then put the components together."""
        [schema] = schemas
        names = _numeric(schema, self.columns)
        numbers = _terms(schema, names, state["lengths"])
        centred = [one - mean for one, mean in zip(numbers, state["means"], strict=True)]
        parts = {
            f"{self.output}_{at}": str(
                _finite(_sum([x * w for x, w in zip(centred, row, strict=True)]))
            )
            for at, row in enumerate(state["components"])
        }
        taken = set(parts) & set(schema)
        if taken:
            raise InvalidInput("output", f"there is a column {min(taken)!r} already")
        first = edit(schema, parts)
        after = first.schema(schema)
        made: dict[str, str | None] = dict.fromkeys((*parts, *(names if self.drops else ())))
        made[self.output] = str(_complete([col(one) for one in parts]))
        return (first, edit(after, made))


def _numeric(schema: Schema, names: Iterable[str]) -> tuple[str, ...]:
    known = found(schema, names, "columns")
    if not known:
        raise InvalidInput("columns", "none is named")
    for one in known:
        column(schema, one, *_NUMBERS, field="columns")
    return known


def _lengths(schema: Schema, names: Iterable[str], ask: Ask) -> dict[str, int]:
    """Learn how long the longest vector of each column is."""
    lists = [one for one in names if schema[one].item is not None]
    if not lists:
        return {}
    asked = ", ".join(f"max(len({quoted(one)}))" for one in lists)
    [row] = ask(f"SELECT {asked} FROM input0")  # noqa: S608 quoted names
    return {name: _checked(size or 0) for name, size in zip(lists, row, strict=True)}


def _checked(size: int) -> int:
    if not 1 <= size <= _LONGEST:
        raise InvalidInput("column", f"vectors of {size} numbers", legal=f"1 … {_LONGEST}")
    return size


def _terms(schema: Schema, names: Iterable[str], lengths: dict[str, int]) -> list[Term]:
    """Give every number as a double."""
    return [
        one if schema[name] in (DOUBLE, VECTORS[0]) else one.cast(DOUBLE)
        for name in names
        for one in (
            [col(name)[at + 1] for at in range(lengths[name])] if name in lengths else [col(name)]
        )
    ]


def _complete(numbers: list[Term]) -> Term:
    """Make a vector that is missing where one of its numbers is."""
    missing = _any([one.is_null() for one in numbers])
    return when(missing).then(None).otherwise(fn("list_value", *numbers))


def _any(tests: list[Term]) -> Term:
    middle = len(tests) // 2
    return _any(tests[:middle]) | _any(tests[middle:]) if middle else tests[0]


def _sum(numbers: list[Term]) -> Term:
    """Add by halves: a long sum nests no deeper than its logarithm."""
    middle = len(numbers) // 2
    return _sum(numbers[:middle]) + _sum(numbers[middle:]) if middle else numbers[0]


def _finite(number: Term) -> Term:
    return when(fn("isfinite", number)).then(number).otherwise(None)
