"""JSON documents to parameters and results to JSON documents, one compiled function a shape."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from clary.doors.wire.scalars import (
    Mismatch,
    check_range,
    read_blob,
    read_time,
    show,
    write_blob,
    write_real,
    write_time,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from clary.doors.wire.model import ShapeDocument

    Convert = Callable[[Any], Any]

_WORDS = {
    "string": "a string",
    "boolean": "a boolean",
    "integer": "an integer",
    "long": "an integer",
    "float": "a number",
    "double": "a number",
    "structure": "an object",
    "map": "an object",
    "list": "a list",
}
_JSON_WORDS = {
    str: "string",
    bool: "boolean",
    int: "number",
    float: "number",
    dict: "object",
    list: "list",
}


def _wrong(kind: str, value: Any) -> Mismatch:
    if value is None:
        return Mismatch(f"Expected {_WORDS[kind]}, not null")
    found = _JSON_WORDS.get(type(value), "value")
    return Mismatch(f"Expected {_WORDS[kind]}, not the {found} {show(repr(value))}")


def parse(body: bytes) -> Any:
    """Parse JSON. Raises Mismatch when it is none."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Mismatch(f"The body is not valid JSON: {error}") from None


class JsonReader:
    """Reads JSON values as parameters: known members only, nulls left out, types checked."""

    def __init__(self, shapes: Mapping[str, ShapeDocument]) -> None:
        self._shapes = shapes
        self._readers: dict[str, Convert] = {}

    def reader(self, name: str) -> Convert:
        """Return the function that reads a shape; it raises Mismatch."""
        if name not in self._readers:
            self._readers[name] = self._compile(self._shapes[name])
        return self._readers[name]

    def _compile(self, shape: ShapeDocument) -> Convert:
        match shape["type"]:
            case "structure":
                return self._structure(shape)
            case "list":
                return self._list(shape)
            case "map":
                return self._map(shape)
        return _scalar(shape["type"])

    def _structure(self, shape: ShapeDocument) -> Convert:
        if shape.get("document"):
            return lambda value: value
        table: dict[str, tuple[str, Convert]] = {}

        def read(value: Any) -> dict[str, Any]:
            if type(value) is not dict:
                raise _wrong("structure", value)
            if not table:
                table.update(self._members(shape))
            result = {}
            for key, item in value.items():
                if item is None or key not in table:
                    continue
                name, convert = table[key]
                try:
                    result[name] = convert(item)
                except Mismatch as mismatch:
                    mismatch.path.append(name)
                    raise
            return result

        return read

    def _members(self, shape: ShapeDocument) -> dict[str, tuple[str, Convert]]:
        return {
            member.get("locationName", name): (name, self.reader(member["shape"]))
            for name, member in shape["members"].items()
            if "location" not in member
        }

    def _list(self, shape: ShapeDocument) -> Convert:
        def read(value: Any) -> list[Any]:
            if type(value) is not list:
                raise _wrong("list", value)
            convert = self.reader(shape["member"]["shape"])
            result: list[Any] = []
            try:
                # a null stays, for validation to name its place
                result.extend(None if item is None else convert(item) for item in value)
            except Mismatch as mismatch:
                mismatch.path.append(f"{len(result) + 1}.member")
                raise
            return result

        return read

    def _map(self, shape: ShapeDocument) -> Convert:
        def read(value: Any) -> dict[str, Any]:
            if type(value) is not dict:
                raise _wrong("map", value)
            convert = self.reader(shape["value"]["shape"])
            result = {}
            for key, item in value.items():
                if item is not None:
                    try:
                        result[key] = convert(item)
                    except Mismatch as mismatch:
                        mismatch.path.append(f"{show(key)}.member")
                        raise
            return result

        return read


def _scalar(kind: str) -> Convert:
    match kind:
        case "string" | "boolean":
            return _exactly(kind, str if kind == "string" else bool)
        case "integer" | "long":
            return _whole(kind)
        case "float" | "double":
            return _real
        case "blob":
            return read_blob
    return read_time


def _exactly(kind: str, wanted: type) -> Convert:
    def read(value: Any) -> Any:
        if type(value) is not wanted:
            raise _wrong(kind, value)
        return value

    return read


def _whole(kind: str) -> Convert:
    def read(value: Any) -> int:
        if type(value) is float and value.is_integer():
            value = int(value)
        if type(value) is not int:
            raise _wrong(kind, value)
        return check_range(kind, value)

    return read


def _real(value: Any) -> float:
    if type(value) in (int, float) or value in ("NaN", "Infinity", "-Infinity"):
        try:
            return float(value)
        except OverflowError:
            pass
    raise _wrong("double", value)


class JsonWriter:
    """Writes results as JSON values.

    Members that the shape lacks are left out, so that an operation may answer with a whole
    request document and more.
    """

    def __init__(self, shapes: Mapping[str, ShapeDocument]) -> None:
        self._shapes = shapes
        self._writers: dict[str, Convert] = {}

    def writer(self, name: str) -> Convert:
        """Return the function that writes a shape."""
        if name not in self._writers:
            self._writers[name] = self._compile(self._shapes[name])
        return self._writers[name]

    def _compile(self, shape: ShapeDocument) -> Convert:
        match shape["type"]:
            case "structure":
                return self._structure(shape)
            case "list":
                return self._list(shape)
            case "map":
                return self._map(shape)
        return _scalar_writer(shape)

    def _structure(self, shape: ShapeDocument) -> Convert:
        if shape.get("document"):
            return lambda value: value
        table: dict[str, tuple[str, Convert]] = {}

        def write(value: Mapping[str, Any]) -> dict[str, Any]:
            if not table:
                table.update(self._members(shape))
            result = {}
            for name, item in value.items():
                if item is not None and name in table:
                    key, convert = table[name]
                    result[key] = convert(item)
            return result

        return write

    def _members(self, shape: ShapeDocument) -> dict[str, tuple[str, Convert]]:
        return {
            name: (member.get("locationName", name), self._member(member))
            for name, member in shape["members"].items()
            if "location" not in member
        }

    def _member(self, member: ShapeDocument) -> Convert:
        if form := member.get("timestampFormat"):
            return lambda value: write_time(value, form)
        return self.writer(member["shape"])

    def _list(self, shape: ShapeDocument) -> Convert:
        def write(value: Any) -> list[Any]:
            convert = self.writer(shape["member"]["shape"])
            return [convert(item) for item in value if item is not None]

        return write

    def _map(self, shape: ShapeDocument) -> Convert:
        def write(value: Mapping[str, Any]) -> dict[str, Any]:
            convert = self.writer(shape["value"]["shape"])
            return {key: convert(item) for key, item in value.items() if item is not None}

        return write


def _scalar_writer(shape: ShapeDocument) -> Convert:
    match shape["type"]:
        case "timestamp":
            form = shape.get("timestampFormat", "unixTimestamp")
            return lambda value: write_time(value, form)
        case "blob":
            return write_blob
        case "float" | "double":
            return write_real
    return lambda value: value
