"""Upkeep of facts: files that are full become tables."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from clary.kernel.clock import now
from clary.kernel.names import Ref
from clary.kernel.resource import Resource

if TYPE_CHECKING:
    import threading
    from datetime import datetime

    from clary.features.ports import FactStore
    from clary.kernel.ports import MetadataStore

FACT_UPKEEP = "fact-upkeep"
_PAUSE = timedelta(hours=1)


class FactUpkeep:
    """Looks through all facts once an hour.

    Parameters
    ----------
    store
        Where it is noted when that is due.
    facts
        What is kept in shape.
    """

    def __init__(self, store: MetadataStore, facts: FactStore) -> None:
        self._store = store
        self._facts = facts

    def install(self) -> None:
        """Make the work due where it never was."""
        ref, at = Ref("", "", FACT_UPKEEP, "hourly"), now()
        if self._store.get(ref) is None:
            with self._store.begin(durable=False) as change:
                if change.get(ref) is None:
                    change.insert(Resource(ref, {}, at, at), due=True)

    def run(self, found: Resource, stopping: threading.Event) -> datetime | None:
        """Make tables of full files; the worker's handler of ``FACT_UPKEEP``."""
        del found, stopping
        self._facts.gather()
        return now() + _PAUSE
