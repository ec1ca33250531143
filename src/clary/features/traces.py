"""What views keep of entities beside the groups' records: logged facts, and partial aggregates."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from clary.features.model import FEATURE_GROUP
from clary.features.view_log import keys_of, unversioned
from clary.features.views import VIEW
from clary.kernel.clock import now_us
from clary.kernel.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from clary.features.fact_queries import FactQueries
    from clary.features.facts import Fact, Facts
    from clary.features.view_log import ViewLog
    from clary.features.views import Opened, Views
    from clary.kernel.names import Ref
    from clary.kernel.ports import MetadataStore


class Traces:
    """Removes entities from what the views of a group keep.

    Parameters
    ----------
    store, views
        The views, and where they are recorded.
    facts, queries
        What they have logged.
    log
        Knows by which definition that was.
    """

    def __init__(
        self,
        store: MetadataStore,
        views: Views,
        facts: Facts,
        queries: FactQueries,
        log: ViewLog,
    ) -> None:
        self._store = store
        self._views = views
        self._facts = facts
        self._queries = queries
        self._log = log

    def erase(self, group: Ref, keys: Sequence[str]) -> Sequence[Ref]:
        """Remove the entities of a group from its views' facts and aggregates.

        The group's own rows must have been removed before.

        Parameters
        ----------
        keys
            As records are filed under them.

        Returns
        -------
        Sequence[Ref]
            The groups that its views are written down in; they have the entities still.
        """
        links = self._store.links(group, incoming=False)
        found = [link.target for link in links if link.target.kind == VIEW]
        opened = [one for view in found if (one := self._opened(view))]
        for one in opened:
            self._forget(one, group, keys)
        self._facts.flush()
        for view in {unversioned(one.ref) for one in opened}:
            versions = [one for one in opened if unversioned(one.ref) == view]
            self._queries.erase_where(view, self._is_of(versions, group, frozenset(keys)))
        written = self._store.links(*found, incoming=False) if found else ()
        return [
            link.target
            for link in written
            if link.kind == "Produced" and link.target.kind == FEATURE_GROUP
        ]

    def _opened(self, view: Ref) -> Opened | None:
        try:
            return self._views.open(view)
        except NotFound:  # it was deleted, or another group of it was
            return None

    def _forget(self, opened: Opened, group: Ref, keys: Sequence[str]) -> None:
        """Remove tiles now, and once more when whoever adds to them has finished."""
        for stream, tiles in zip(opened.checked.streams, opened.tiles, strict=True):
            if stream.group.ref != group:
                continue
            with self._store.begin() as change:
                found = change.get(opened.ref)
                if found is not None:
                    erased = {**found.body.get("erased", {})}
                    table = stream.group.offline_table
                    erased[table] = sorted({*erased.get(table, ()), *keys})
                    change.update(replace(found, body={**found.body, "erased": erased}))
                    change.wake(opened.ref)
            tiles.erase(keys, now_us())

    def _is_of(
        self, versions: Sequence[Opened], group: Ref, keys: Collection[str]
    ) -> Callable[[Fact], bool]:
        """Make what tells the facts of entities; each is read as the version says that logged it.

        Of a version that is not there any more, it may be of any.
        """
        identifiers: Mapping[str, tuple[str, Sequence[str]]] = {
            self._log.definition(one.ref).digest: (
                one.checked.groups[group.name].schema.identifier,
                one.checked.identifiers,
            )
            for one in versions
        }
        every = list(identifiers.values())

        def is_of(fact: Fact) -> bool:
            known = identifiers.get(fact.digest)
            return any(
                _key(fact.entity, name, names) in keys
                for name, names in ([known] if known else every)
            )

        return is_of


def _key(entity: str, identifier: str, identifiers: Sequence[str]) -> str | None:
    try:
        return keys_of(entity, identifiers)[identifier]
    except InvalidInput:
        return None
