"""Definitions of views, checked against the groups that they read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta, Struct

from clary.expressions import BIGINT, BOOLEAN, DOUBLE, VARCHAR, Type, parse
from clary.features.model import Feature, FeatureType
from clary.features.requests import Name
from clary.features.view_engine import Input
from clary.features.windows import Aggregate, Function, window_us
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from clary.expressions import Expression
    from clary.features.model import Schema
    from clary.features.records import Group

_MOST = 500
_LONGEST = 10_000
EVENT_TIME = "event_time"
"""The event time of materialised views."""
TYPES: Mapping[FeatureType, Type] = {
    "Integral": BIGINT,
    "Fractional": DOUBLE,
    "String": VARCHAR,
}
_KINDS: Mapping[str, FeatureType] = {kind.name: name for name, kind in TYPES.items()}
_PYTHON: Mapping[FeatureType, Any] = {
    "Integral": Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)],
    "Fractional": float,
    "String": str,
}
_NUMBERS = ("sum", "mean")

Text = Annotated[str, Meta(min_length=1, max_length=_LONGEST)]
_Some = Meta(min_length=1, max_length=_MOST)
Columns = Annotated[list[str], _Some] | Annotated[dict[str, Name], _Some]


class Windowed(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """An aggregate over a window of a group's rows.

    Parameters
    ----------
    group
        Whose rows.
    function
        What is computed of the input's values that are not missing; see ``windows``.
    window
        How far back: ``1h`` to ``90d``.
    of
        The input, an expression over the group's features; every row counts unless it is said.
        Where it fails on a row, as by an overflow, it is missing.
    """

    group: str
    function: Function
    window: str
    of: Text = "1"


class View(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a view is.

    Parameters
    ----------
    features
        What it gives: expressions over columns, by name.
    sources
        The columns that are the latest values of groups: by group, names of its features, or
        those with what they are called here.
    aggregates
        The columns that are aggregates, by name.
    inputs
        The columns that a request brings, by name, with their types.
    ttl_s
        How long what is materialised counts online; None: for ever.
    """

    features: Annotated[dict[Name, Text], Meta(min_length=1, max_length=_MOST)]
    sources: Annotated[dict[str, Columns], Meta(max_length=_MOST)] = {}
    aggregates: Annotated[dict[Name, Windowed], Meta(max_length=_MOST)] = {}
    inputs: Annotated[dict[Name, FeatureType], Meta(max_length=_MOST)] = {}
    ttl_s: Annotated[int, Meta(ge=1, le=36_525 * 86_400)] | None = None

    @property
    def groups(self) -> Sequence[str]:
        """Every group that it reads, each once."""
        windowed = (one.group for one in self.aggregates.values())
        return tuple(dict.fromkeys((*self.sources, *windowed)))

    def columns(self, group: str) -> Mapping[str, str]:
        """Say what features of a source are called here, by their names there."""
        named = self.sources[group]
        return named if isinstance(named, dict) else {name: name for name in named}


@dataclass(frozen=True, slots=True)
class Stream:
    """The aggregates of one group.

    Parameters
    ----------
    group
        Whose rows.
    inputs
        What each moment holds: an expression over the group's features.
    aggregates
        What is computed; an input of several is there once.
    """

    group: Group
    inputs: Sequence[Expression]
    aggregates: Sequence[Aggregate]

    @property
    def read(self) -> Sequence[Input]:
        """The inputs in DuckDB's words."""
        return [Input(one.sql(), one.type.duckdb) for one in self.inputs]


@dataclass(frozen=True, slots=True)
class Checked:
    """A view whose groups are there and whose expressions make sense.

    Parameters
    ----------
    view
        Its definition.
    groups
        The groups that it reads, by name.
    identifiers
        The entities' identifiers, each once: names of features of the groups.
    streams
        Its aggregates by group.
    columns
        What expressions may read, in order: of sources, of aggregates, of inputs.
    expressions
        The features, in order.
    features
        Their types.
    """

    view: View
    groups: Mapping[str, Group]
    identifiers: Sequence[str]
    streams: Sequence[Stream]
    columns: Mapping[str, Type]
    expressions: Sequence[Expression]
    features: Sequence[Feature]

    @property
    def stored(self) -> Sequence[Feature]:
        """The features that need no request."""
        pairs = zip(self.features, self.expressions, strict=True)
        return [one for one, made in pairs if not made.columns & self.view.inputs.keys()]

    def read_inputs(self) -> Callable[[Mapping[str, Any]], tuple[Any, ...]]:
        """Make what checks the inputs of a request; it raises InvalidInput, naming the input."""
        return _inputs(self.view.inputs)


def checked(view: View, group: Callable[[str], Group]) -> Checked:
    """Check a definition.

    Parameters
    ----------
    group
        Finds a group by its name; raises NotFound.

    Raises
    ------
    InvalidInput
        A feature is none of its group, a name is there twice, an expression or an aggregate makes
        no sense; names the place in the definition.
    """
    groups = {name: group(name) for name in view.groups}
    for name, one in groups.items():
        if name in view.sources and not one.is_online and not one.is_offline:
            raise InvalidInput(f"sources.{name}", "has no store", legal="a group with a store")
    identifiers = tuple(dict.fromkeys(one.schema.identifier for one in groups.values()))
    streams = _streams(view, groups)
    columns = _columns(view, groups, streams)
    made = {name: _feature(name, text, columns) for name, text in view.features.items()}
    _refuse_taken(made, identifiers)
    return Checked(
        view,
        groups,
        identifiers,
        streams,
        columns,
        [expression for expression, _ in made.values()],
        [feature for _, feature in made.values()],
    )


