"""Upkeep of offline tables: what was appended becomes part of them, and small files are merged.

Two resources of one kind are worked on while there are writes: one flushes, one compacts, so that a
long compaction of one table does not keep the others' records waiting.
"""

from __future__ import annotations

import logging
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from clary.features.ports import OfflineBacklogs, OfflineStore
from clary.kernel.clock import now, now_us
from clary.kernel.errors import ClaryError
from clary.kernel.names import Ref
from clary.kernel.resource import Resource

if TYPE_CHECKING:
    import threading
    from datetime import datetime

    from clary.features.model import Backlog
    from clary.features.records import Group
    from clary.kernel.ports import MetadataStore

UPKEEP = "feature-upkeep"
OLDEST_US = 60_000_000
"""What waits longer is flushed."""
LARGEST_BYTES = 64 << 20
"""So much that waits is flushed at once."""
MOST_FILES = 32
"""A table of more files has its small ones merged."""
WAKE_S = 30.0
"""A process that writes makes the work due so often."""
QUIET_S = 2 * WAKE_S
"""The work rests when nothing has waited for so long: whoever writes next has to wake it again."""
_PAUSE_S = {"flush": 5.0, "compaction": 30.0}
_log = logging.getLogger(__name__)


class Tables(OfflineStore, OfflineBacklogs, Protocol):
    """An offline store that says what waits."""


class Upkeep:
    """Keeps the tables of an offline store in shape.

    Parameters
    ----------
    store
        Where it is noted what is due.
    tables
        What is kept.
    """

    def __init__(self, store: MetadataStore, tables: Tables) -> None:
        self._store = store
        self._tables = tables
        self._woken_at = float("-inf")
        self._busy_at: dict[str, float] = {}

    def install(self) -> None:
        """Make the work due, because a process that died may have left some."""
        with self._store.begin(durable=False) as change:
            for name in _PAUSE_S:
                ref, at = Ref("", "", UPKEEP, name), now()
                if change.get(ref) is None:
                    change.insert(Resource(ref, {}, at, at), due=True)
                else:
                    change.wake(ref)

    def written(self, group: Group) -> None:
        """Take note that a table grows."""
        del group
        if time.monotonic() - self._woken_at >= WAKE_S:
            self._woken_at = time.monotonic()
            self.install()

    def run(self, found: Resource, stopping: threading.Event) -> datetime | None:
        """Look after every table once; the worker's handler of ``UPKEEP``."""
        name = found.ref.name
        for backlog in self._tables.backlogs():
            if stopping.is_set():
                break
            if backlog.oldest_us is not None or backlog.files > MOST_FILES:
                self._busy_at[name] = time.monotonic()
            try:
                self._keep(name, backlog)
            except (ClaryError, OSError):
                _log.exception("%s of %s failed; trying again", name, backlog.table)
        if time.monotonic() - self._busy_at.get(name, float("-inf")) > QUIET_S:
            return None
        return now() + timedelta(seconds=_PAUSE_S[name])

    def _keep(self, work: str, backlog: Backlog) -> None:
        if work == "compaction":
            if backlog.files > MOST_FILES:
                self._tables.compact(backlog.table, is_whole=False)
        elif is_due(backlog, now_us()):
            self._tables.flush(backlog.table)


def is_due(backlog: Backlog, at_us: int) -> bool:
    """Say whether what waits is to become part of its table now.

    Examples
    --------
    >>> from clary.features.model import Backlog
    >>> is_due(Backlog("t", 100, 0, 1), 59_000_000), is_due(Backlog("t", 100, 0, 1), 60_000_000)
    (False, True)
    """
    if backlog.oldest_us is None:
        return False
    return backlog.size_bytes >= LARGEST_BYTES or at_us - backlog.oldest_us >= OLDEST_US
