"""What a step hands on by name: OutputParameters, declared with their types."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from clary.kernel.codec import build, to_json
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Value = str | int | float | bool
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_LONGEST = 1024
_MOST = 50


class OutputParameter(msgspec.Struct, frozen=True, rename="pascal"):
    """An output that a step declares."""

    output_name: str
    output_type: Literal["String", "Integer", "Float", "Boolean"] = "String"

    def read(self, value: Any) -> Value:
        """Read a value of this type, given as JSON has it or as its text.

        Text that should be is made of what is none: its JSON.

        Raises
        ------
        InvalidInput
            It is of another type, or longer than 1024 characters; names the output.
        """
        read: Value | None = _READERS[self.output_type](value)
        if read is None:
            raise InvalidInput(self.output_name, f"{value!r:.200} is no {self.output_type}")
        if isinstance(read, str) and len(read) > _LONGEST:
            problem = f"{len(read)} characters"
            raise InvalidInput(self.output_name, problem, legal=f"at most {_LONGEST}")
        return read


def declared(step: Mapping[str, Any]) -> Sequence[OutputParameter]:
    """Read the outputs that a step's document declares.

    Raises
    ------
    InvalidInput
        The list is malformed, too long, or declares a name twice.
    """
    field = "OutputParameters"
    outputs = build(list[OutputParameter], step.get(field) or [], field=field)
    if len(outputs) > _MOST:
        raise InvalidInput(field, f"{len(outputs)} of them", legal=f"at most {_MOST}")
    names = [output.output_name for output in outputs]
    for name in names:
        if names.count(name) > 1:
            raise InvalidInput(field, f"{name!r} is declared twice")
    return outputs


def typed(outputs: Sequence[OutputParameter], given: Mapping[str, Any]) -> dict[str, Value]:
    """Read the value of every declared output out of what was given.

    Raises
    ------
    InvalidInput
        One is missing or of another type; names it.
    """
    missing = [one.output_name for one in outputs if given.get(one.output_name) is None]
    if missing:
        legal = ", ".join(one.output_name for one in outputs)
        raise InvalidInput(missing[0], "is declared as an output and not given", legal=legal)
    return {one.output_name: one.read(given[one.output_name]) for one in outputs}


def listed(values: Mapping[str, Value]) -> list[dict[str, str]]:
    """Write values as the API lists them: names and texts."""
    return [{"Name": name, "Value": _text(value)} for name, value in values.items()]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else to_json(value).decode()


def _integer(value: Any) -> int | None:
    if isinstance(value, str) and _INTEGER.fullmatch(value):
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _float(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _boolean(value: Any) -> bool | None:
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value.lower())
    return value if isinstance(value, bool) else None


_READERS: Mapping[str, Any] = {
    "String": _text,
    "Integer": _integer,
    "Float": _float,
    "Boolean": _boolean,
}
