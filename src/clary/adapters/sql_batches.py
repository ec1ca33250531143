"""Reading much at once: many resources, and the edges of many things, in few statements."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, select

from clary.adapters.sql_schema import (
    LINK,
    RESOURCE,
    TAG,
    link_from_row,
    ref_text,
    resource_from_row,
)
from clary.adapters.sql_select import SELECT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from sqlalchemy import Connection

    from clary.kernel.names import Ref
    from clary.kernel.resource import Link, Resource

_C = RESOURCE.c
_MOST = 1000
"""So many names go into one statement."""
_GET_ALL = SELECT.where(
    *(_C[name] == bindparam(f"of_{name}") for name in ("kind", "account", "region")),
    _C.name.in_(bindparam("of_names", expanding=True)),
)
_LINKS = {
    True: select(LINK).where(LINK.c.target.in_(bindparam("ends", expanding=True))),
    False: select(LINK).where(LINK.c.source.in_(bindparam("ends", expanding=True))),
}

_TAGS = select(TAG).where(TAG.c.ref.in_(bindparam("refs", expanding=True)))


def resources(connection: Connection, refs: Iterable[Ref]) -> Mapping[Ref, Resource]:
    """Read those of many resources that there are, in the order of ``refs``."""
    wanted = dict.fromkeys(refs)
    groups: dict[tuple[str, str, str], list[str]] = {}
    for ref in wanted:
        groups.setdefault((ref.kind, ref.account, ref.region), []).append(ref.name)
    found = {}
    for (kind, account, region), names in groups.items():
        for some in _parts(names):
            values = {
                "of_kind": kind,
                "of_account": account,
                "of_region": region,
                "of_names": some,
            }
            for row in connection.execute(_GET_ALL, values):
                resource = resource_from_row(row)
                found[resource.ref] = resource
    return {ref: found[ref] for ref in wanted if ref in found}


def links(connection: Connection, refs: Iterable[Ref], *, incoming: bool) -> Sequence[Link]:
    """Read the edges that end or start at any of many things, in the order they were added."""
    rows = [
        row
        for some in _parts(list(dict.fromkeys(map(ref_text, refs))))
        for row in connection.execute(_LINKS[incoming], {"ends": some})
    ]
    return [link_from_row(row) for row in sorted(rows, key=lambda row: int(row.id))]


def tags(connection: Connection, refs: Iterable[Ref]) -> Mapping[Ref, Mapping[str, str]]:
    """Read the tags of those of many resources that have any, by key."""
    named = {ref_text(ref): ref for ref in refs}
    found: dict[Ref, dict[str, str]] = {}
    for some in _parts(list(named)):
        for row in connection.execute(_TAGS.order_by(TAG.c.key), {"refs": some}):
            found.setdefault(named[row.ref], {})[row.key] = row.value
    return found


def _parts(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (items[start : start + _MOST] for start in range(0, len(items), _MOST))
