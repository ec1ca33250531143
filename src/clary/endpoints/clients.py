"""How a process sends requests to the workers of a fleet."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from clary.endpoints import instances
from clary.endpoints.artifacts import Artifacts
from clary.endpoints.frames import Late, Vanished
from clary.endpoints.instances import Wanted
from clary.endpoints.invocations import Refused, Reply
from clary.endpoints.lines import Lines
from clary.endpoints.model import FleetSpec
from clary.endpoints.targets import TIMEOUT_S, comes_by_use, most_of_one_model
from clary.endpoints.workers import Workers
from clary.kernel.codec import build
from clary.kernel.errors import InvalidInput, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clary.endpoints.fleets import Fleets
    from clary.endpoints.frames import Channel, Frame, Header
    from clary.endpoints.invocations import Invocation
    from clary.endpoints.lines import Key, Line
    from clary.kernel.resource import Resource

MAX_WAITING = 64
"""How many requests may wait for each instance, unless ``limits`` say otherwise."""
_SENT_TWICE = 2
_LONGEST_WORD = 1024
_LOOK_S = 0.05
_AGAIN_S = 1.0
"""How soon instances that do not come are asked for again."""


class FleetClient:
    """The workers of a fleet, as one process that sends them requests knows them.

    Parameters
    ----------
    resource
        The fleet.
    fleets
        Told of workers that seem to be gone, and asked for those that come by use.
    """

    def __init__(self, resource: Resource, fleets: Fleets) -> None:
        self._fleets = fleets
        self._ref = resource.ref
        self._spec = build(FleetSpec, resource.body)
        self._workers = Workers(fleets.tools, resource.ref, self._spec)
        self._artifacts = Artifacts(fleets.tools.objects, self._spec)
        self.timeout_s = self._spec.limits.get("timeout_s", TIMEOUT_S)
        serverless = self._spec.serverless
        self._lines = Lines(
            self._spec.limits.get("max_waiting", MAX_WAITING),
            serverless.max_concurrency if serverless else 0,
        )
        self._looked_at = 0.0
        self._revision = -1
        self._demanded: dict[Key, tuple[int, float]] = {}
        self.refresh(resource)

    def refresh(self, fleet: Resource) -> None:
        """Learn which instances there are now."""
        self._looked_at = time.monotonic()
        if fleet.revision < self._revision:
            return  # another thread has read it later
        self._revision = fleet.revision
        self._status = fleet.status
        self._state = instances.read(build(FleetSpec, fleet.body))
        self._lines.refresh(one for one in self._state.instances if one.phase == "ready")

    def close(self) -> None:
        """Let go of the workers."""
        self._lines.close()

    def ask(self, invocation: Invocation) -> Reply:
        """Have an instance answer; waits for one that is free, or that has to be started.

        Raises
        ------
        Refused
            The model refused the request, failed, cannot be loaded, or took too long.
        InvalidInput
            It names a container or model that is not there.
        LimitExceeded
            A serverless variant answers as many requests as it may.
        Unavailable
            Too many wait already, or nobody is there.
        """
        timeout_s = invocation.timeout_s or self.timeout_s
        patient = time.monotonic() + timeout_s
        stages = self._stages(invocation)
        key = self._artifacts.key(invocation.model)
        sent = 0
        while True:
            line = self._lines.take(key, patient, lambda: self._look(key))
            deadline = time.monotonic() + timeout_s  # it is not the model's fault who waited
            try:
                return self._through(line, stages, invocation, deadline)
            except Vanished as lost:
                self.lose(line)
                sent += lost.sent
                if sent >= _SENT_TWICE:
                    raise Unavailable("the workers that had the request are gone") from None
            except Late:
                self.lose(line, kill=True)
                raise Refused(504, f"no answer within {timeout_s:g} s") from None
            except Refused:
                self._lines.give(line)
                raise
            except BaseException:
                line.disconnect()
                self._lines.give(line)
                raise

    def give(self, line: Line) -> None:
        """Have the next request take an instance."""
        self._lines.give(line)

    def lose(self, line: Line, *, kill: bool = False) -> None:
        """Forget an instance that is gone, or is to go; the fleet replaces it."""
        if kill:
            self._workers.kill(line.instance)
        self._lines.lose(line, again=not kill)
        self._fleets.report(self._ref)

    def _look(self, key: Key) -> None:
        """See what has become of the fleet, while a request waits; have it grow where it may."""
        if time.monotonic() - self._looked_at > _LOOK_S:
            found = self._fleets.tools.store.get(self._ref)
            if found is None:
                raise Unavailable("the variant is gone")
            self.refresh(found)
        if self._status == "Failed" or (self._status == "Draining" and not self._state.ready):
            raise Unavailable("the variant has no workers")
        if comes_by_use(self._spec):
            self._demand(key)

    def _demand(self, key: Key) -> None:
        """Ask for instances, unless that has been done; say why there can be none."""
        there, needed = self._lines.count(key)
        needed = min(needed, most_of_one_model(self._spec))
        asked, at = self._demanded.get(key, (0, 0.0))
        known = self._state.wanted.get(key[0])
        if asked and known and known.failure and known.etag == key[1]:
            self._demanded.pop(key, None)
            raise Refused(500, known.failure)
        if there >= needed:
            return
        if needed > asked or time.monotonic() - at > _AGAIN_S:
            self._demanded[key] = (needed, time.monotonic())
            self._fleets.demand(self._ref, key[0], Wanted(needed, key[1]))

    def _stages(self, invocation: Invocation) -> list[int]:
        """Say which of the containers are called, in order."""
        every = list(range(len(self._spec.stages)))
        if not self._spec.direct:
            if invocation.container:
                problem = f"{invocation.container!r}, but the containers are called in a row"
                raise InvalidInput("TargetContainerHostname", problem)
            return every
        for place in every:
            if self._spec.stages[place].hostname == invocation.container:
                return [place]
        legal = ", ".join(stage.hostname for stage in self._spec.stages)
        raise InvalidInput(
            "TargetContainerHostname", f"{invocation.container!r} is no container", legal=legal
        )

    def _through(
        self, line: Line, stages: list[int], invocation: Invocation, deadline: float
    ) -> Reply:
        """Send the request through the containers; the answer of one is asked of the next."""
        if not line.channels:
            line.channels = self._workers.connect(line.instance)
        header = {
            "op": "ask",
            "type": invocation.content_type,
            "accept": "",
            "attributes": invocation.custom_attributes,
            "id": invocation.inference_id,
        }
        body = invocation.body
        for place in stages[:-1]:
            channel = line.channels[place]
            frame = _asked(channel, header, body, deadline)
            try:
                body = _whole(channel, frame, deadline, self._workers.largest)
            except Refused:
                line.disconnect()  # in the middle of a stream
                raise
            header |= {"type": frame.header.type}
        channel = line.channels[stages[-1]]
        frame = _asked(channel, header | {"accept": invocation.accept}, body, deadline)
        told = frame.header
        if told.more:
            pieces: Iterator[bytes] | bytes = _Pieces(self, line, channel, frame)
        else:
            pieces = frame.body
            self._lines.give(line)
        return Reply(pieces, told.type, told.attributes, told.status)


class _Pieces:
    """A streamed answer; its instance is free again when it has ended or is given up."""

    def __init__(self, client: FleetClient, line: Line, channel: Channel, first: Frame) -> None:
        self._client = client
        self._line: Line | None = line
        self._channel = channel
        self._next = first
        self._timeout_s = client.timeout_s

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        frame = self._next
        line = self._line
        if line is None or not frame.header.more:
            raise StopIteration
        try:
            self._next = self._channel.receive(time.monotonic() + self._timeout_s)
            _check(self._next.header)
        except (Vanished, Late) as error:
            self._line = None
            self._client.lose(line, kill=isinstance(error, Late))
            raise Unavailable("the worker is gone in the middle of its answer") from None
        except Refused:
            self._end()
            raise
        if not self._next.header.more:
            self._end()
        return frame.body

    def close(self) -> None:
        """Give the answer up: the worker goes on with the next request."""
        if self._line is not None:
            self._line.disconnect()
            self._end()

    def __del__(self) -> None:
        self.close()

    def _end(self) -> None:
        line, self._line = self._line, None
        if line is not None:
            self._client.give(line)


def _asked(channel: Channel, header: dict[str, str], body: bytes, deadline: float) -> Frame:
    """Send a request and receive the first frame of the answer. Raises Refused."""
    channel.send(header, body, deadline)
    frame = channel.receive(deadline)
    _check(frame.header)
    return frame


def _check(header: Header) -> None:
    """Refuse what is no answer. Raises Refused, Vanished."""
    if header.error or header.status >= 400:
        raise Refused(header.status if 400 <= header.status < 600 else 500, header.error)
    words = (header.type, header.attributes)
    if header.status not in {200, 204} or not all(map(_is_plain, words)):
        raise Vanished("its answer is malformed")


def _is_plain(text: str) -> bool:
    """Say whether a text may be the value of a header."""
    return len(text) <= _LONGEST_WORD and text.isascii() and (not text or text.isprintable())


def _whole(channel: Channel, first: Frame, deadline: float, largest: int) -> bytes:
    """Put a streamed answer together, which the next container is to read. Raises Refused."""
    body, frame = bytearray(first.body), first
    while frame.header.more:
        frame = channel.receive(deadline)
        _check(frame.header)
        body += frame.body
        if len(body) > largest:
            raise Refused(500, f"a container answered the next with more than {largest} bytes")
    return bytes(body)
