"""Copies of requests to shadow variants, beside the answers that clients wait for."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from dataclasses import replace
from random import random
from typing import TYPE_CHECKING, Protocol

from clary.endpoints.comparisons import Comparison, ShadowResult, quantiles, read
from clary.kernel.clock import now
from clary.kernel.errors import NotFound
from clary.kernel.resource import Query, Resource

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clary.endpoints.invocations import Invocation, Reply
    from clary.endpoints.model import Route
    from clary.kernel.names import Ref
    from clary.kernel.ports import JsonObject, MetadataStore, Transaction

COMPARISON = "shadow-comparison"
"""A resource named as the shadow's fleet, whose parent is the endpoint."""
MOST_WAITING = 256
MOST_WAITING_BYTES = 64 << 20
"""Copies beyond these are dropped and counted."""
WRITE_S = 15.0
"""How often comparisons are stored; a process that is killed loses the last ones."""
_THREADS = 4
_LAST_S = 2.0
_log = logging.getLogger(__name__)


class Shadow(Protocol):
    """A shadow variant, as this process serves it."""

    endpoint: Ref
    route: Route

    def enter(self) -> float:
        """Count a request that begins."""

    def ask(self, invocation: Invocation) -> Reply:
        """Have its model answer."""

    def answered(self, invocation: Invocation, reply: Reply, began: float, asked: float) -> Reply:
        """Count and capture an answer."""

    def failed(self, began: float, asked: float, status: int) -> None:
        """Count a request without one."""


class Shadows:
    """Gives shadows their copies, and compares what they answer.

    Threads start with the first copy. Nothing here delays or fails a client's request.

    Parameters
    ----------
    store
        Where comparisons are kept.
    """

    def __init__(self, store: MetadataStore) -> None:
        self._store = store
        self._waiting: deque[tuple[Shadow, Invocation, Reply, float]] = deque()
        self._bytes = 0
        self._under_way = 0
        self._changed = threading.Condition()
        self._writing = threading.Lock()
        self._found: dict[tuple[Ref, str], tuple[Route, Comparison]] = {}
        self._threads: list[threading.Thread] = []
        self._stopping = False

    def offer(self, shadow: Shadow, invocation: Invocation, reply: Reply, latency_s: float) -> None:
        """Copy a request that has been answered, if it is drawn; never waits and never raises.

        Parameters
        ----------
        shadow
            Who is to answer it as well.
        reply, latency_s
            The answer that the client got, and the seconds that its model took.
        """
        if not isinstance(reply.body, bytes):
            return  # a stream, which nobody has kept
        if random() * 100.0 >= (shadow.route.shadow or 0.0):  # noqa: S311 - a share, no secret
            return
        size = len(invocation.body)
        with self._changed:
            is_full = len(self._waiting) >= MOST_WAITING or (
                self._bytes + size > MOST_WAITING_BYTES
            )
            if is_full or self._stopping:
                self._kept(shadow.endpoint, shadow.route).dropped += 1
                return
            self._waiting.append((shadow, invocation, reply, latency_s))
            self._bytes += size
            if not self._threads:
                self._start()
            self._changed.notify()

    def report(self, endpoint: Ref) -> Sequence[ShadowResult]:
        """Say how the shadows of an endpoint compare, the present one first.

        What other processes have counted within the last ``WRITE_S`` may not be in it.

        Raises
        ------
        NotFound
            There is no such endpoint.
        """
        if self._store.get(endpoint) is None:
            raise NotFound(endpoint)
        self.flush()
        found = self._store.select(Query(COMPARISON, parent=endpoint)).items
        return [_result(one) for one in found]

    def flush(self) -> None:
        """Store what has been compared until now."""
        with self._writing:
            with self._changed:
                found, self._found = self._found, {}
            for (endpoint, _), (route, comparison) in found.items():
                try:
                    self._write(endpoint, route, comparison)
                except BaseException:
                    with self._changed:
                        self._kept(endpoint, route).merge(comparison)
                    raise

    def settle(self, timeout_s: float) -> bool:
        """Wait until no copy is waiting or under way; says whether that came to pass."""
        with self._changed:
            return self._changed.wait_for(lambda: not (self._waiting or self._under_way), timeout_s)

    def close(self) -> None:
        """Drop what is waiting, store the rest and end; a slow answer is not awaited."""
        with self._changed:
            self._stopping = True
            self._waiting.clear()
            self._changed.notify_all()
        until = time.monotonic() + _LAST_S
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        self.flush()

    def _start(self) -> None:
        names = ("shadows", *(f"shadow-{number}" for number in range(_THREADS)))
        for name in names:
            work = self._keep if name == "shadows" else self._run
            self._threads.append(threading.Thread(target=work, name=name, daemon=True))
            self._threads[-1].start()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._stopping)
                if not self._waiting:
                    return
                shadow, invocation, reply, latency_s = self._waiting.popleft()
                self._bytes -= len(invocation.body)
                self._under_way += 1
            answer, took_s = _ask(shadow, invocation)
            one = Comparison()
            one.add(reply, latency_s, answer, took_s)
            with self._changed:
                self._kept(shadow.endpoint, shadow.route).merge(one)
                self._under_way -= 1
                self._changed.notify_all()

    def _keep(self) -> None:
        """Store again and again."""
        due = time.monotonic() + WRITE_S
        while True:
            with self._changed:
                if self._changed.wait_for(lambda: self._stopping, due - time.monotonic()):
                    return
            try:
                self.flush()
            except Exception:
                _log.exception("comparisons of shadows could not be stored; trying again")
            due = time.monotonic() + WRITE_S

    def _kept(self, endpoint: Ref, route: Route) -> Comparison:
        """Give what is counted for a shadow; the caller holds the lock."""
        found = self._found.get((endpoint, route.fleet))
        if found is None:
            found = self._found[endpoint, route.fleet] = (route, Comparison())
        return found[1]

    def _write(self, endpoint: Ref, route: Route, comparison: Comparison) -> None:
        ref = endpoint.sibling(COMPARISON, route.fleet)
        with self._store.begin() as transaction:
            if transaction.get(endpoint) is None:
                return  # it has been deleted, and its comparisons with it
            present = transaction.get(ref)
            if present is None:
                body = _body(route, comparison)
                at = now()
                transaction.insert(Resource(ref, body, at, at, parent=endpoint))
                return
            comparison.merge(read(present.body["comparison"]))
            transaction.update(replace(present, body=_body(route, comparison)))


