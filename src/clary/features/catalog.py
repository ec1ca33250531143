"""Groups at hand: a request makes no look at the store on its way."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from clary.features import requests
from clary.features.model import FEATURE_GROUP
from clary.features.records import Group
from clary.kernel.codec import build
from clary.kernel.errors import NotFound
from clary.kernel.resource import Query

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clary.kernel.names import Ref
    from clary.kernel.ports import MetadataStore
    from clary.kernel.resource import Resource

_LOOK_S = 0.1
_MOST = 10_000
"""Groups at hand; beyond that all are read again."""


class Catalog:
    """The groups of one home as this process knows them.

    What another process changes is seen here a tenth of a second later.

    Parameters
    ----------
    store
        Where groups are recorded.
    """

    def __init__(self, store: MetadataStore) -> None:
        self._store = store
        self._known: dict[Ref, tuple[float, int, Group]] = {}

    def find(self, ref: Ref) -> Group:
        """Give a group. Raises NotFound when there is none, or it is being deleted."""
        return self.at_hand(ref) or self.look(ref)

    def at_hand(self, ref: Ref) -> Group | None:
        """Give a group if that needs no look at the store."""
        known = self._known.get(ref)
        if known is None or time.monotonic() - known[0] >= _LOOK_S:
            return None
        return known[2]

    def look(self, ref: Ref) -> Group:
        """Give a group as the store has it at this moment. Raises NotFound."""
        found = self._store.get(ref)
        if found is None or found.status != "Created":
            self._known.pop(ref, None)
            raise NotFound(ref)
        known = self._known.get(ref)
        if known is not None and known[1] == found.revision and known[2].uid == found.body["uid"]:
            group = known[2]
        else:
            group = compiled(found)
        if len(self._known) >= _MOST:
            self._known.clear()
        self._known[ref] = (time.monotonic(), found.revision, group)
        return group

    def forget(self, ref: Ref) -> None:
        """Look at the store when a group is next asked for."""
        self._known.pop(ref, None)

    def all(self, account: str, region: str) -> Iterator[Group]:
        """Yield every group of an account and region, by name."""
        return stored(self._store, account, region)


def stored(
    store: MetadataStore, account: str | None = None, region: str | None = None
) -> Iterator[Group]:
    """Yield every group that a store has, by name; of one account and region, or of all."""
    query = Query(
        FEATURE_GROUP,
        account,
        region,
        statuses=("Created",),
        sort_by="name",
        descending=False,
        limit=1_000,
    )
    while True:
        page = store.select(query)
        yield from map(compiled, page.items)
        if not page.token:
            return
        query = replace(query, token=page.token)


def compiled(found: Resource) -> Group:
    """Make what the data plane needs of a stored group."""
    view = build(requests.GroupRequest, found.body["request"])
    return Group(
        found.ref,
        found.body["uid"],
        requests.schema(view, found.body["version"]),
        is_online=view.is_online,
        ttl_us=view.ttl_us,
        offline_table=found.body["output"].removeprefix("s3://"),
        catalog_table=found.body["table"].get("TableName", ""),
        read_units=view.units[0],
        write_units=view.units[1],
    )
