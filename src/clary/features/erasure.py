"""Erasure: an entity is removed from all that a feature group keeps, and its views."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from clary.features.model import FEATURE_GROUP
from clary.kernel.clock import now
from clary.kernel.errors import NotFound
from clary.kernel.resource import Event

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clary.features.ports import OfflineStore, OnlineStore
    from clary.features.service import Features
    from clary.features.statistics import Statistics
    from clary.features.traces import Traces
    from clary.kernel.names import Ref
    from clary.kernel.ports import MetadataStore


class Erasure:
    """Removes entities from the online store, and from every version of the offline table.

    Unlike a deletion it leaves no line in the history. What is made of the history, such as
    training sets, is made without them from then on; what was made before is not changed. Of the
    group's views it removes the aggregates, the logged facts, and what was written down.
    """

    def __init__(
        self,
        store: MetadataStore,
        features: Features,
        online: OnlineStore,
        offline: OfflineStore,
        traces: Traces,
        statistics: Statistics,
    ) -> None:
        self._store = store
        self._features = features
        self._online = online
        self._offline = offline
        self._traces = traces
        self._statistics = statistics

    def erase(self, ref: Ref, keys: Sequence[object], *, actor: str) -> None:
        """Remove entities; to be called again when it did not return.

        Parameters
        ----------
        keys
            Identifiers, or their texts. The journal names how many there were, not which.

        Raises
        ------
        NotFound
            There is no such group.
        """
        group = self._features.group(ref)
        texts = [group.key(key) for key in keys]
        if group.offline_table:
            self._offline.erase(group.offline_table, texts)
        if group.is_online:
            self._online.remove(group.online_table, texts)
        self._statistics.forget(ref)
        for written in self._traces.erase(ref, texts):
            self._erase_written(written, texts, actor)
        with self._store.begin() as change:
            detail = {"entities": len(texts)}
            change.append(Event(now(), actor, f"{FEATURE_GROUP}.erased", ref, detail))

    def _erase_written(self, ref: Ref, keys: Sequence[str], actor: str) -> None:
        """Remove entities from what a view is written down in, unless that is gone itself."""
        with suppress(NotFound):
            self.erase(ref, keys, actor=actor)