def forget(store: MetadataStore, endpoint: Ref, transaction: Transaction) -> None:
    """Remove the comparisons of an endpoint that is being deleted."""
    for found in store.select(Query(COMPARISON, parent=endpoint, limit=1000)).items:
        transaction.delete(found.ref)


def _ask(shadow: Shadow, invocation: Invocation) -> tuple[Reply | None, float]:
    """Have a shadow answer, and say how many seconds it took; None when it did not."""
    began = shadow.enter()
    try:
        reply = shadow.ask(invocation)
        took_s = time.perf_counter() - began
        return shadow.answered(invocation, reply, began, began), took_s
    except Exception as error:
        shadow.failed(began, began, getattr(error, "status", 500))
        return None, time.perf_counter() - began


def _body(route: Route, comparison: Comparison) -> JsonObject:
    return {
        "variant": route.variant,
        "shadow_of": route.shadow_of,
        "comparison": comparison.document(),
    }


def _result(found: Resource) -> ShadowResult:
    comparison = read(found.body["comparison"])
    answered = comparison.requests - comparison.errors
    return ShadowResult(
        found.body["variant"],
        found.body["shadow_of"],
        found.created_at,
        found.modified_at,
        comparison.requests,
        comparison.dropped,
        comparison.errors,
        comparison.unlike,
        comparison.agreed / answered if answered else None,
        quantiles(comparison.difference),
        quantiles(comparison.latency_us, 1e-3),
        quantiles(comparison.shadow_latency_us, 1e-3),
    )
