"""A flow as a Python program over ``clary.Flow``, as a person would write it."""

from __future__ import annotations

import keyword
import re
from collections import Counter
from itertools import groupby
from typing import TYPE_CHECKING, Any

from msgspec import structs

from clary.flows import transforms
from clary.flows.graphs import free
from clary.flows.model import Node
from clary.flows.naming import methods
from clary.kernel.codec import build
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from clary.flows.model import Flow
    from clary.flows.transform import Transform

_WIDTH = 88
_INDENT = "    "
_MOST_IN_A_LINE = 2
_EACH_ITS_OWN = frozenset({"columns.drop", "parse.cast"})
"""Transforms of several columns, each of which stands for itself."""
_USUAL = {"header": True, "delimiter": ",", "encoding": "utf-8", "ragged": "error"}
"""What a source of CSV need not say."""


def program(flow: Flow, *, title: str = "") -> str:
    """Write a program that makes the flow and, when it is run, runs it.

    A chain of nodes is one statement; a node whose rows several others take is a variable.
    """
    lines = ["import clary", ""]
    if title:
        lines = [f'"""{_told(title)}"""', "", *lines]
    chains = list(_chains(flow))
    names: dict[str, str] = {}
    for chain in chains:
        called = free(_called(chain), {"clary", *names.values()})
        given = flow.parameters if not names else {}
        values = [f"parameter({_value(x)}, {_value(one.default)})" for x, one in given.items()]
        lines += [*_statement(called, chain, names, values), ""]
        names[chain[-1].id] = called
    used = {one for node in flow.nodes if not _is_analysis(node) for one in node.inputs}
    ends = [chain[-1] for chain in chains if chain[-1].id not in used]
    ends += [one for one in flow.nodes if _is_analysis(one)]
    shown = (f"{_INDENT}{_shown(one, names)}" for one in ends)
    lines += ["", 'if __name__ == "__main__":', *shown]
    return "\n".join(lines).rstrip() + "\n"


def call(operator: str, parameters: Mapping[str, Any]) -> str:
    """Write the method that adds a transform to a flow, as it is called.

    Examples
    --------
    >>> call("columns.drop", {"columns": ["id"]})
    'drop("id")'
    """
    return _call(Node("", operator, dict(parameters), ("",)), {})


def _called(chain: list[Node]) -> str:
    last = chain[-1]
    if last.title or _is_own(last):
        return _identifier(last.title or last.id)
    return _identifier(_stem(chain[0]) or last.operator.rpartition(".")[2])


def _is_own(node: Node) -> bool:
    """Whether a node's name reads like one, and is not made of its operator's."""
    plain = re.fullmatch(r"[A-Za-z]\w{0,39}", node.id, flags=re.ASCII) is not None
    verb = re.escape(node.operator.rpartition(".")[2])
    return plain and re.fullmatch(rf"{verb}(_\d+)?", node.id) is None


def _stem(node: Node) -> str:
    place = str(node.with_.get("path", node.with_.get("uri", ""))).rpartition("/")[2]
    return place.partition(".")[0] if node.operator == "source" else ""


def _shown(node: Node, names: Mapping[str, str]) -> str:
    if node.operator == "destination":
        return f"{names[node.id]}.run()"
    if _is_analysis(node):
        return f"print({names[node.inputs[0]]}.{_call(node, names)}.document)"
    return f"print({names[node.id]}.preview())"


def _is_analysis(node: Node) -> bool:
    return node.operator.startswith("analysis.")


def _chains(flow: Flow) -> Iterator[list[Node]]:
    """Cut the graph into chains, each after those it takes rows of."""
    nodes = [one for one in flow.nodes if not _is_analysis(one)]
    users = Counter(one for node in nodes for one in node.inputs)
    looked_at = {one.inputs[0] for one in flow.nodes if _is_analysis(one)}
    open_: dict[str, list[Node]] = {}
    order: list[list[Node]] = []
    for node in nodes:
        first = node.inputs[0] if node.inputs else ""
        if users[first] == 1 and first in open_ and first not in looked_at:
            chain = open_.pop(first)
            order.remove(chain)  # it ends later, after what it joins
        else:
            chain = []
        chain.append(node)
        order.append(chain)
        open_[node.id] = chain
    yield from order


def _statement(
    name: str, chain: list[Node], names: Mapping[str, str], first: list[str]
) -> Iterator[str]:
    calls = [call for one in _gathered(chain) for call in (_call(one, names), *_naming(one))]
    calls[1:1] = first
    head = "" if not chain[0].inputs else names[chain[0].inputs[0]]
    start = f"{head}.{calls[0]}" if head else calls[0]
    flat = f"{name} = {'.'.join([start, *calls[1:]])}"
    if len(flat) <= _WIDTH and "\n" not in flat and len(calls) <= _MOST_IN_A_LINE:
        yield flat
        return
    yield f"{name} = ("
    for line in (start, *(f".{one}" for one in calls[1:])):
        yield f"{_INDENT}{line}"
    yield ")"


