"""What an ONNX file refers to beside itself: external data and operators of its own.

It reads protobuf's wire format only as far as these need it (onnx.proto3: ModelProto, GraphProto,
NodeProto, TensorProto), and copies no weights.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

STANDARD = frozenset({"", "ai.onnx", "ai.onnx.ml", "ai.onnx.training", "com.microsoft"})
"""Operator domains that runtimes have."""
_DEEPEST = 64
_MOST_FIELDS = 20_000_000
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_GRAPH, _FUNCTIONS = 7, 25
_OPERATORS: dict[tuple[str, int], str] = {
    ("model", _GRAPH): "graph",
    ("model", _FUNCTIONS): "function",
    ("graph", 1): "node",
    ("graph", 5): "tensor",
    ("graph", 15): "sparse",
    ("function", 7): "node",
    ("node", 5): "attribute",
    ("attribute", 5): "tensor",
    ("attribute", 6): "graph",
    ("attribute", 10): "tensor",
    ("attribute", 11): "graph",
    ("attribute", 22): "sparse",
    ("attribute", 23): "sparse",
    ("sparse", 1): "tensor",
    ("sparse", 2): "tensor",
}
"""Which field of which message is a message of which kind."""


@dataclass(slots=True)
class OnnxFile:
    """What was found: operators as ``domain.Operator``, and locations of external data."""

    graph: bool = False
    operators: set[str] = field(default_factory=set)
    locations: set[str] = field(default_factory=set)


def read(data: memoryview) -> OnnxFile:
    """Look through a whole file.

    Raises
    ------
    ValueError
        It is no protobuf message of this kind, or nests too deep.
    """
    found = OnnxFile()
    waiting: list[tuple[str, memoryview, int]] = [("model", data, 0)]
    left = _MOST_FIELDS
    while waiting:
        kind, message, depth = waiting.pop()
        if depth > _DEEPEST:
            raise ValueError(f"it nests deeper than {_DEEPEST} messages")
        fields = list(_fields(message))
        left -= len(fields)
        if left < 0:
            raise ValueError(f"it has more than {_MOST_FIELDS} fields")
        for number, value in fields:
            inner = _OPERATORS.get((kind, number))
            if inner and isinstance(value, memoryview):
                waiting.append((inner, value, depth + 1))
                found.graph = found.graph or inner == "graph"
        if kind == "node":
            _note_operator(fields, found)
        elif kind == "tensor":
            _note_location(fields, found)
    return found


def _note_operator(fields: Sequence[tuple[int, memoryview | int]], found: OnnxFile) -> None:
    domain, operator = _text(fields, 7), _text(fields, 4)
    if domain not in STANDARD:
        found.operators.add(f"{domain}.{operator}")


def _note_location(fields: Sequence[tuple[int, memoryview | int]], found: OnnxFile) -> None:
    for number, value in fields:
        if number == 13 and isinstance(value, memoryview):
            pair = list(_fields(value))
            if _text(pair, 1) == "location":
                found.locations.add(_text(pair, 2))


def _text(fields: Sequence[tuple[int, memoryview | int]], wanted: int) -> str:
    """Return the last text of a field, which is the one that counts."""
    texts = [value for number, value in fields if number == wanted]
    last = texts[-1] if texts else b""
    return "" if isinstance(last, int) else bytes(last[:1024]).decode("utf-8", "replace")


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview | int]]:
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, wire = key >> 3, key & 7
        if wire == _VARINT:
            value, at = _varint(message, at)
            yield number, value
            continue
        if wire == _BYTES:
            size, at = _varint(message, at)
        elif wire in (_FIXED64, _FIXED32):
            size = 8 if wire == _FIXED64 else 4
        else:
            raise ValueError(f"wire type {wire} is not known")
        if number == 0 or at + size > len(message):
            raise ValueError("a field is cut off")
        yield number, message[at : at + size]
        at += size


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(message):
            raise ValueError("a number is cut off")
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("a number is too long")
