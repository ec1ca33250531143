"""Data capture: sampled requests and answers become JSONL objects, and no request waits for it.

``Sampler.take`` puts a request into a bounded buffer. A thread of its own writes the lines of what
it finds there, every quarter of a second, to files of the home, which become objects seconds later.
What cannot be kept, because the buffer or a disk is full or a bucket is gone, is counted.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import uuid4

from clary.endpoints.capture_files import CaptureFile, Header, Spool
from clary.endpoints.capture_records import Format, Shape
from clary.endpoints.capture_waiting import Kind, Limits, Waiting
from clary.endpoints.invocations import Invocation
from clary.endpoints.meters import NAMESPACE
from clary.endpoints.model import ENDPOINT
from clary.kernel.errors import InvalidInput
from clary.kernel.names import Ref

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from clary.endpoints.capture_waiting import Body, Run
    from clary.endpoints.model import CaptureConfig
    from clary.kernel.ports import ObjectStore
    from clary.metrics.recorder import Recorder, Series

Where = tuple["Sampler", int]
"""Whose a line is, and of which hour since 1970."""
_log = logging.getLogger(__name__)

_SMALL = 64 << 10
"""Bytes of bodies that are written together with others."""
LOST = "CapturesLost"
"""The metric of requests that should have been captured and were not."""
_SWEEP_S = 10.0
_REPEAT_S = 600.0
_HOUR_S = 3600


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


class Sampler:
    """Takes its share of one variant's requests."""

    __slots__ = ("_draw", "_kind", "_share", "_waiting", "format", "place")

    def __init__(
        self, place: Place, config: CaptureConfig, waiting: Waiting, draw: Callable[[], float]
    ) -> None:
        self.place = place
        self.format = Format(config)
        self._kind = Kind(self, Shape("", "", -1))
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
        kind, second = self._kind, int(at)
        shape = kind.shape
        if (
            shape.second != second
            or shape.answer_type != reply_type
            or shape.content_type != invocation.content_type
        ):
            shape = Shape(invocation.content_type, reply_type, second)
            kind = self._kind = Kind(self, shape)
        body: Body = invocation.body
        size = len(body) + len(reply_body)
        has_more = event_id or invocation.inference_id or invocation.custom_attributes
        if has_more or size > _SMALL:
            body = (invocation, event_id)
        self._waiting.put(kind, body, reply_body, size)


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
                self._lose(sampler, count, "they came too fast")
            self._write(taken)
            self._publish(everything=last)
            if time.monotonic() - self._swept_at >= _SWEEP_S:
                self._sweep()
        except Exception as error:
            if not self._is_failing:
                _log.warning("captures cannot be published now, trying again: %s", error)
            self._is_failing = True

    def _write(self, runs: list[Run]) -> None:
        for kind, bodies, answers in runs:
            lines, count = self._lines(kind, bodies, answers)
            if count:
                self._append((kind.sampler, kind.shape.second // _HOUR_S), lines, count)

    def _lines(self, kind: Kind, bodies: list[Body], answers: list[bytes]) -> tuple[bytes, int]:
        """Write the lines of a run; those that cannot be are lost alone."""
        plain = [body for body in bodies if isinstance(body, bytes)]
        if len(plain) == len(bodies):
            written = kind.sampler.format.lines(kind.shape, plain, answers)
            if written is not None:
                return written, len(bodies)
        each = [self._line(kind, *pair) for pair in zip(bodies, answers, strict=True)]
        return b"".join(each), sum(map(bool, each))

    def _line(self, kind: Kind, body: Body, answer: bytes) -> bytes:
        """Write one line; empty where it cannot be."""
        sampler, shape = kind.sampler, kind.shape
        if isinstance(body, bytes):
            asked, event_id = Invocation(sampler.place.endpoint, body, shape.content_type), ""
        else:
            asked, event_id = body
        try:
            return sampler.format.line(asked, answer, shape.answer_type, event_id, shape.second)
        except ValueError as error:
            self._lose(sampler, 1, str(error))
            return b""

    def _append(self, where: Where, lines: bytes, count: int) -> None:
        sampler, hour = where
        if self._spooled_bytes > self._limits.spooled_bytes:
            self._lose(sampler, count, "too many wait to be published")
            return
        try:
            file = self._files.get(where)
            if file is None:
                file = CaptureFile(self._spool.folder, sampler.place.header(hour, time.time()))
                self._files[where] = file
            file.append(lines, count)
        except OSError as error:
            self._lose(sampler, count, str(error))
        else:
            self._spooled_bytes += len(lines)

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
