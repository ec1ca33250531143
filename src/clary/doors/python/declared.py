"""What the annotations of a function declare, in terms of how values travel between steps."""

from __future__ import annotations

import collections.abc
import os
import types
import typing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union

from clary.doors.python.values import Tree, class_names, described, frame_library
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable

Form = Literal["anything", "none", "scalar", "json", "frame", "array", "file", "model"]

_SCALARS = {bool: "bool", int: "int", float: "float", str: "str", type(None): "None"}
_LISTS = (list, collections.abc.Sequence, collections.abc.Iterable)
_DICTS = (dict, collections.abc.Mapping, collections.abc.MutableMapping)
_ANYTHING = {"is": "anything"}
_KEYS = {"str", "anything"}


class FileMark:
    """Marks the annotation ``clary.File``."""


File = Annotated[str | os.PathLike[str], FileMark()]
"""A file or folder: a pipeline's parameter, here or at ``s3://…``; in a step, a path."""


@dataclass(frozen=True, slots=True)
class Declared:
    """One declared type.

    Parameters
    ----------
    form
        How a value of it is stored.
    tree
        The type itself, as ``values.matches`` reads it.
    library
        Of a frame: ``pandas``, ``polars`` or ``pyarrow``.
    """

    form: Form = "anything"
    tree: Tree = field(default_factory=lambda: _ANYTHING)
    library: str = ""

    def __str__(self) -> str:
        """Write it as Python does."""
        return described(self.tree)

    def takes(self, other: Declared) -> bool:
        """Whether values of another declared type may come here; True when nobody can tell."""
        if "anything" in {self.form, other.form}:
            return True
        if self.form == "frame":
            return other.form in {"frame", "file"}
        if {self.form, other.form} <= {"scalar", "json"}:
            return _leaves(other.tree) <= _widened(_leaves(self.tree))
        return self.form == other.form


def _leaves(tree: Tree) -> set[str]:
    """Name the outermost types that a value may have."""
    if tree["is"] == "union":
        return {name for part in tree["of"] for name in _leaves(part)}
    if tree["is"] == "literal":
        return {type(one).__name__ for one in tree["of"]}
    return {tree["is"]}


def _widened(names: set[str]) -> set[str]:
    return names | ({"int"} if "float" in names else set())


@dataclass(frozen=True, slots=True)
class Returned:
    """What a function declares to return: its results by name, and whether as a tuple of them."""

    results: tuple[tuple[str, Declared], ...]
    several: bool = False
    make: Callable[[list[Any]], Any] = tuple


def hints(function: Callable[..., Any], place: str) -> dict[str, Any]:
    """Return a function's evaluated annotations.

    Raises
    ------
    InvalidInput
        One names something that is not there when the program runs.
    """
    try:
        return typing.get_type_hints(function, include_extras=True)
    except Exception as error:  # an annotation is any expression
        raise InvalidInput(
            place,
            f"its annotations cannot be read: {error}",
            hint="import what they name outside of `if TYPE_CHECKING:`",
        ) from None


def declared(hint: Any) -> Declared:
    """Read one annotation.

    Examples
    --------
    >>> declared(dict[str, float]).form, str(declared(int | None))
    ('json', 'int | None')
    """
    tree = _tree(hint)
    return Declared(_form(tree), tree, frame_library(hint) if isinstance(hint, type) else "")


def returned(hint: Any) -> Returned:
    """Read a return annotation: a tuple of known length or a NamedTuple is several results."""
    if isinstance(hint, type) and issubclass(hint, tuple) and hasattr(hint, "_fields"):
        members = typing.get_type_hints(hint, include_extras=True)
        results = tuple((name, declared(members.get(name, Any))) for name in hint._fields)
        return Returned(results, several=True, make=lambda items: hint(*items))
    parts = typing.get_args(hint)
    if typing.get_origin(hint) is tuple and parts and parts[-1] is not Ellipsis:
        numbered = enumerate(parts, 1)
        return Returned(tuple((f"result-{n}", declared(one)) for n, one in numbered), several=True)
    one = declared(hint)
    return Returned(() if one.form == "none" else (("result", one),))


def _tree(hint: Any) -> Tree:
    if hint is None:
        hint = type(None)
    if typing.get_origin(hint) is Annotated:
        inner, *marks = typing.get_args(hint)
        is_file = any(isinstance(mark, FileMark) for mark in marks)
        return {"is": "path"} if is_file else _tree(inner)
    if isinstance(hint, type) and hint in _SCALARS:
        return {"is": _SCALARS[hint]}
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin in (Union, types.UnionType):
        return {"is": "union", "of": [_tree(part) for part in parts]}
    if origin is Literal:
        return {"is": "literal", "of": list(parts)}
    return _container(origin or hint, parts) or _class(hint)


def _container(origin: Any, parts: tuple[Any, ...]) -> Tree | None:
    if origin in _LISTS or origin is tuple:
        return {"is": "list", "of": [_tree(parts[0]) if parts else _ANYTHING]}
    if origin in _DICTS:
        of = [_tree(part) for part in parts] or [_ANYTHING, _ANYTHING]
        return {"is": "dict", "of": of}
    return {"is": "dict", "of": [_ANYTHING, _ANYTHING]} if typing.is_typeddict(origin) else None


def _class(hint: Any) -> Tree:
    if not isinstance(hint, type) or hint in (Any, object):
        return _ANYTHING
    if issubclass(hint, os.PathLike) or hint is os.PathLike:
        return {"is": "path"}
    return {"is": class_names(hint)[0]}


def _form(tree: Tree) -> Form:
    name = tree["is"]
    if name == "union":
        forms = {_form(part) for part in tree["of"]} - {"none"}
        if forms <= {"scalar"}:
            return "scalar"
        return "json" if forms == {"json"} else "anything"
    if name in {"pandas.DataFrame", "polars.DataFrame", "pyarrow.Table"}:
        return "frame"
    if name == "list":
        return "json" if _is_json(tree["of"][0]) else "anything"
    if name == "dict":
        keys, found = tree["of"]
        return "json" if _leaves(keys) <= _KEYS and _is_json(found) else "anything"
    known: dict[str, Form] = {
        **dict.fromkeys(("bool", "int", "float", "str", "literal"), "scalar"),
        "numpy.ndarray": "array",
        "None": "none",
        "path": "file",
        "anything": "anything",
    }
    return known.get(name, "model")


def _is_json(tree: Tree) -> bool:
    """Whether values of a type may be parts of JSON; a path is refused when there is one."""
    parts = tree["of"] if tree["is"] == "union" else [tree]
    return {_form(part) for part in parts} <= {"scalar", "json", "none", "anything", "file"}
