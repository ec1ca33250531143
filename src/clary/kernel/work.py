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
import time
from datetime import timedelta
from typing import TYPE_CHECKING

from clary.kernel.clock import now
from clary.kernel.errors import Conflict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from clary.kernel.names import Ref
    from clary.kernel.ports import WorkQueue
    from clary.kernel.resource import Claim, Resource

    Handler = Callable[[Resource, threading.Event], datetime | None]
    """Given the resource and an event set when the worker stops; returns when to look again."""

_log = logging.getLogger(__name__)

_FIRST_DELAY_S = 0.5
_LONGEST_DELAY_S = 30.0
_WOKEN_DELAY_S = 1.0
"""What a failed resource waits at least, however often it is woken."""


class Worker:
    """Runs the handlers of some kinds in threads until it is stopped.

    A handler that raises is tried again after half a second, then twice that and so on up to 30 s;
    after a first ``Conflict`` at once.

    Parameters
    ----------
    queue
        Where due resources are claimed.
    handlers
        The handler of each kind.
    slots
        How many resources of a kind may be worked on at once; 1 unless it says more.
    lease_s
        How long a claim outlives a process that died.
    poll_s
        How long a due time, or a change made by another process, may go unseen.
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
        self._ended = threading.Event()
        self._threads: set[threading.Thread] = set()
        self._failures: dict[Ref, int] = {}
        self._not_before: dict[Ref, datetime] = {}
        self._dispatcher = threading.Thread(
            target=self._dispatch, name="worker-dispatch", daemon=True
        )

    def start(self) -> None:
        """Begin to claim and run, in background threads."""
        self._dispatcher.start()
        threading.Thread(target=self._heartbeat, name="worker-heartbeat", daemon=True).start()

    def stop(self, timeout_s: float = 10.0) -> bool:
        """Claim no more and wait for the handlers, which see the stop event.

        Returns
        -------
        bool
            Whether all have ended and given back what they held. The leases of those that have
            not are renewed until they do, or until the process ends.
        """
        deadline = time.monotonic() + timeout_s
        self._stopping.set()
        if self._dispatcher.ident is not None:
            self._dispatcher.join(timeout_s)
        with self._lock:
            running = list(self._threads)
        for thread in running:
            thread.join(max(0.0, deadline - time.monotonic()))
        ended = not any(thread.is_alive() for thread in (self._dispatcher, *running))
        if ended:
            self._ended.set()
        return ended

    def _dispatch(self) -> None:
        while not self._stopping.is_set():
            try:
                if not self._claim_one():
                    self._queue.wait(self._poll_s)
            except Exception:
                _log.exception("the work queue could not be used; trying again")
                self._stopping.wait(1.0)

    def _claim_one(self) -> bool:
        with self._lock:
            kinds = [kind for kind, free in self._free.items() if free > 0]
        claim = self._queue.claim(kinds, self._owner, self._lease_s) if kinds else None
        if claim is None:
            return False
        not_before = self._not_before.get(claim.resource.ref)
        if not_before is not None and not_before > now():
            self._release(claim, not_before)
        else:
            self._start(claim)
        return True

    def _start(self, claim: Claim) -> None:
        ref = claim.resource.ref
        thread = threading.Thread(target=self._run, args=(claim,), name=f"work-{ref}", daemon=True)
        with self._lock:
            self._free[ref.kind] -= 1
            self._threads.add(thread)
        try:
            thread.start()
        except RuntimeError as error:  # no thread to be had
            self._give_back(claim, self._retry_at(ref, error), thread)

    def _run(self, claim: Claim) -> None:
        ref = claim.resource.ref
        try:
            due_at = self._handlers[ref.kind](claim.resource, self._stopping)
        except BaseException as error:  # a handler's sys.exit too: its resource must stay due
            due_at = self._retry_at(ref, error)
        else:
            self._failures.pop(ref, None)
            self._not_before.pop(ref, None)
        self._give_back(claim, due_at, threading.current_thread())

    def _retry_at(self, ref: Ref, error: BaseException) -> datetime:
        failures = self._failures[ref] = self._failures.get(ref, 0) + 1
        delay_s = min(_FIRST_DELAY_S * 2 ** min(failures - 1, 10), _LONGEST_DELAY_S)
        if isinstance(error, Conflict):
            delay_s = 0.0 if failures == 1 else delay_s
            _log.info("%s: %s; trying again in %.1f s", ref, error, delay_s)
        else:
            _log.error("%s failed; trying again in %.1f s", ref, delay_s, exc_info=error)
        self._not_before[ref] = now() + timedelta(seconds=min(delay_s, _WOKEN_DELAY_S))
        return now() + timedelta(seconds=delay_s)

    def _give_back(self, claim: Claim, due_at: datetime | None, thread: threading.Thread) -> None:
        with self._lock:  # before the release, whose commit makes the dispatcher look again
            self._free[claim.resource.ref.kind] += 1
        try:
            self._release(claim, due_at)
        finally:
            with self._lock:
                self._threads.discard(thread)

    def _release(self, claim: Claim, due_at: datetime | None) -> None:
        """Release until it succeeds: a lease that is renewed but not worked on would last."""
        while True:
            try:
                return self._queue.release(claim, now() if self._stopping.is_set() else due_at)
            except Exception:
                _log.exception("%s could not be given back; trying again", claim.resource.ref)
                if self._stopping.wait(1.0):
                    return None

    def _heartbeat(self) -> None:
        while not self._ended.wait(self._lease_s / 3):
            try:
                if self._threads:
                    self._queue.renew(self._owner, self._lease_s)
            except Exception:
                _log.exception("leases could not be renewed; trying again")
