"""What has run out is removed: online records past their time, rows past their retention."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING

from clary.features.catalog import stored
from clary.kernel.clock import now, now_us
from clary.kernel.errors import ClaryError
from clary.kernel.names import Ref
from clary.kernel.resource import Resource

if TYPE_CHECKING:
    import threading
    from datetime import datetime

    from clary.features.ports import OnlineStore
    from clary.features.records import Group
    from clary.features.retention import Retention
    from clary.kernel.ports import MetadataStore

EXPIRY = "feature-expiry"
_PAUSE_S = 3_600.0
_log = logging.getLogger(__name__)


class Expiry:
    """Looks through all groups once an hour.

    Parameters
    ----------
    store
        Where it is noted when that is due.
    online
        The latest records.
    retention
        Removes rows.
    """

    def __init__(self, store: MetadataStore, online: OnlineStore, retention: Retention) -> None:
        self._store = store
        self._online = online
        self._retention = retention

    def install(self) -> None:
        """Make the work due where it never was."""
        ref, at = Ref("", "", EXPIRY, "hourly"), now()
        if self._store.get(ref) is None:
            with self._store.begin(durable=False) as change:
                if change.get(ref) is None:
                    change.insert(Resource(ref, {}, at, at), due=True)

    def run(self, found: Resource, stopping: threading.Event) -> datetime | None:
        """Look through all groups; the worker's handler of ``EXPIRY``."""
        del found
        for group in stored(self._store):
            if stopping.is_set():
                break
            try:
                self._remove(group)
            except (ClaryError, OSError):
                _log.exception("what has run out of %s stays; trying again", group.ref)
        return now() + timedelta(seconds=_PAUSE_S)

    def _remove(self, group: Group) -> None:
        if group.is_online:
            self._online.sweep(group.online_table, now_us())
        self._retention.remove(group)
