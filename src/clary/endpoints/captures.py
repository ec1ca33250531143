"""Data capture: sampled requests and answers become JSONL objects, and no request waits for it.

``Sampler.take`` puts a request's line into a bounded buffer. A thread of its own writes what it
finds there every quarter of a second to files of the home, which become objects seconds later.
What cannot be kept, because the buffer or a disk is full or a bucket is gone, is counted.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import Counter, deque
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import uuid4

from clary.endpoints.capture_files import CaptureFile, Header, Spool
from clary.endpoints.capture_records import Format
from clary.endpoints.meters import NAMESPACE
from clary.endpoints.model import ENDPOINT
from clary.kernel.errors import InvalidInput
from clary.kernel.names import Ref

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from clary.endpoints.invocations import Invocation
    from clary.endpoints.model import CaptureConfig
    from clary.kernel.ports import ObjectStore
    from clary.metrics.recorder import Recorder, Series

Taken = tuple["Invocation", bytes, str, str, float]
"""What ``Sampler.take`` was given."""
Item = tuple["Sampler", float, "bytes | Taken"]
"""Whose request it is, when it was (Unix seconds), and its line, or what that is made of."""
Where = tuple["Sampler", int]
"""Whose a line is, and of which hour since 1970."""
_log = logging.getLogger(__name__)

_BATCH = 256
"""Lines of a write, in which other threads get their turn."""
_SMALL = 64 << 10
"""Bytes of bodies that are encoded faster than they would be handed over."""
LOST = "CapturesLost"
"""The metric of requests that should have been captured and were not."""
_SWEEP_S = 10.0
_REPEAT_S = 600.0
_HOUR_S = 3600


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is held where, and for how long.

    Parameters
    ----------
    waiting_bytes, waiting
        Bodies and requests that may wait in memory to be written.
    every_s
        They are written so often; what a crash loses at most.
    file_bytes, file_s
        Size and age at which a file becomes an object; it does so at its hour's end in any case.
    spooled_bytes
        Files of all processes that may wait to become objects.
    """

    waiting_bytes: int = 32 << 20
    waiting: int = 50_000
    every_s: float = 0.25
    file_bytes: int = 8 << 20
    file_s: float = 10.0
    spooled_bytes: int = 256 << 20


@dataclass(frozen=True, slots=True)
class Place:
    """Where one variant's captures go."""

    endpoint: Ref
    variant: str
    bucket: str
    prefix: str

    def header(self, hour: int, now: float) -> Header:
        """Name a new object of the records of ``hour`` (hours since 1970); ``now`` in seconds."""
        folder = datetime.fromtimestamp(hour * _HOUR_S, UTC).strftime("%Y/%m/%d/%H")
        moment = datetime.fromtimestamp(min(now, (hour + 1) * _HOUR_S - 0.001), UTC)
        name = f"{moment:%M-%S}-{moment.microsecond // 1000:03d}-{uuid4()}.jsonl"
        parts = (self.prefix, self.endpoint.name, self.variant, folder, name)
        key = "/".join(part for part in parts if part)
        ref = self.endpoint
        return Header(ref.account, ref.region, self.bucket, key, ref.name, self.variant)


class Waiting:
    """What has been taken and not written yet; ``wake`` is called when that becomes much.

    Nothing is locked on the way in. ``size`` may miss a little of what threads add at once; it
    begins anew with each ``take_all``.
    """

    def __init__(self, limits: Limits, wake: Callable[[], None]) -> None:
        self._most = limits.waiting
        self._most_bytes = limits.waiting_bytes
        self._wake = wake
        self._items: deque[Item] = deque()
        self._size = 0
        self._lock = threading.Lock()
        self._lost: Counter[Sampler] = Counter()

    def put(self, item: Item, size: int) -> None:
        """Keep an item of so many bytes, or count it as lost."""
        size = self._size = self._size + size
        if size > self._most_bytes or len(self._items) >= self._most:
            self.lose(item[0])
            return
        self._items.append(item)
        if size > self._most_bytes >> 3:
            self._wake()

    def lose(self, sampler: Sampler) -> None:
        """Count a request that cannot be kept."""
        with self._lock:
            self._lost[sampler] += 1

    def take_all(self, *, close: bool = False) -> tuple[list[Item], Mapping[Sampler, int]]:
        """Hand out what has been kept, and how much was lost; after ``close`` nothing is kept."""
        if close:
            self._most = 0
        self._size = 0
        items = [self._items.popleft() for _ in range(len(self._items))]
        with self._lock:
            lost, self._lost = self._lost, Counter()
        return items, lost


