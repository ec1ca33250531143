"""Durable work: claims due resources by lease and runs each kind's handler on them.

A handler drives one resource's state machine. It may block for as long as the work takes, because
the lease is renewed beside it; it writes its progress in transactions of its own, and it must be
able to start over at any point, because a ``kill -9`` hands the resource to another worker.
"""

from __future__ import annotations

import logging
import os
import secrets
import threading
from typing import TYPE_CHECKING

from clary.kernel.clock import now
from clary.kernel.errors import Conflict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from clary.kernel.ports import WorkQueue
    from clary.kernel.resource import Claim, Resource

    Handler = Callable[[Resource, threading.Event], datetime | None]
    """Given the resource and an event set when the worker stops; returns when to look again."""

_log = logging.getLogger(__name__)


class Worker:
    """Runs the handlers of some kinds in threads until it is stopped.

    Parameters
    ----------
    queue
        Where due resources are claimed.
    handlers
        The handler of each kind.
    slots
        How many resources of a kind may be worked on at once.
    lease_s
        How long a claim outlives a process that died.
    poll_s
        How long a change made by another process may go unseen.
    """

    def __init__(
        self,
        queue: WorkQueue,
        handlers: Mapping[str, Handler],
        slots: Mapping[str, int],
        *,
        lease_s: float = 5.0,
        poll_s: float = 0.25,
    ) -> None:
        self._queue = queue
        self._handlers = dict(handlers)
        self._free = {kind: slots.get(kind, 1) for kind in handlers}
        self._lease_s = lease_s
        self._poll_s = poll_s
        self._owner = f"{os.getpid()}-{secrets.token_hex(8)}"
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._threads: set[threading.Thread] = set()

    def start(self) -> None:
        """Begin to claim and run, in background threads."""
        for target in (self._dispatch, self._heartbeat):
            threading.Thread(target=target, name=f"worker-{target.__name__}", daemon=True).start()

    def stop(self, timeout_s: float = 10.0) -> None:
        """Claim no more and wait for the handlers, which see the stop event."""
        self._stopping.set()
        with self._lock:
            running = list(self._threads)
        for thread in running:
            thread.join(timeout_s)

    def _dispatch(self) -> None:
        while not self._stopping.is_set():
            try:
                if not self._claim_one():
                    self._queue.wait(self._poll_s)
            except Exception:
                _log.exception("the work queue could not be read; trying again")
                self._stopping.wait(1.0)

    def _claim_one(self) -> bool:
        with self._lock:
            kinds = [kind for kind, free in self._free.items() if free > 0]
        claim = self._queue.claim(kinds, self._owner, self._lease_s) if kinds else None
        if claim is None:
            return False
        thread = threading.Thread(
            target=self._run, args=(claim,), name=f"work-{claim.resource.ref}", daemon=True
        )
        with self._lock:
            self._free[claim.resource.ref.kind] -= 1
            self._threads.add(thread)
        thread.start()
        return True

    def _run(self, claim: Claim) -> None:
        kind = claim.resource.ref.kind
        due_at: datetime | None = None
        try:
            due_at = self._handlers[kind](claim.resource, self._stopping)
        except Conflict:
            due_at = now()
        except Exception:
            _log.exception("%s: its handler failed; trying again", claim.resource.ref)
            self._stopping.wait(1.0)
            due_at = now()
        finally:
            with self._lock:
                self._free[kind] += 1
                self._threads.discard(threading.current_thread())
            self._queue.release(claim, now() if self._stopping.is_set() else due_at)

    def _heartbeat(self) -> None:
        while not self._stopping.wait(self._lease_s / 3) or self._threads:
            try:
                self._queue.renew(self._owner, self._lease_s)
            except Exception:
                _log.exception("leases could not be renewed; trying again")
            if self._stopping.is_set():
                self._stopping.wait(0.1)
