"""Features made again from the facts that were logged, by any definition, in batch."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol

from clary.expressions import (
    BIGINT,
    BOOLEAN,
    DATE,
    DOUBLE,
    TIMESTAMP,
    TIMESTAMPTZ,
    VARCHAR,
    compile_all,
    parse,
)
from clary.kernel.codec import digest
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from clary.expressions import Expression, Type
    from clary.features.definitions import Checked
    from clary.features.facts import Fact

AT_ONCE = 10_000
"""Facts that are computed together."""
Row = tuple[Any, ...]


@dataclass(frozen=True)
class Definition:
    """What makes features of facts.

    Parameters
    ----------
    columns
        The facts that it reads, with their types.
    features
        Its expressions, by name.
    digest
        Of all that; of a view, of its whole document.
    origin
        Tells it from one that took its name.
    """

    columns: Mapping[str, Type]
    features: Mapping[str, Expression]
    digest: str
    origin: str = ""

    def compile(self) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
        """Make what computes features on request.

        It raises InvalidInput for facts of other types, and where an expression fails.

        Examples
        --------
        >>> bmi = define({"kg": DOUBLE, "m": DOUBLE}, {"bmi": "kg / m ** 2"})
        >>> bmi.compile()({"kg": 81, "m": 1.8})
        {'bmi': 25.0}
        """
        read, names = self.reader(), tuple(self.features)
        run = compile_all(tuple(self.features.values()), tuple(self.columns))

        def compute(facts: Mapping[str, Any]) -> dict[str, Any]:
            return dict(zip(names, run(read(facts)), strict=True))

        return compute

    def reader(self) -> Callable[[Mapping[str, Any]], Row]:
        """Make what reads facts in the order of the columns; those that are not there are None."""
        reads = tuple(self.readers.items())
        return lambda facts: tuple(read(facts.get(name)) for name, read in reads)

    @cached_property
    def readers(self) -> Mapping[str, Callable[[Any], Any]]:
        """What reads one fact, by column. They raise InvalidInput for one of another type."""
        return {name: _reader(name, kind) for name, kind in self.columns.items()}


class Batch(Protocol):
    """The engine that computes many rows at once."""

    def compute(self, definition: Definition, rows: Sequence[Row]) -> Sequence[Row]:
        """Compute the features of rows, which have the definition's columns; both in order.

        What fails for a row is None there.
        """


def define(columns: Mapping[str, Type], features: Mapping[str, str]) -> Definition:
    """Check expressions over facts.

    Raises
    ------
    InvalidInput
        An expression makes no sense; names its feature.
    """
    kinds = {name: str(kind) for name, kind in columns.items()}
    made = {name: _expression(name, text, columns) for name, text in features.items()}
    return Definition(dict(columns), made, digest([kinds, dict(features)]))


def of_view(checked: Checked, document: Any, uid: str) -> Definition:
    """Take the definition of a view, which stands in its document."""
    pairs = zip(checked.features, checked.expressions, strict=True)
    made = {feature.name: expression for feature, expression in pairs}
    kinds = {name: str(kind) for name, kind in checked.columns.items()}
    return Definition(dict(checked.columns), made, digest([kinds, document]), uid)


def replay(
    definition: Definition, facts: Iterable[Fact], batch: Batch
) -> Iterator[tuple[Fact, dict[str, Any]]]:
    """Compute features from logged facts, a new definition's over history included.

    Yields each fact with its features, in order; holds 10,000 at a time.

    Raises
    ------
    InvalidInput
        A fact is not of its column's type.
    """
    read, names = definition.reader(), tuple(definition.features)
    for some in chunks(facts):
        rows = batch.compute(definition, [read(fact.facts) for fact in some])
        for fact, row in zip(some, rows, strict=True):
            yield fact, dict(zip(names, row, strict=True))


def chunks(facts: Iterable[Fact]) -> Iterator[list[Fact]]:
    """Cut facts into pieces that are computed together."""
    left = iter(facts)
    while some := list(islice(left, AT_ONCE)):
        yield some


def _expression(name: str, text: str, columns: Mapping[str, Type]) -> Expression:
    try:
        return parse(text, columns)
    except InvalidInput as error:
        raise InvalidInput(f"features.{name}", error.problem, legal=error.legal) from None


def _reader(name: str, kind: Type) -> Callable[[Any], Any]:
    if kind.item is not None:
        one = _reader(name, kind.item)
        return lambda value: None if value is None else [one(item) for item in _list(name, value)]
    if kind not in _CLASSES:
        raise InvalidInput(f"columns.{name}", f"{kind} cannot be logged", legal=_LEGAL)
    classes, is_double = _CLASSES[kind], kind == DOUBLE

    def read(value: Any) -> Any:
        if value is None:
            return None
        if type(value) not in classes or not _fits(kind, value):
            raise InvalidInput(f"facts.{name}", f"{value!r:.80} is no {kind}", legal=str(kind))
        return float(value) if is_double else value

    return read


def _list(name: str, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise InvalidInput(f"facts.{name}", f"{value!r:.80} is no list", legal="a list")
    return value


def _fits(kind: Type, value: Any) -> bool:
    if kind == BIGINT:
        return -(1 << 63) <= int(value) < 1 << 63
    if kind in (TIMESTAMP, TIMESTAMPTZ):
        return (value.tzinfo is None) == (kind == TIMESTAMP)
    return True


_CLASSES: Mapping[Type, tuple[type, ...]] = {
    BOOLEAN: (bool,),
    BIGINT: (int,),
    DOUBLE: (float, int),
    VARCHAR: (str,),
    DATE: (date,),
    TIMESTAMP: (datetime,),
    TIMESTAMPTZ: (datetime,),
}
_LEGAL = "lists of, or: " + ", ".join(map(str, _CLASSES))