def _call(node: Node, names: Mapping[str, str]) -> str:
    if node.operator == "source":
        return _source(node)
    if node.operator == "destination":
        given = dict(node.with_)
        if group := given.pop("feature_group", ""):
            return _written("write", [f"clary.FeatureGroup({_value(group)})"], given)
        place = given.pop("path", given.pop("uri", ""))
        return _written("write", [_value(place)], given)
    if _is_analysis(node):
        name = node.operator.partition(".")[2]
        return _written("analyse", [_value(name)], node.with_)
    others = [names[one] for one in node.inputs[1:]]
    kind = transforms.catalogue().get(node.operator)
    if kind is None or (set_ := _given(kind, node)) is None:
        return _written("then", [_value(node.operator), _value(node.with_), *others], {})
    return _method(kind, node.operator, set_, others)


def _source(node: Node) -> str:
    given = {name: one for name, one in node.with_.items() if _USUAL.get(name) != one}
    form, path = given.pop("format", ""), given.pop("path", given.pop("uri", ""))
    form = "sqlite" if {"table", "query"} & given.keys() else form
    if group := given.pop("feature_group", ""):
        opened = f"clary.FeatureGroup({_value(group)})"
        own = {} if node.id == group else {"name": node.id}
        return _written("clary.Flow.read", [opened], {**own, **given})
    if not path:
        return _written("clary.Flow", [_value(node.id)], given)
    own = {"name": node.id} if _is_own(node) and node.id != _stem(node) else {}
    reader = f"clary.Flow.read_{form}" if form else "clary.Flow.read"
    return _written(reader, [_value(path)], {**own, **given})


def _given(kind: type[Transform], node: Node) -> dict[str, Any] | None:
    """Give the parameters of a node that are not as usual; None where they do not fit."""
    try:
        return build(kind, node.with_).chosen()
    except InvalidInput:
        return None


def _gathered(chain: list[Node]) -> Iterator[Node]:
    """Make one of nodes in a row that do the same to several columns, each to its own."""
    for (operator, *_), some in groupby(chain, _sameness):
        first, *more = some
        if operator in _EACH_ITS_OWN and more:
            columns = [name for one in (first, *more) for name in one.with_["columns"]]
            first = structs.replace(first, with_={**first.with_, "columns": columns})
            more = []
        yield from (first, *more)


def _sameness(node: Node) -> tuple[str, ...]:
    rest = {name: one for name, one in node.with_.items() if name != "columns"}
    return node.operator, repr(sorted(rest.items())), node.id if _is_own(node) else ""


def _naming(node: Node) -> Iterator[str]:
    """Name a node that somebody has named."""
    if _is_own(node) and node.operator != "source":
        yield f"called({_value(node.id)})"


def _method(kind: type[Transform], operator: str, given: dict[str, Any], others: list[str]) -> str:
    fields = {one.encode_name: one for one in structs.fields(kind)}
    places = list(others)
    first = next(iter(fields), "")
    if first == "columns" and kind.takes == 1 and isinstance(given.get(first), list | tuple):
        places += map(_value, given.pop(first))
    else:
        for name, one in fields.items():
            if one.required and name in given and kind.takes:
                places.append(_value(given.pop(name)))
    named = {fields[one].name if one in fields else one: value for one, value in given.items()}
    return _written(methods()[operator], places, named)


def _written(name: str, places: list[str], named: Mapping[str, Any]) -> str:
    """Write a call; its arguments on lines of their own where they are long."""
    words = [*places, *(f"{key}={_value(value)}" for key, value in named.items())]
    flat = f"{name}({', '.join(words)})"
    if len(flat) <= _WIDTH - 2 * len(_INDENT) or (len(words) == 1 and "\n" in flat):
        return flat
    inside = "".join(f"{_INDENT * 2}{one},\n" for one in words)
    return f"{name}(\n{inside}{_INDENT})"


def _value(value: Any) -> str:
    """Write a literal, its texts in double quotes where they hold none."""
    if isinstance(value, str):
        text = repr(value)
        is_plain = '"""' not in value and "\\" not in value and value[-1:] != '"'
        if is_plain and ("\n" in value or text.count("\\'")):
            return f'"""{value}"""'
        return f'"{text[1:-1]}"' if text[0] == "'" and '"' not in text else text
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_value(key)}: {_value(one)}' for key, one in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    return repr(value)


def _identifier(text: str) -> str:
    """Make a name of a text.

    Examples
    --------
    >>> _identifier("Claims (2024).csv"), _identifier("1st"), _identifier("class")
    ('claims_2024_csv', 'n1st', 'class_')
    """
    found = re.sub(r"\W+", "_", text.lower(), flags=re.ASCII).strip("_") or "rows"
    found = f"n{found}" if found[0].isdigit() else found
    return f"{found}_" if keyword.iskeyword(found) else found


def _told(title: str) -> str:
    return title.replace("\\", "\\\\").replace('"""', "'''")
