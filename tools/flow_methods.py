"""Write the methods of ``clary.Flow`` from the transforms; ``--check`` tells stale files.

A transform is a method, its fields are the arguments: a first field ``columns`` becomes
``*columns``, other required fields may go by place, the rest by name.
"""

from __future__ import annotations

import inspect
import subprocess
import sys
import textwrap
import types
import typing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from clary.flows import transforms
from clary.flows.naming import methods

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clary.flows.transform import Transform

FOLDER = Path(__file__).resolve().parent.parent / "src/clary/doors/python/flow_methods"
RUFF = Path(sys.executable).with_name("ruff")
NOTE = "# written by tools/flow_methods.py; do not edit\n"
_SCALARS = {str: "str", int: "int", float: "float", bool: "bool", type(None): "None", Any: "Any"}


def files() -> dict[str, str]:
    """Write every file of the folder that is generated, by name."""
    groups: dict[str, list[str]] = {}
    named = methods()
    for operator in named:
        groups.setdefault(operator.partition(".")[0], []).append(operator)
    made = {f"{group}.py": _module(group, inside, named) for group, inside in groups.items()}
    made["__init__.py"] = _whole(sorted(groups))
    return {name: _formatted(name, text) for name, text in made.items()}


def stale() -> list[str]:
    """Name the files that are not what the transforms say."""
    made = files()
    present = {one.name for one in FOLDER.glob("*.py")} - {"chain.py"}
    wrong = {
        name
        for name, text in made.items()
        if name not in present or (FOLDER / name).read_text("utf-8") != text
    }
    return sorted(wrong | (present - made.keys()))


def write() -> None:
    """Write every file; remove those of groups that are gone."""
    made = files()
    for path in FOLDER.glob("*.py"):
        if path.name not in {*made, "chain.py"}:
            path.unlink()
    for name, text in made.items():
        (FOLDER / name).write_text(text, "utf-8")


def _whole(groups: list[str]) -> str:
    imports = "".join(
        f"from clary.doors.python.flow_methods.{one} import {_class(one)}\n" for one in groups
    )
    bases = ", ".join(_class(one) for one in groups)
    return (
        f'{NOTE}"""The transforms as methods, a file a group."""\n\n'
        f"from __future__ import annotations\n\n{imports}\n"
        f'class Methods({bases}):\n    """Every transform as a method."""\n'
    )


def _class(group: str) -> str:
    return group.title().replace("_", "")


def _module(group: str, operators: list[str], named: dict[str, str]) -> str:
    body = "\n".join(_method(one, named[one]) for one in operators)
    types_ = [one for one in ("Any", "Literal", "Self") if one in body]
    nouns = [one for one in ("Mapping", "Sequence") if f"{one}[" in body]
    checked = [f"    from collections.abc import {', '.join(nouns)}\n"] if nouns else []
    checked += [f"    from typing import {', '.join(types_)}\n"]
    if "Flow" in body:
        checked += ["\n    from clary.doors.python.flows import Flow\n"]
    return (
        f'{NOTE}"""Transforms of the group ``{group}``."""\n\n'
        "from __future__ import annotations\n\nfrom typing import TYPE_CHECKING\n\n"
        "from clary.doors.python.flow_methods.chain import Chain\n\n"
        f"if TYPE_CHECKING:\n{''.join(checked)}\n\n"
        f'class {_class(group)}(Chain):\n    """Transforms of this group."""\n\n{body}'
    )


def _method(operator: str, name: str) -> str:
    kind = transforms.catalogue()[operator]
    doc = textwrap.indent(inspect.getdoc(kind) or "", "        ").strip()
    if "\n" in doc:
        doc += "\n        "
    given = ", ".join(f'"{one.encode_name}": {one.name}' for one in msgspec.structs.fields(kind))
    others = {1: "", 2: ", (other,)"}.get(kind.takes, ", others")
    raw = "r" if "\\" in doc else ""
    return (
        f"    def {name}({', '.join(arguments(kind))}) -> Self:\n"
        f'        {raw}"""{doc}"""\n'
        f'        return self._then("{operator}", {{{given}}}{others})\n'
    )


def arguments(kind: type[Transform]) -> Iterator[str]:
    """Yield the arguments of a method, in order."""
    hints = typing.get_type_hints(kind)  # without what Annotated adds
    fields = list(msgspec.structs.fields(kind))
    yield "self"
    yield from {1: (), 2: ("other: Flow",)}.get(kind.takes, ("*others: Flow",))
    by_name = kind.takes not in {1, 2}
    if fields and fields[0].name == "columns" and _many(hints["columns"]) and kind.takes == 1:
        yield "*columns: str"
        by_name = True
        del fields[0]
    for one in sorted(fields, key=lambda field: not field.required):
        if not one.required and not by_name:
            yield "*"
            by_name = True
        default = "" if one.required else f" = {_default(one)}"
        yield f"{one.name}: {_written(hints[one.name])}{default}"


def _many(hint: Any) -> bool:
    return typing.get_origin(hint) is tuple and typing.get_args(hint) == (str, ...)


def _default(field: Any) -> str:
    if field.default is not msgspec.NODEFAULT:
        return repr(field.default)
    made = field.default_factory()
    return "()" if not made else repr(made)


def _written(hint: Any) -> str:
    """Write a type as an argument has it: any sequence for a tuple, a mapping for a struct."""
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return f"Literal[{', '.join(map(repr, parts))}]"
    inside = [_written(one) for one in parts if one is not ...]
    if origin in (typing.Union, types.UnionType):
        return " | ".join(
            one for one in dict.fromkeys(inside) if one != "int" or "float" not in inside
        )
    if origin in (tuple, list):
        return f"Sequence[{' | '.join(dict.fromkeys(inside))}]"
    if origin is dict:
        return f"Mapping[{', '.join(inside)}]"
    is_struct = isinstance(hint, type) and issubclass(hint, msgspec.Struct)
    return "Mapping[str, Any]" if is_struct else _SCALARS[hint]


def _formatted(name: str, text: str) -> str:
    for command in (["check", "--fix-only", "--select", "I", "-q"], ["format", "-q"]):
        argv = [RUFF, *command, "--stdin-filename", str(FOLDER / name), "-"]
        done = subprocess.run(argv, input=text, capture_output=True, text=True, check=True)
        text = done.stdout
    return text


if __name__ == "__main__":
    if "--check" in sys.argv[1:]:
        old = stale()
        print("\n".join(f"flow_methods/{one} is stale: run `make docs`" for one in old))
        sys.exit(bool(old))
    write()
