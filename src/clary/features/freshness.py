"""Aggregates of views brought up to date as rows come."""

from __future__ import annotations

import logging
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from clary.expressions import compile_all
from clary.features.view_engine import Change, Stream
from clary.features.views import VIEW
from clary.features.windows import Moment
from clary.kernel.clock import now, now_us
from clary.kernel.errors import NotFound
from clary.kernel.resource import Query

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from clary.features.definitions import Stream as Windowed
    from clary.features.model import Snapshot
    from clary.features.records import Group
    from clary.features.views import Opened, Tools, Views
    from clary.kernel.names import Ref
    from clary.kernel.ports import JsonObject
    from clary.kernel.resource import Resource

_log = logging.getLogger(__name__)
_TOGETHER_S = 0.1
"""How long writes are gathered before views are woken."""
_AT_ONCE = 20_000
_NONE = {"row": -1, "version": 0}


class Freshness:
    """Follows the offline rows of groups and adds them to the tiles of views.

    Every row that was acknowledged counts once, whatever is killed: the position is kept after the
    tiles, and adding rows again changes nothing.

    Parameters
    ----------
    tools
        What views work with.
    views
        The views.
    """

    def __init__(self, tools: Tools, views: Views) -> None:
        self._tools = tools
        self._views = views
        self._written: set[Ref] = set()
        self._told = threading.Event()
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def written(self, group: Group) -> None:
        """Take note that a group has new rows; its views follow within moments."""
        with self._lock:
            self._written.add(group.ref)
        if self._thread is None:
            self._start()
        self._told.set()

    def close(self) -> None:
        """Wake the views of what was written until now, and stop; later writes start it again."""
        with self._starting:
            if self._thread is not None:
                self._stopping.set()
                self._told.set()
                self._thread.join()
                self._thread = None
                self._stopping.clear()

    def run(self, found: Resource, stopping: threading.Event) -> datetime | None:
        """Add what is new to a view's tiles; the worker's handler of ``VIEW``."""
        try:
            opened = self._views.open(found.ref)
        except NotFound:  # a group of it was deleted; rows of one made anew wake it
            return None
        self._erase(found, opened)
        for stream, tiles in zip(opened.checked.streams, opened.tiles, strict=True):
            table = stream.group.offline_table
            seen = {**_NONE, **found.body["seen"].get(table, {})}
            before = dict(seen)
            snapshot = self._tools.offline.snapshot(table)
            for changes in self._changes(stream, snapshot, seen):
                tiles.add(changes)
                seen["row"] = changes[-1].row
                if stopping.is_set():
                    break
            else:
                seen["version"] = snapshot.version
            if seen != before:
                self._keep(found.ref, table, seen)
                tiles.sweep(now_us())
            if stopping.is_set():
                return now()
        if found.status == "Creating":
            self._fill(found.ref)
        return None

    def _changes(
        self, stream: Windowed, snapshot: Snapshot, seen: JsonObject
    ) -> Iterator[Sequence[Change]]:
        """Yield what came behind a position, in order; ``seen`` moves on meanwhile."""
        if snapshot.version != seen["version"]:
            read = Stream(stream.group.schema, snapshot.files, stream.read, stream.aggregates)
            while changes := self._tools.engine.changes(read, seen["row"], _AT_ONCE):
                yield changes
        fresh = [change for change in _unflushed(stream, snapshot) if change.row > seen["row"]]
        if fresh:
            yield fresh

    def _erase(self, found: Resource, opened: Opened) -> None:
        """Forget entities that were erased while somebody added to their tiles."""
        erased = found.body.get("erased", {})
        for stream, tiles in zip(opened.checked.streams, opened.tiles, strict=True):
            if keys := erased.get(stream.group.offline_table):
                tiles.erase(keys, now_us())
        if not erased:
            return
        with self._tools.store.begin() as change:
            current = change.get(found.ref)
            if current is not None:
                left = {
                    table: rest
                    for table, keys in current.body.get("erased", {}).items()
                    if (rest := sorted({*keys} - {*erased.get(table, ())}))
                }
                change.update(replace(current, body={**current.body, "erased": left}))

    def _keep(self, ref: Ref, table: str, seen: JsonObject) -> None:
        with self._tools.store.begin(durable=False) as change:
            found = change.get(ref)
            if found is not None:
                body = {**found.body, "seen": {**found.body["seen"], table: seen}}
                change.update(replace(found, body=body))

    def _fill(self, ref: Ref) -> None:
        with self._tools.store.begin(durable=False) as change:
            found = change.get(ref)
            if found is not None and found.status == "Creating":
                change.update(replace(found, status="Created"))

    def install(self) -> None:
        """Have every view look for rows that came when nobody could tell of them."""
        query = Query(VIEW, sort_by="name", limit=1_000)
        while True:
            page = self._tools.store.select(query)
            views = [one.ref for one in page.items if one.body["definition"].get("aggregates")]
            if views:
                with self._tools.store.begin(durable=False) as change:
                    for view in views:
                        change.wake(view)
            if not page.token:
                return
            query = replace(query, token=page.token)

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._wake, name="views-wake", daemon=True)
                self._thread.start()

    def _wake(self) -> None:
        """Wake the views of groups that were written; a process that dies leaves it to the next."""
        is_last = False
        while not is_last:
            self._told.wait()
            self._told.clear()
            is_last = self._stopping.is_set()
            with self._lock:
                groups, self._written = self._written, set()
            try:
                self.wake(groups)
            except Exception:
                _log.exception("views of %s were not woken; trying again", groups)
                with self._lock:
                    self._written |= groups
                self._told.set()
            self._stopping.wait(_TOGETHER_S)

    def wake(self, groups: set[Ref]) -> None:
        """Have the views of groups look for new rows."""
        if not groups:
            return
        links = self._tools.store.links(*groups, incoming=False)
        views = {link.target for link in links if link.target.kind == VIEW}
        if views:
            with self._tools.store.begin(durable=False) as change:
                for view in views:
                    change.wake(view)


def _unflushed(stream: Windowed, snapshot: Snapshot) -> Iterator[Change]:
    names = [feature.name for feature in stream.group.schema.features]
    compute = compile_all(stream.inputs, names)
    missing = (None,) * len(names)
    for row, record in snapshot.unflushed:
        values = (*record.values, *missing[len(record.values) :])
        inputs = () if record.is_deleted else compute(values[: len(names)])
        moment = Moment(record.event_us, record.write_us, record.is_deleted, inputs)
        yield Change(row, record.key, moment)
