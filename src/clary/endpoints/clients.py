"""How a process sends requests to the workers of a fleet."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from clary.endpoints import instances
from clary.endpoints.fleets import TIMEOUT_S
from clary.endpoints.frames import Late, Vanished
from clary.endpoints.invocations import LARGEST_BODY, Refused, Reply
from clary.endpoints.model import FleetSpec
from clary.endpoints.workers import Workers
from clary.kernel.codec import build
from clary.kernel.errors import InvalidInput, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clary.endpoints.fleets import Fleets
    from clary.endpoints.frames import Channel, Frame, Header
    from clary.endpoints.instances import Instance
    from clary.endpoints.invocations import Invocation
    from clary.kernel.resource import Resource

MAX_WAITING = 64
"""How many requests may wait for each instance, unless ``limits`` say otherwise."""
_PATIENCE_S = 10.0
"""How long a request waits for an instance where there is none."""
_SEND_TWICE = 2
_LONGEST_WORD = 1024


class _Line:
    """An instance, as one request at a time uses it; connected when it is used first."""

    def __init__(self, one: Instance) -> None:
        self.instance = one
        self.channels: list[Channel] = []
        self.gone = False

    def disconnect(self) -> None:
        for channel in self.channels:
            channel.close()
        self.channels = []


class FleetClient:
    """The workers of a fleet, as one process that sends them requests knows them.

    Parameters
    ----------
    resource
        The fleet.
    fleets
        Told of workers that seem to be gone.
    """

    def __init__(self, resource: Resource, fleets: Fleets) -> None:
        self._fleets = fleets
        self._ref = resource.ref
        self._spec = build(FleetSpec, resource.body)
        self._workers = Workers(fleets.tools, resource.ref, self._spec)
        self.timeout_s = self._spec.limits.get("timeout_s", TIMEOUT_S)
        self._changed = threading.Condition()
        self._lines: dict[int, _Line] = {}
        self._free: list[_Line] = []
        self._waiting = 0
        self.refresh(resource)

    def refresh(self, fleet: Resource) -> None:
        """Learn which instances there are now."""
        state = instances.read(build(FleetSpec, fleet.body))
        ready = {one.serial: one for one in state.instances if one.phase == "ready"}
        with self._changed:
            for serial in self._lines.keys() - ready.keys():
                line = self._lines.pop(serial)
                if line in self._free:
                    self._free.remove(line)
                    line.disconnect()
                line.gone = True
            for serial in ready.keys() - self._lines.keys():
                line = self._lines[serial] = _Line(ready[serial])
                self._free.append(line)
            self._changed.notify_all()

    def close(self) -> None:
        """Let go of the workers."""
        with self._changed:
            for line in self._free:
                line.disconnect()
            for line in self._lines.values():
                line.gone = True
            self._free.clear()

    def ask(self, invocation: Invocation) -> Reply:
        """Have an instance answer; waits for one that is free.

        Raises
        ------
        Refused
            The model refused the request, failed, or took too long.
        InvalidInput
            It names a container or model that is not there.
        Unavailable
            Too many wait already, or nobody is there.
        """
        deadline = time.monotonic() + self.timeout_s
        stages = self._stages(invocation)
        sent = 0
        while True:
            line = self._take(deadline)
            try:
                return self._through(line, stages, invocation, deadline)
            except Vanished as lost:
                self.lose(line)
                sent += lost.sent
                if sent >= _SEND_TWICE:
                    raise Unavailable("the workers that had the request are gone") from None
            except Late:
                self.lose(line, kill=True)
                raise Refused(504, f"no answer within {self.timeout_s:g} s") from None
            except BaseException:
                self.give(line)
                raise

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

    def _take(self, deadline: float) -> _Line:
        """Wait for a free instance."""
        most = self._spec.limits.get("max_waiting", MAX_WAITING)
        with self._changed:
            if not self._free and self._waiting >= most * max(1, len(self._lines)):
                raise Unavailable("too many requests wait for a worker", retry_after_s=1.0)
            self._waiting += 1
            until = deadline
            if not self._lines:
                until = min(deadline, time.monotonic() + _PATIENCE_S)
            try:
                while not self._free:
                    if not self._changed.wait(until - time.monotonic()):
                        raise Unavailable("no worker is free", retry_after_s=1.0)
            finally:
                self._waiting -= 1
            return self._free.pop()

    def give(self, line: _Line) -> None:
        """Have the next request take an instance."""
        with self._changed:
            if line.gone:
                line.disconnect()
                return
            self._free.append(line)
            self._changed.notify()

    def lose(self, line: _Line, *, kill: bool = False) -> None:
        """Forget an instance that is gone, or is to go; the fleet replaces it."""
        if kill:
            self._workers.kill(line.instance)
        with self._changed:
            line.gone = True
            line.disconnect()
            if self._lines.get(line.instance.serial) is line:
                del self._lines[line.instance.serial]
        self._fleets.report(self._ref)

    def _through(
        self, line: _Line, stages: list[int], invocation: Invocation, deadline: float
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
            body = _whole(channel, frame, deadline)
            header |= {"type": frame.header.type}
        channel = line.channels[stages[-1]]
        frame = _asked(channel, header | {"accept": invocation.accept}, body, deadline)
        told = frame.header
        if told.more:
            pieces: Iterator[bytes] | bytes = _Pieces(self, line, channel, frame)
        else:
            pieces = frame.body
            self.give(line)
        return Reply(pieces, told.type, told.attributes, told.status)


class _Pieces:
    """A streamed answer; its instance is free again when it has ended or is given up."""

    def __init__(self, client: FleetClient, line: _Line, channel: Channel, first: Frame) -> None:
        self._client = client
        self._line: _Line | None = line
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


def _whole(channel: Channel, first: Frame, deadline: float) -> bytes:
    """Put a streamed answer together, which the next container is to read."""
    parts, frame = [first.body], first
    while frame.header.more:
        frame = channel.receive(deadline)
        _check(frame.header)
        parts.append(frame.body)
    body = b"".join(parts)
    if len(body) > LARGEST_BODY:
        raise Refused(500, f"a container answered the next with {len(body)} bytes, over 6 MiB")
    return body
