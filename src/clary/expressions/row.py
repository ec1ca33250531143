"""Trees as one Python function over a row, compiled once."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from clary.expressions.render import fill
from clary.expressions.tree import Call, Column, Constant, Node

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_NESTED = 12
"""Levels of a tree in one Python expression; deeper ones become functions of their own."""


class _Source(NamedTuple):
    """Python source of a value that is NULL exactly when one of ``nulls`` holds."""

    nulls: tuple[str, ...]
    value: str
    is_name: bool = False

    @property
    def whole(self) -> str:
        if not self.nulls:
            return self.value
        return f"(None if {' or '.join(self.nulls)} else {self.value})"


Stage = Node | Mapping[str, Node]
"""A condition that keeps a row, or the trees of all columns that there are afterwards."""


def compile_rows(
    trees: Sequence[Node], columns: Sequence[str]
) -> Callable[[Sequence[Any]], tuple[Any, ...]]:
    """Compile trees to a function from a row's values, in the order of ``columns``, to theirs."""
    writer = _Writer({name: f"c{place}" for place, name in enumerate(columns)})
    values = "".join(f"{writer.source(tree).whole}, " for tree in trees)
    names = "".join(f"c{place}, " for place in range(len(columns)))
    unpacking = f"    ({names}) = row\n" if names else ""
    made: Callable[[Sequence[Any]], tuple[Any, ...]] = writer.function(
        f"def compiled(row):\n{unpacking}    return ({values})\n"
    )
    return made


def compile_mapping(
    trees: Mapping[str, Node], columns: Sequence[str]
) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """Compile named trees to a function from a row as a mapping to their values by name."""
    writer = _Writer({name: f"c{place}" for place, name in enumerate(columns)})
    values = ", ".join(f"{name!r}: {writer.source(tree).whole}" for name, tree in trees.items())
    reading = "".join(f"    c{place} = row[{name!r}]\n" for place, name in enumerate(columns))
    made: Callable[[Mapping[str, Any]], dict[str, Any]] = writer.function(
        f"def compiled(row):\n{reading}    return {{{values}}}\n"
    )
    return made


def compile_chain(
    columns: Sequence[str], stages: Sequence[Stage]
) -> Callable[[Sequence[Any]], tuple[Any, ...] | None]:
    """Compile stages, each over the columns that the one before gives, to one function.

    It gives the values of the last stage's columns; None where a condition is not true.
    """
    known = {name: f"c{place}" for place, name in enumerate(columns)}
    unpacking = f"    ({''.join(f'{one}, ' for one in known.values())}) = row\n" if known else ""
    writer, lines = _Writer(known), [f"def compiled(row):\n{unpacking}"]
    for stage in stages:
        if isinstance(stage, Node):
            lines.append(f"    if not {writer.source(stage).whole}: return None\n")
            continue
        after = {}
        for name, tree in stage.items():
            if isinstance(tree, Column):
                after[name] = known[tree.name]
                continue
            source, after[name] = writer.source(tree).whole, writer.variable()
            lines.append(f"    {after[name]} = {source}\n")
        known = after
        writer.over(known)
    values = "".join(f"{one}, " for one in known.values())
    lines.append(f"    return ({values})\n")
    made: Callable[[Sequence[Any]], tuple[Any, ...] | None] = writer.function("".join(lines))
    return made


class _Writer:
    """Writes source; collects the functions and constants that it names."""

    def __init__(self, columns: Mapping[str, str]) -> None:
        self._columns = columns
        self._names: dict[str, Any] = {}
        self._inner: list[str] = []
        self._count = 0

    def over(self, columns: Mapping[str, str]) -> None:
        """Read columns from other variables from here on."""
        self._columns = columns

    def variable(self) -> str:
        """Give a variable that stands for no value yet."""
        return self._name()

    def function(self, source: str) -> Any:
        """Run the source of a function called ``compiled``."""
        exec("".join([*self._inner, source]), self._names)  # noqa: S102 - written here from a checked tree: names are numbered, constants by repr
        return self._names["compiled"]

    def source(self, node: Node) -> _Source:
        if isinstance(node, Column):
            name = self._columns[node.name]
            return _Source((f"{name} is None",), name, is_name=True)
        if isinstance(node, Constant):
            return self._constant(node.value)
        if node.depth % _NESTED == 0:
            return self._nullable(self._outlined(node))
        return self._call(node)

    def _constant(self, value: Any) -> _Source:
        if value is None:
            return _Source(("True",), "None", is_name=True)
        if isinstance(value, dt.date) or (isinstance(value, float) and not math.isfinite(value)):
            return _Source((), self._named(value), is_name=True)
        return _Source((), f"({value!r})", is_name=True)

    def _outlined(self, node: Call) -> str:
        name, columns = self._name(), ", ".join(dict.fromkeys(self._columns.values()))
        self._inner.append(f"def {name}({columns}):\n    return {self._call(node).whole}\n")
        return f"{name}({columns})"

    def _call(self, node: Call) -> _Source:
        function = node.function
        if function.nulls == "lazy":
            sources = [self.source(one).whole for one in node.arguments]
            return self._nullable(function.run(sources, self._name))  # type: ignore[operator]  # lazy ones are functions
        given = [self.source(one) for one in node.arguments if not self._is_bound(node, one)]
        run = self._bound(node)
        if function.nulls == "seen":
            return self._seen(node, run, given)
        return self._strict(node, run, given)

    def _is_bound(self, node: Call, argument: Node) -> bool:
        return any(node.arguments[place] is argument for place in node.function.constants)

    def _bound(self, node: Call) -> str:
        """Return a template: the function's own, or a call of it."""
        run = node.function.run
        if isinstance(run, str):
            return f"({run})"
        if node.function.constants:
            values = [node.arguments[place] for place in node.function.constants]
            run = run(*[one.value for one in values if isinstance(one, Constant)])
        return f"{self._named(run)}({{*}})"

    def _seen(self, node: Call, run: str, given: Sequence[_Source]) -> _Source:
        value = fill(run, [one.value if one.is_name else one.whole for one in given])
        if node.function.gives.name == "boolean" and node.function.name.startswith("is "):
            return _Source((), value)
        return self._nullable(value)

    def _strict(self, node: Call, run: str, given: Sequence[_Source]) -> _Source:
        if len(given) > 1 and any(one.fails for one in node.arguments):
            return self._eager(run, given)
        nulls: list[str] = []
        values: list[str] = []
        for place, one in enumerate(given):
            nulls += [test for test in one.nulls if test not in nulls]
            if one.is_name or run.count(f"{{{place}}}") < 2:
                values.append(one.value)
                continue
            name = self._name()
            nulls.append(f"({name} := {one.value}) is None")
            values.append(name)
        return _Source(tuple(nulls), fill(run, values))

    def _eager(self, run: str, given: Sequence[_Source]) -> _Source:
        """Compute every argument, because one that fails does so beside a NULL too."""
        tests: list[str] = []
        values: list[str] = []
        for one in given:
            name = one.value if one.is_name else self._name()
            values.append(name)
            if one.is_name:
                tests += [f"({test})" for test in one.nulls]
            else:
                tests.append(f"(({name} := {one.whole}) is None)")
        return _Source((" | ".join(tests),), fill(run, values))

    def _nullable(self, value: str) -> _Source:
        name = self._name()
        return _Source((f"({name} := {value}) is None",), name)

    def _named(self, value: Any) -> str:
        name = self._name()
        self._names[name] = value
        return name

    def _name(self) -> str:
        self._count += 1
        return f"t{self._count}"
