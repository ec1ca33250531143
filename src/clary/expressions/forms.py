"""Calls that are written in a form of their own, made of the functions of the registry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from clary.expressions.functions.logic import case as case_of
from clary.expressions.functions.nested import field_of
from clary.expressions.functions.tables import min_hash_of, table_of
from clary.expressions.registry import apply, call_of, converted, nearest
from clary.expressions.tree import Call, Constant, Node
from clary.expressions.types import (
    BIGINT,
    BOOLEAN,
    DOUBLE,
    LARGEST,
    NULL,
    VARCHAR,
    Type,
    shared,
    type_named,
    type_of,
)
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_PARTS = (
    "year", "month", "day", "hour", "minute", "second", "millisecond", "microsecond", "quarter",
    "week", "dayofweek", "isodow", "dayofyear", "epoch",
)  # fmt: skip
_UNITS = ("second", "minute", "hour", "day", "week", "month", "quarter", "year")
_SHORT = {"dow": "dayofweek", "doy": "dayofyear", "milliseconds": "millisecond"}


def whole_number(value: int) -> Constant:
    """Make a constant of a whole number. Raises InvalidInput over 64 bits."""
    if value > LARGEST:
        raise InvalidInput("expression", f"{value} does not fit into 64 bits")
    return Constant(value, BIGINT)


def target(node: Any) -> Type:
    """Read the type that a CAST names."""
    return type_named(str(node.args["to"].sql(dialect="duckdb")))


def cast(value: Node, kind: Type, *, tries: bool) -> Node:
    """Convert explicitly; constants at once. Raises InvalidInput where there is no such way."""
    if value.type == kind or (isinstance(value, Constant) and value.value is None):
        return converted(value, kind)
    return converted(value, kind, name="try_cast" if tries else "cast")


def case(arguments: Sequence[Node]) -> Node:
    """Make a CASE of conditions and values in turn, and a default. Raises InvalidInput."""
    values = [*arguments[1::2], arguments[-1]]
    kind = shared(one.type for one in values)
    if kind is None:
        raise InvalidInput(
            "expression",
            f"the values of a CASE are of the types {', '.join(str(one.type) for one in values)}",
            hint="convert them with CAST",
        )
    return apply(case_of(len(arguments) // 2), arguments)


def is_null(value: Node, *, negated: bool = False) -> Node:
    """Test for NULL; of a constant at once."""
    if isinstance(value, Constant):
        return Constant((value.value is None) != negated, BOOLEAN)
    return call_of("is not null" if negated else "is null", [value])


def called(name: str, arguments: Sequence[Node]) -> Node:
    """Call a function by the name it is written with. Raises InvalidInput."""
    if name in ("date_part", "datepart") and len(arguments) == 2:
        return part(_word(arguments[0], name).lower(), arguments[1])
    if name == "timezone" and len(arguments) == 2:
        return at_zone(arguments[0], arguments[1])
    if name == "min_hash" and len(arguments) == 2:
        return apply(min_hash_of(_constant(arguments[1])), arguments[:1])
    if name == "lookup" and len(arguments) in {3, 4}:
        keys, values = map(_constants, arguments[1:3])
        default = _constant(arguments[3]) if len(arguments) == 4 else None
        return lookup(arguments[0], dict(zip(keys, values, strict=False)), default)
    return call_of(name, arguments)


def lookup(
    value: Node, table: Mapping[Any, Any], default: Any = None, *, gives: Type | None = None
) -> Node:
    """Find a key's value in a table of constants; ``Ellipsis`` as default fails for other keys.

    Raises
    ------
    InvalidInput
        Keys are not of the type of the value, or values of several types, or NULL.
    LimitExceeded
        It has more than 100,000 keys.
    """
    if value.type not in (VARCHAR, BIGINT):
        raise InvalidInput(
            "expression", f"lookup of a {value.type}", legal="varchar, bigint", hint="use CAST"
        )
    told = [*table.values(), *([] if default in (None, ...) else [default])]
    kind = gives or shared({type_of(one) for one in told})
    if kind is None or kind == NULL or None in table.values():
        raise InvalidInput("expression", "the values of a lookup have no type in common")
    if any(type_of(one) != value.type for one in table):
        raise InvalidInput("expression", f"the keys of a lookup are not all {value.type}")
    if kind == DOUBLE:
        table = {key: float(one) for key, one in table.items()}
        default = default if default in (None, ...) else float(default)
    return apply(table_of((value.type, kind), table, default), [value])


def _constant(node: Node) -> Any:
    if isinstance(node, Constant):
        return node.value
    raise InvalidInput("expression", "this argument must be a constant")


def _constants(node: Node) -> list[Any]:
    """Read a list of constants, as it is written."""
    if not isinstance(node, Call) or node.function.name != "list_value":
        raise InvalidInput("expression", "the keys and values of lookup must be lists of constants")
    return [_constant(one) for one in node.arguments]


def at_zone(zone: Node, value: Node) -> Node:
    """Turn a moment into local time, or local time into a moment. Raises InvalidInput."""
    if isinstance(zone, Constant) and zone.value == "UTC":
        return call_of("in utc", [value])
    return call_of("timezone", [zone, value])


def _word(node: Node, name: str) -> str:
    if isinstance(node, Constant) and node.type == VARCHAR and node.value is not None:
        return str(node.value)
    raise InvalidInput("expression", f"the first argument of {name} must be a constant text")


def part(name: str, value: Node) -> Node:
    """Take a part of a date or timestamp. Raises InvalidInput for unknown ones."""
    word = _SHORT.get(name, name)
    if word not in _PARTS:
        raise InvalidInput("expression", f"{name} is not a part of a date; {nearest(name, _PARTS)}")
    return call_of(word, [value])


def shifted(sign: str, value: Node, interval: Any) -> Node:
    """Add an interval of a constant length to a date or timestamp. Raises InvalidInput."""
    unit = str(interval.args.get("unit") or "").lower().removesuffix("s")
    count = str(getattr(interval.this, "this", ""))
    if sign not in ("+", "-") or not count.removeprefix("-").isdigit() or len(count) > 9:
        raise InvalidInput(
            "expression", f"{interval.sql(dialect='duckdb')}: not a whole number of units"
        )
    signed = int(count) if sign == "+" else -int(count)
    if unit not in _UNITS:
        raise InvalidInput("expression", f"{unit} is not a unit", legal=", ".join(_UNITS))
    return call_of(f"add {unit}", [value, Constant(signed, BIGINT)])


def field(struct: Node, name: Node) -> Node:
    """Take a field of a struct. Raises InvalidInput for unknown ones."""
    return apply(field_of(struct.type, _word(name, "a struct's field")), [struct, name])
