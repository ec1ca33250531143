"""What differs between two flows, and between what they have learned."""

from __future__ import annotations

from contextlib import suppress
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET, Struct, UnsetType

from clary.flows import files

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from clary.flows.fitted import Fitted
    from clary.flows.model import Flow


class Difference(Struct, frozen=True, omit_defaults=True):
    """One value of a node that is not the same.

    Parameters
    ----------
    node
        Whose it is; empty for a parameter of the flow.
    what
        ``node``, ``operator``, ``inputs``, ``parameters.…``, ``columns.NAME`` (its type),
        ``columns`` (their order) or ``learned.…``: the way to the value. An item that only one of
        two lists of texts has, a category, stands at the way to its list.
    before, after
        Left out where there is none.
    relative
        How far a number has moved, in parts of what it was: 0.1 is ten percent up.
    """

    node: str
    what: str
    before: Any | UnsetType = UNSET
    after: Any | UnsetType = UNSET
    relative: float | None = None


def of_files(before: Path, after: Path) -> list[Difference]:
    """Compare two flows with what they have learned; or that alone, where a file holds no more.

    Raises
    ------
    InvalidInput
        A file is none of those; names it.
    """
    if files.is_fitted(before) or files.is_fitted(after):
        return of_learned(files.learned(before), files.learned(after))
    (old, learned), (new, learned_now) = files.read(before), files.read(after)
    return of_flows(old, new) + of_learned(learned, learned_now)


def of_flows(before: Flow, after: Flow) -> list[Difference]:
    """Compare two flows: their parameters, and their nodes in the order of the first."""
    found = list(_below("", "parameters", _plain(before.parameters), _plain(after.parameters)))
    old, new = ({one.id: one for one in flow.nodes} for flow in (before, after))
    for name in {**old, **new}:
        if name not in new:
            found.append(Difference(name, "node", before=old[name].operator))
        elif name not in old:
            found.append(Difference(name, "node", after=new[name].operator))
        else:
            ours, theirs = old[name], new[name]
            found += _below(name, "operator", ours.operator, theirs.operator)
            found += _below(name, "inputs", ours.inputs, theirs.inputs)
            found += _below(name, "parameters", _plain(ours.with_), _plain(theirs.with_))
    return found


def of_learned(before: Fitted, after: Fitted) -> list[Difference]:
    """Compare what two flows have learned, node by node: columns, and what transforms keep."""
    found: list[Difference] = []
    for name in {**before.nodes, **after.nodes}:
        old, new = before.nodes.get(name), after.nodes.get(name)
        columns = [dict(one.columns) if one else {} for one in (old, new)]
        found += _below(name, "columns", *columns)
        if set(columns[0]) == set(columns[1]) and list(columns[0]) != list(columns[1]):
            found.append(Difference(name, "columns", list(columns[0]), list(columns[1])))
        found += _below(name, "learned", *(one.state if one else {} for one in (old, new)))
    return found


def _below(node: str, what: str, before: Any, after: Any) -> Iterator[Difference]:
    """Yield what differs below a place."""
    if before == after:
        return
    if isinstance(before, dict) and isinstance(after, dict):
        for key in {**before, **after}:
            way = f"{what}.{key}"
            yield from _below(node, way, before.get(key, UNSET), after.get(key, UNSET))
    elif isinstance(before, list | tuple) and isinstance(after, list | tuple):
        yield from _items(node, what, before, after)
    else:
        yield Difference(node, what, before, after, _relative(before, after))


def _items(
    node: str, what: str, before: list[Any] | tuple[Any, ...], after: list[Any] | tuple[Any, ...]
) -> Iterator[Difference]:
    """Yield what differs in two lists: items of texts, else what stands at the same number."""
    is_names = all(isinstance(one, str) for one in (*before, *after))
    if not is_names:
        for number, pair in enumerate(zip_longest(before, after, fillvalue=UNSET)):
            yield from _below(node, f"{what}.{number}", *pair)
    elif set(before) == set(after):
        yield Difference(node, what, before, after)
    else:
        known, now = set(before), set(after)
        yield from (Difference(node, what, before=one) for one in before if one not in now)
        yield from (Difference(node, what, after=one) for one in after if one not in known)


def _relative(before: Any, after: Any) -> float | None:
    numbers = [one for one in (before, after) if isinstance(one, int | float)]
    if len(numbers) < len("ab") or bool in map(type, numbers) or not before:
        return None
    with suppress(OverflowError):
        return float((after - before) / abs(before))
    return None


def _plain(value: Any) -> Any:
    return msgspec.to_builtins(value)