def type_of(feature: Feature) -> Type:
    """Give the type of a feature's values in expressions."""
    one = TYPES[feature.kind]
    return Type("list", one) if feature.collection else one


def types_of(schema: Schema) -> dict[str, Type]:
    """Give the types of a group's features in expressions."""
    return {feature.name: type_of(feature) for feature in schema.features}


def _streams(view: View, groups: Mapping[str, Group]) -> Sequence[Stream]:
    names = tuple(dict.fromkeys(one.group for one in view.aggregates.values()))
    return [_stream(view, groups[name]) for name in names]


def _stream(view: View, group: Group) -> Stream:
    if not group.is_offline:
        raise InvalidInput(
            "aggregates", f"{group.ref.name!r} keeps no history", legal="a group that is offline"
        )
    schema, inputs, aggregates = types_of(group.schema), [], []
    for name, one in view.aggregates.items():
        if one.group != group.ref.name:
            continue
        place = f"aggregates.{name}"
        made = _parsed(f"{place}.of", one.of, schema)
        if made.type == BOOLEAN:
            made = _parsed(f"{place}.of", f"CAST(({one.of}\n) AS BIGINT)", schema)
        if made.tree.fails:
            made = _parsed(f"{place}.of", f"TRY({made.text}\n)", schema)
        legal = (BIGINT, DOUBLE) if one.function in _NUMBERS else (BIGINT, DOUBLE, VARCHAR)
        if made.type not in legal:
            raise InvalidInput(
                f"{place}.of",
                f"{one.function} of {made.type}",
                legal=", ".join(kind.name for kind in legal),
            )
        if made not in inputs:
            inputs.append(made)
        length = window_us(one.window, field=f"{place}.window")
        aggregates.append(Aggregate(name, one.function, inputs.index(made), length))
    return Stream(group, inputs, aggregates)


def _columns(
    view: View, groups: Mapping[str, Group], streams: Sequence[Stream]
) -> Mapping[str, Type]:
    columns: dict[str, Type] = {}
    taken: set[str] = set()
    for place, name, kind in _named(view, groups, streams):
        if name.lower() in taken:
            raise InvalidInput(place, f"{name!r} is there already", legal="names that differ")
        taken.add(name.lower())
        columns[name] = kind
    return columns


def _named(
    view: View, groups: Mapping[str, Group], streams: Sequence[Stream]
) -> Iterable[tuple[str, str, Type]]:
    """Yield every column with its place in the definition."""
    for group in view.sources:
        schema = groups[group].schema
        for feature, name in view.columns(group).items():
            at = groups[group].place(feature)
            yield f"sources.{group}", name, type_of(schema.features[at])
    for stream in streams:
        for one in stream.aggregates:
            yield f"aggregates.{one.name}", one.name, _result(one, stream.inputs[one.of].type)
    for name, kind in view.inputs.items():
        yield f"inputs.{name}", name, TYPES[kind]


def _result(aggregate: Aggregate, of: Type) -> Type:
    if aggregate.function in ("count", "distinct"):
        return BIGINT
    return DOUBLE if aggregate.function == "mean" else of


def _feature(name: str, text: str, columns: Mapping[str, Type]) -> tuple[Expression, Feature]:
    place = f"features.{name}"
    made = _parsed(place, text, columns)
    if made.type == BOOLEAN:
        made = _parsed(place, f"CAST(({text}\n) AS BIGINT)", columns)
    one = made.type.item or made.type
    kind = _KINDS.get(one.name)
    if kind is None:
        raise InvalidInput(
            place, f"is of type {made.type}", legal="numbers, texts, booleans; or CAST it"
        )
    return made, Feature(name, kind, "List" if made.type.item else None)


def _parsed(place: str, text: str, schema: Mapping[str, Type]) -> Expression:
    try:
        return parse(text, schema)
    except InvalidInput as error:
        raise InvalidInput(place, error.problem, legal=error.legal, hint=error.hint) from None


def _refuse_taken(names: Iterable[str], identifiers: Sequence[str]) -> None:
    taken = {EVENT_TIME, *(one.lower() for one in identifiers)}
    seen: set[str] = set()
    for name in names:
        if name.lower() in taken | seen:
            raise InvalidInput(f"features.{name}", "is there already", legal="any other name")
        seen.add(name.lower())


def _inputs(kinds: Mapping[str, FeatureType]) -> Callable[[Mapping[str, Any]], tuple[Any, ...]]:
    members = [(f"m{at}", _PYTHON[kind] | None, None) for at, kind in enumerate(kinds.values())]
    names = {f"m{at}": name for at, name in enumerate(kinds)}
    document = msgspec.defstruct(
        "Inputs", members, rename=names, forbid_unknown_fields=True, frozen=True
    )

    def read(given: Mapping[str, Any]) -> tuple[Any, ...]:
        try:
            return msgspec.structs.astuple(msgspec.convert(given, document))
        except msgspec.ValidationError as error:
            legal = ", ".join(f"{name} ({kind})" for name, kind in kinds.items())
            raise InvalidInput("inputs", str(error), legal=legal or "none") from None

    return read