class Sampler:
    """Takes its share of one variant's requests."""

    __slots__ = ("_draw", "_share", "_waiting", "format", "place")

    def __init__(
        self, place: Place, config: CaptureConfig, waiting: Waiting, draw: Callable[[], float]
    ) -> None:
        self.place = place
        self.format = Format(config)
        self._share = config.percentage / 100
        self._waiting = waiting
        self._draw = draw

    def take(
        self, invocation: Invocation, reply_body: bytes, reply_type: str, event_id: str, at: float
    ) -> None:
        """Capture a request, if it is drawn and there is room.

        Parameters
        ----------
        reply_body, reply_type
            The answer and its content type.
        event_id
            The request's own id, a UUID; empty: it is given one.
        at
            When it was answered, in Unix seconds.
        """
        if self._share < 1.0 and self._draw() >= self._share:
            return
        size = len(invocation.body) + len(reply_body)
        if size > _SMALL:
            taken = (invocation, reply_body, reply_type, event_id, at)
            self._waiting.put((self, at, taken), size)
            return
        try:
            line = self.format.line(invocation, reply_body, reply_type, event_id, at)
        except ValueError:
            self._waiting.lose(self)
        else:
            self._waiting.put((self, at, line), len(line))


class Losses:
    """Counts what is lost, and says so: at once, and then every ten minutes while it goes on."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._series: dict[tuple[Ref, str], Series] = {}
        self._untold: Counter[tuple[Ref, str]] = Counter()
        self._told_at: dict[tuple[Ref, str], float] = {}

    def add(self, endpoint: Ref, variant: str, count: int, reason: str) -> None:
        """Count requests of one variant."""
        key, moment = (endpoint, variant), time.monotonic()
        if key not in self._series:
            where = {"EndpointName": endpoint.name, "VariantName": variant}
            self._series[key] = self._recorder.series(
                NAMESPACE, LOST, where, "Count", near=endpoint
            )
        self._series[key].add(float(count))
        self._untold[key] += count
        if moment - self._told_at.get(key, float("-inf")) >= _REPEAT_S:
            self._told_at[key] = moment
            lost = self._untold.pop(key)
            text = "%d captured requests of %s, variant %s, are lost: %s"
            _log.warning(text, lost, endpoint, variant, reason)


class Captures:
    """The captures of all endpoints in one process.

    Parameters
    ----------
    folder
        Of the home: what has been captured and is no object yet.
    objects
        Where the objects go.
    recorder
        Measures losses: ``CapturesLost`` in ``AWS/SageMaker``, the sum is how many requests.
    draw
        Uniform in [0, 1): a request is taken where it is below the share.
    """

    def __init__(
        self,
        folder: Path,
        objects: ObjectStore,
        recorder: Recorder,
        *,
        limits: Limits | None = None,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._limits = limits or Limits()
        self._losses = Losses(recorder)
        self._draw = draw
        self._wake = threading.Event()
        self._waiting = Waiting(self._limits, self._wake.set)
        self._spool = Spool(folder, objects, self._lose_lines)
        self._files: dict[Where, CaptureFile] = {}
        self._spooled_bytes = 0
        self._swept_at = float("-inf")
        self._is_failing = False
        self._is_closing = False
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def start(self) -> None:
        """Begin to write, and to publish what killed processes left behind; idempotent."""
        with self._lock:
            if self._thread is None and not self._is_closing:
                self._thread = threading.Thread(target=self._run, name="captures", daemon=True)
                self._thread.start()

    def sampler(self, endpoint: Ref, variant: str, config: CaptureConfig) -> Sampler:
        """Make what takes the requests of one variant.

        Raises
        ------
        InvalidInput
            The destination is no ``s3://`` URI.
        """
        bucket, prefix = destination(config.destination)
        self.start()
        place = Place(endpoint, variant, bucket, prefix)
        return Sampler(place, config, self._waiting, self._draw)

    def close(self, timeout_s: float = 10.0) -> None:
        """Publish everything and stop; what is taken afterwards is lost."""
        with self._lock:
            self._is_closing = True
            thread = self._thread
        self._wake.set()
        if thread is not None:
            thread.join(timeout_s)

    def _run(self) -> None:
        while not self._is_closing:
            self._wake.wait(self._limits.every_s)
            self._wake.clear()
            self._turn(last=False)
        self._turn(last=True)

    def _turn(self, *, last: bool) -> None:
        taken, lost = self._waiting.take_all(close=last)
        try:
            for sampler, count in lost.items():
                reason = "they came too fast, or their attributes are no Unicode"
                self._lose(sampler, count, reason)
            self._write(taken)
            self._publish(everything=last)
            if time.monotonic() - self._swept_at >= _SWEEP_S:
                self._sweep()
        except Exception as error:
            if not self._is_failing:
                _log.warning("captures cannot be published now, trying again: %s", error)
            self._is_failing = True

    def _write(self, taken: list[Item]) -> None:
        for start in range(0, len(taken), _BATCH):
            found: dict[Where, list[bytes]] = {}
            for sampler, at, one in taken[start : start + _BATCH]:
                if line := self._line(sampler, one):
                    found.setdefault((sampler, int(at) // _HOUR_S), []).append(line)
            for where, lines in found.items():
                self._append(where, lines)

    def _line(self, sampler: Sampler, one: bytes | Taken) -> bytes:
        """Write the line of a large request; empty where it cannot be."""
        if isinstance(one, bytes):
            return one
        try:
            return sampler.format.line(*one)
        except ValueError as error:
            self._lose(sampler, 1, str(error))
            return b""

    def _append(self, where: Where, lines: list[bytes]) -> None:
        sampler, hour = where
        if self._spooled_bytes > self._limits.spooled_bytes:
            self._lose(sampler, len(lines), "too many wait to be published")
            return
        try:
            file = self._files.get(where)
            if file is None:
                file = CaptureFile(self._spool.folder, sampler.place.header(hour, time.time()))
                self._files[where] = file
            file.append(lines)
        except OSError as error:
            self._lose(sampler, len(lines), str(error))
        else:
            self._spooled_bytes += sum(map(len, lines))

    def _publish(self, *, everything: bool) -> None:
        this_hour, moment = int(time.time()) // _HOUR_S, time.monotonic()
        for where, file in list(self._files.items()):
            is_full = file.size_bytes >= self._limits.file_bytes
            is_old = moment - file.opened_at >= self._limits.file_s or where[1] < this_hour
            if everything or is_full or is_old:
                del self._files[where]
                self._spool.publish(file)
                self._spooled_bytes -= file.size_bytes

    def _sweep(self) -> None:
        self._swept_at = time.monotonic()
        try:
            self._spool.sweep()
            self._is_failing = False
        finally:
            self._spooled_bytes = self._spool.size_bytes()

    def _lose(self, sampler: Sampler, count: int, reason: str) -> None:
        self._losses.add(sampler.place.endpoint, sampler.place.variant, count, reason)

    def _lose_lines(self, header: Header, count: int, reason: str) -> None:
        endpoint = Ref(header.account, header.region, ENDPOINT, header.endpoint)
        self._losses.add(endpoint, header.variant, count, reason)


def destination(uri: str) -> tuple[str, str]:
    """Split a ``DestinationS3Uri`` into a bucket and a prefix without slashes around it.

    Raises
    ------
    InvalidInput
        It is none.

    Examples
    --------
    >>> destination("s3://bucket/captures/")
    ('bucket', 'captures')
    """
    scheme, separator, rest = uri.partition("://")
    bucket, _, prefix = rest.partition("/")
    if scheme != "s3" or not separator or not bucket:
        field = "DataCaptureConfig.DestinationS3Uri"
        raise InvalidInput(field, f"{uri!r} is no place for captures", legal="s3://bucket/prefix")
    return bucket, prefix.strip("/")
