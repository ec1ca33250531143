"""What a process knows of an endpoint that it serves: its routes, and who answers on each."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from clary.endpoints.invocations import LARGEST_BODY, Refused
from clary.endpoints.model import FLEET, CaptureConfig, FleetSpec, Route
from clary.endpoints.routing import Table
from clary.endpoints.viewed import viewed
from clary.kernel.codec import build
from clary.kernel.errors import ModelFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from clary.endpoints.captures import Captures, Sampler
    from clary.endpoints.invocations import Invocation, Reply
    from clary.endpoints.meters import Meter, Meters
    from clary.endpoints.ports import CompiledModel, CompiledModels
    from clary.endpoints.shadows import Shadows
    from clary.endpoints.tracing import Spans
    from clary.endpoints.viewed import Served
    from clary.kernel.names import Ref
    from clary.kernel.ports import MetadataStore
    from clary.kernel.resource import Resource

_SMALL = 16 << 10
"""Bytes of a body that a compiled model answers in less time than a change of threads takes."""


class Client(Protocol):
    """The workers of a fleet, as a process that sends them requests knows them."""

    def ask(self, invocation: Invocation) -> Reply:
        """Have a worker answer. Raises Refused, Unavailable, LimitExceeded."""

    def refresh(self, fleet: Resource) -> None:
        """Learn which workers there are now."""

    def close(self) -> None:
        """Let go of them."""


class _Compiled:
    """A compiled model: it answers right here."""

    def __init__(self, model: CompiledModel) -> None:
        self._model = model

    def ask(self, invocation: Invocation) -> Reply:
        return self._model.answer(invocation.body, invocation.content_type, invocation.accept)

    def refresh(self, fleet: Resource) -> None:
        """Nothing changes."""

    def close(self) -> None:
        """Nothing is held."""


@dataclass(frozen=True, slots=True)
class Tools:
    """What requests need on their way: who answers them, and who wants to know of it.

    ``views`` computes the features of models that are asked by keys.
    """

    fleet: Callable[[Resource], Client]
    compiled: CompiledModels
    captures: Captures
    meters: Meters
    shadows: Shadows
    spans: Spans | None = None
    views: Served | None = None


class Target:
    """A route as this process serves it.

    Parameters
    ----------
    endpoint
        Whose it is.
    fleet
        The ``endpoint-fleet`` that it leads to.
    tools
        See ``Tools``.
    """

    def __init__(self, endpoint: Ref, route: Route, fleet: Resource, tools: Tools) -> None:
        spec = build(FleetSpec, fleet.body)
        self.endpoint = endpoint
        self.variant = route.variant
        self.route = route
        self.meter: Meter = tools.meters.meter(endpoint, route.variant)
        self.sampler: Sampler | None = None
        self.shadows: tuple[Target, ...] = ()
        self.is_asynchronous = False
        self._tools = tools
        client: Client = (
            _Compiled(tools.compiled.load(spec.compiled)) if spec.compiled else tools.fleet(fleet)
        )
        self._client: Client = viewed(spec, endpoint, client, tools.views)
        self._compiled = bool(spec.compiled) and self._client is client
        self.refresh(fleet, spec)

    def refresh(self, fleet: Resource, spec: FleetSpec | None = None) -> None:
        """Learn how the fleet is now."""
        self.meter.instances = max(1, (spec or build(FleetSpec, fleet.body)).count)
        self._client.refresh(fleet)

    def quick(self, size_bytes: int) -> bool:
        """Say whether a body of this size is answered in microseconds, on the event loop."""
        return self._compiled and size_bytes <= _SMALL and not self.is_asynchronous

    def ask(self, invocation: Invocation) -> Reply:
        """Have the model answer. Raises Refused, Unavailable, LimitExceeded."""
        return self._client.ask(invocation)

    def enter(self) -> float:
        """Count a request that is under way; says when it was."""
        self.meter.enter()
        return time.perf_counter()

    def refused(self) -> None:
        """Count a request that nobody could take."""
        self.meter.refused()

    def failed(self, began: float, asked: float, status: int) -> None:
        """Count a request that the model did not answer."""
        now = time.perf_counter()
        self.meter.leave(now - asked, asked - began, status)

    def answered(self, invocation: Invocation, reply: Reply, began: float, asked: float) -> Reply:
        """Count, capture and copy a request that the model answered."""
        body = reply.body
        if not isinstance(body, bytes):
            whole = self._following(body, invocation, reply, began, asked)
            return replace(reply, body=whole)
        self._done(invocation, reply, body, began, asked)
        return reply

    def _done(
        self, invocation: Invocation, reply: Reply, body: bytes, began: float, asked: float
    ) -> None:
        now = time.perf_counter()
        self.meter.leave(now - asked, asked - began, reply.status)
        if self.sampler is not None:
            self.sampler.take(invocation, body, reply.content_type, "", time.time())
        for shadow in self.shadows:
            self._tools.shadows.offer(shadow, invocation, reply, now - asked)

    def _following(
        self,
        pieces: Iterator[bytes],
        invocation: Invocation,
        reply: Reply,
        began: float,
        asked: float,
    ) -> Iterator[bytes]:
        """Pass a stream on, and count it when it has ended. Raises ModelFailed where it breaks."""
        held: list[bytes] = []
        size = 0
        status = 500
        try:
            for piece in pieces:
                if size <= LARGEST_BODY:
                    held.append(piece)
                    size += len(piece)
                yield piece
            status = reply.status
        except Refused as refused:
            status = refused.status
            raise ModelFailed(status, refused.message[:1024]) from None
        finally:
            if status < 400:
                self._done(invocation, reply, b"".join(held), began, asked)
            else:
                self.failed(began, asked, status)

    def close(self) -> None:
        """Let go of the workers."""
        self._client.close()


class Live:
    """An endpoint in service, as this process knows it."""

    def __init__(self, endpoint: Resource, tools: Tools, store: MetadataStore) -> None:
        self._tools = tools
        self._store = store
        self._ref = endpoint.ref
        self._revision = -1
        self._fleets: dict[str, tuple[int, Target]] = {}
        self._served: tuple[Table, list[Target]] = (Table(()), [])
        self._used = (0, time.monotonic())
        self.refresh(endpoint)

    @property
    def variants(self) -> tuple[str, ...]:
        """The names of those that may answer."""
        return self._served[0].variants

    def pick(self, draw: float, variant: str) -> Target | None:
        """Choose a target by a number in [0, 1); None when there is none."""
        table, targets = self._served
        at = table.pick(draw, variant)
        return None if at is None else targets[at]

    def unused_s(self) -> float:
        """Say for how long nobody has asked."""
        count = sum(target.meter.requests for target in self._served[1])
        now = time.monotonic()
        if count != self._used[0]:
            self._used = (count, now)
        return now - self._used[1]

    def refresh(self, endpoint: Resource) -> None:
        """Learn its routes, and how the fleets behind them are."""
        routes = [build(Route, one) for one in endpoint.body["routes"]]
        refs = [self._ref.sibling(FLEET, route.fleet) for route in routes]
        found = self._store.get_all(refs)
        known = self._fleets
        for ref, fleet in found.items():
            revision, target = known.get(ref.name, (fleet.revision, None))
            if target is not None and revision != fleet.revision:
                target.refresh(fleet)
                known[ref.name] = (fleet.revision, target)
        if endpoint.revision == self._revision and len(found) == len(known):
            return
        served = [
            (route, self._target(route, found[ref]))
            for route, ref in zip(routes, refs, strict=True)
            if ref in found
        ]
        self._equip(served, endpoint.body.get("capture"))
        now = endpoint.body.get("served") or endpoint.body.get("pending") or {"document": {}}
        for _, target in served:
            target.is_asynchronous = "AsyncInferenceConfig" in now["document"]
        self._served = Table([route for route, _ in served]), [target for _, target in served]
        self._fleets = {
            route.fleet: (found[self._ref.sibling(FLEET, route.fleet)].revision, target)
            for route, target in served
        }
        for name in known.keys() - self._fleets.keys():
            known[name][1].close()
        self._revision = endpoint.revision

    def _target(self, route: Route, fleet: Resource) -> Target:
        if known := self._fleets.get(route.fleet):
            known[1].route = route
            return known[1]
        return Target(self._ref, route, fleet, self._tools)

    def _equip(self, served: list[tuple[Route, Target]], capture: Any) -> None:
        """Tell each target its shadows, and what is captured of it."""
        for route, target in served:
            target.shadows = tuple(
                other
                for shadow, other in served
                if shadow.shadow is not None and shadow.shadow_of == route.variant
            )
            target.sampler = capture and self._tools.captures.sampler(
                self._ref, route.variant, build(CaptureConfig, capture)
            )

    def close(self) -> None:
        """Let go of the workers."""
        for _, target in self._fleets.values():
            target.close()
