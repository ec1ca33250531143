"""How the program of a step makes the arguments of its function: inputs to read, words, values."""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clary.doors.python.handles import Item, Output, Parameter, Property, Value
from clary.doors.python.packages import dumps
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from clary.doors.python.declared import Declared
    from clary.doors.python.tracing import Call
    from clary.doors.python.uploads import Uploads
    from clary.kernel.ports import JsonObject

_NOBODYS = frozenset({"code", "call"})
"""Names of inputs that are not arguments."""


@dataclass(slots=True)
class Arguments:
    """What a call's arguments need: URIs by the name of the input, words, and steps to wait for."""

    call: Call
    uploads: Uploads
    inputs: dict[str, Any] = field(default_factory=dict)
    words: list[Any] = field(default_factory=list)
    after: list[str] = field(default_factory=list)

    def argument(self, value: Any, name: str, kind: Declared | None) -> JsonObject:
        """Write how an argument is made.

        Parameters
        ----------
        value
            Plain, or what stands for a later value; or a list, tuple, NamedTuple or dict of both.
        name
            The parameter of the function.
        kind
            Its declared type.

        Raises
        ------
        InvalidInput
            It cannot travel; names the step and the argument.
        """
        if isinstance(value, Value):
            self.call.trace.own(value)
            return self._later(value, name, kind)
        if type(value) in {list, tuple}:
            items = [self.argument(x, f"{name}-{n}", None) for n, x in enumerate(value, 1)]
            plain = isinstance(value, list) and _all_plain(items)
            return {"json": value} if plain else {"items": items, "tuple": type(value) is tuple}
        if isinstance(value, tuple) and hasattr(value, "_make"):
            items = [self.argument(x, f"{name}-{n}", None) for n, x in enumerate(value, 1)]
            if not all(part.keys() <= {"json", "pickle"} for part in items):
                return {"items": items, "make": self._plain(type(value), name, None)}
        if isinstance(value, dict) and all(isinstance(key, str) for key in value):
            numbered = enumerate(value.items(), 1)
            members = {k: self.argument(x, f"{name}-{n}", None) for n, (k, x) in numbered}
            return {"json": value} if _all_plain(list(members.values())) else {"dict": members}
        return self._plain(value, name, kind)

    def wait_for(self, value: object) -> None:
        """Let the step wait for the one that a value comes from."""
        if isinstance(value, Output | Item):
            self.after.append(value.call.name)
        elif isinstance(value, Property):
            self.after.append(value.step)
        else:
            place = f"step {self.call.name}, after"
            raise InvalidInput(place, f"{value!r} is no step", legal="results of steps")

    def _plain(self, value: Any, name: str, kind: Declared | None) -> JsonObject:
        place = f"step {self.call.name}, argument {name}"
        is_path = isinstance(value, str) and kind and kind.form in {"file", "frame"}
        if isinstance(value, os.PathLike) or is_path:
            path = os.fspath(value)
            uri = path if path.startswith("s3://") else self.uploads.path(Path(path), place)
            return self._input(name, uri, {"form": "file", **_library(kind)})
        if isinstance(value, str):
            text = self.call.trace.text(value)
            return {"json": text} if isinstance(text, str) else self._word(text, "String")
        if value is None or isinstance(value, bool | int | float):
            return {"json": value}
        try:
            return {"pickle": base64.b64encode(dumps(value)).decode()}
        except Exception as error:  # reducers raise anything
            hint = getattr(error, "hint", "")
            raise InvalidInput(place, f"cannot be pickled: {error}", hint=hint) from None

    def _later(self, value: Value, name: str, kind: Declared | None) -> JsonObject:
        if isinstance(value, Output):
            return self._output(value, name, kind)
        if isinstance(value, Item):
            inside = ["value"] if value.output.declared.form == "scalar" else []
            path = [*inside, *value.path]
            return self._input(name, value.output.uri(), {"form": "json", "path": path})
        is_file = isinstance(value, Parameter) and value.kind == "File"
        if is_file or (isinstance(value, Property) and kind and kind.form in {"file", "frame"}):
            return self._input(name, value.operand(), {"form": "file", **_library(kind)})
        return self._word(value.operand(), value.kind if isinstance(value, Parameter) else "String")

    def _output(self, value: Output, name: str, kind: Declared | None) -> JsonObject:
        if value.declared.form == "none":
            self.wait_for(value)
            return {"json": None}
        library = _library(kind) or _library(value.declared)
        return self._input(name, value.uri(), {"form": value.declared.form, **library})

    def _input(self, name: str, uri: Any, read: JsonObject) -> JsonObject:
        """Read from a URI; from the same one only once."""
        place = next((known for known, other in self.inputs.items() if other == uri), "")
        if not place:
            place, number = name, 1
            while place in self.inputs or place in _NOBODYS:
                number += 1
                place = f"{name}-{number}"
            self.inputs[place] = uri
        return {"input": place, **read}

    def _word(self, expression: Any, kind: str) -> JsonObject:
        self.words.append(expression)
        return {"word": len(self.words), "type": kind}


def _library(kind: Declared | None) -> JsonObject:
    return {"as": kind.library} if kind and kind.library else {}


def _all_plain(parts: list[JsonObject]) -> bool:
    return all(part.keys() == {"json"} for part in parts)
