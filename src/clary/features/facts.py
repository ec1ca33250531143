"""Facts, kept at the moment they are used: what was known, of whom, in which request.

``Facts.log`` encodes what it is given and puts it into a bounded buffer; no caller waits for a
disk. A thread of its own writes what it finds there every quarter of a second. What cannot be
kept, because the buffer or a disk is full, is counted.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from clary.kernel.clock import now_us
from clary.kernel.codec import digest
from clary.kernel.errors import InvalidInput, LimitExceeded

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clary.features.ports import FactStore
    from clary.kernel.names import Ref
    from clary.metrics.recorder import Recorder, Series

LARGEST_FACT = 350_000
"""Bytes of one encoded fact."""
LARGEST_NAME = 1_024
"""Bytes of an entity, of a request's id, and of each word of a context."""
NAMESPACE = "clary"
LOST = "FactsLost"
"""The metric of facts that should have been kept and were not."""
_DATE, _LOCAL = 1, 2
_REPEAT_S = 600.0
_log = logging.getLogger(__name__)


class Fact(Struct, frozen=True, array_like=True, gc=False):
    """What was known of one entity when it was used.

    Parameters
    ----------
    entity
        Of whom.
    event_us
        When it was true, or when it was used where features were served: microseconds since 1970.
    write_us
        When it was logged.
    facts
        The values, by name: None, bool, int, float, str, date, datetime, and lists and mappings
        of those. Moments with a time zone come back in UTC.
    context
        Names and texts of what it was used for: country, device, model, …
    request_id
        Of the request that used it.
    digest
        Of the definition that features were served by; empty where none were.
    served
        The features that were, by name.
    """

    entity: str
    event_us: int
    write_us: int
    facts: dict[str, Any]
    context: dict[str, str] = {}
    request_id: str = ""
    digest: str = ""
    served: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """How much waits in memory to be written.

    Parameters
    ----------
    waiting_bytes, waiting
        Bytes and facts that may wait.
    every_s
        They are written so often; what a crash loses at most.
    """

    waiting_bytes: int = 32 << 20
    waiting: int = 50_000
    every_s: float = 0.25


class Facts:
    """The logging client of one process; any number may log at once.

    Parameters
    ----------
    store
        Where facts go.
    recorder
        Measures losses: ``FactsLost`` in ``clary``, the sum is how many facts.
    """

    def __init__(
        self, store: FactStore, recorder: Recorder, *, limits: Limits | None = None
    ) -> None:
        self._store = store
        self._limits = limits or Limits()
        self._losses = _Losses(recorder)
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._taken: dict[Ref, list[bytes]] = {}
        self._lost: Counter[Ref] = Counter()
        self._size = self._count = 0
        self._put = self._done = 0
        self._wake = threading.Event()
        self._is_closing = False
        self._thread: threading.Thread | None = None

    def log(
        self,
        of: Ref,
        entity: str,
        facts: Mapping[str, Any],
        *,
        context: Mapping[str, str] | None = None,
        request_id: str = "",
        event_us: int | None = None,
    ) -> bool:
        """Keep facts as they are at this moment.

        Parameters
        ----------
        of
            The kind of facts, or the view that used them.
        event_us
            When they were true; now unless it is said.

        Returns
        -------
        bool
            Whether there was room; what there is none for is counted as lost.

        Raises
        ------
        InvalidInput
            A value is none of ours, or a text is too long.
        LimitExceeded
            They are larger than 350,000 bytes.
        """
        at = now_us()
        event = at if event_us is None else event_us
        return self.keep(of, Fact(entity, event, at, dict(facts), dict(context or {}), request_id))

    def keep(self, of: Ref, fact: Fact) -> bool:
        """Keep a fact that is whole, such as one with the features that were served by it.

        Raises InvalidInput, LimitExceeded like ``log``.
        """
        line = encode(fact)
        with self._lock:
            size, count = self._size + len(line), self._count + 1
            full = size > self._limits.waiting_bytes or count > self._limits.waiting
            if full or self._is_closing:
                self._lost[of] += 1
                return False
            self._size, self._count = size, count
            self._put += 1
            self._taken.setdefault(of, []).append(line)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="facts", daemon=True)
                self._thread.start()
        if size > self._limits.waiting_bytes >> 3 or count > self._limits.waiting >> 3:
            self._wake.set()
        return True

    def lose(self, of: Ref) -> None:
        """Count a fact that cannot be kept."""
        with self._lock:
            self._lost[of] += 1

    def flush(self, timeout_s: float = 10.0) -> bool:
        """Wait until what has been kept so far is stored, or lost; return whether that is so."""
        with self._changed:
            goal = self._put
            self._wake.set()
            return self._changed.wait_for(lambda: self._done >= goal, timeout_s)

    def close(self, timeout_s: float = 10.0) -> None:
        """Store everything and stop; what is logged afterwards is lost."""
        with self._lock:
            self._is_closing = True
            thread = self._thread
        self._wake.set()
        if thread is not None:
            thread.join(timeout_s)
        self._turn()
        self._store.close()

    def _run(self) -> None:
        while not self._is_closing:
            self._wake.wait(self._limits.every_s)
            self._wake.clear()
            self._turn()

    def _turn(self) -> None:
        with self._lock:
            taken, self._taken = self._taken, {}
            lost, self._lost = self._lost, Counter()
            many, self._size, self._count = self._count, 0, 0
        for of, count in lost.items():
            self._losses.add(of, count, "they came too fast, are too large, or came after the end")
        for of, lines in taken.items():
            try:
                self._store.append(table(of), lines)
            except Exception as error:  # the next ones may be kept
                self._losses.add(of, len(lines), str(error))
        with self._changed:
            self._done += many
            self._changed.notify_all()


class _Losses:
    """Counts what is lost, and says so: at once, and then every ten minutes while it goes on."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._series: dict[Ref, Series] = {}
        self._untold: Counter[Ref] = Counter()
        self._told_at: dict[Ref, float] = {}

    def add(self, of: Ref, count: int, reason: str) -> None:
        if of not in self._series:
            where = {"Kind": of.kind, "Name": of.name}
            self._series[of] = self._recorder.series(NAMESPACE, LOST, where, "Count", near=of)
        self._series[of].add(float(count))
        self._untold[of] += count
        moment = time.monotonic()
        if moment - self._told_at.get(of, float("-inf")) >= _REPEAT_S:
            self._told_at[of] = moment
            _log.warning("%d facts of %s are lost: %s", self._untold.pop(of), of, reason)


def table(of: Ref) -> str:
    """Name the table that holds the facts of a kind or view: 64 hex digits.

    Every version of a view has the same.
    """
    return digest([of.account, of.region, of.kind, of.name])


def encode(fact: Fact) -> bytes:
    """Write a fact, bit for bit. Raises InvalidInput, LimitExceeded."""
    _check(fact)
    packed = Fact(
        fact.entity,
        fact.event_us,
        fact.write_us,
        _packed(fact.facts, "facts"),
        fact.context,
        fact.request_id,
        fact.digest,
        None if fact.served is None else _packed(fact.served, "served"),
    )
    try:
        line = msgspec.msgpack.encode(packed)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise InvalidInput("facts", f"cannot be kept: {error}", legal=_LEGAL) from None
    if len(line) > LARGEST_FACT:
        raise LimitExceeded(f"a fact of {len(line)} bytes; at most {LARGEST_FACT} are kept")
    return line


def decode(line: bytes) -> Fact:
    """Read a fact back. Raises ValueError for what is none."""
    return _decoder.decode(line)


def _check(fact: Fact) -> None:
    words = (fact.entity, fact.request_id, *fact.context, *fact.context.values())
    if not fact.entity or not isinstance(fact.entity, str):
        raise InvalidInput("entity", f"{fact.entity!r} names nobody", legal="a text")
    for word in words:
        if not isinstance(word, str):
            raise InvalidInput("context", f"{word!r} is no text", legal="names and texts")
        if len(word) > LARGEST_NAME:
            problem = f"{word[:40]!r}… has {len(word)} characters"
            raise InvalidInput("context", problem, legal=f"at most {LARGEST_NAME}")
    if not 0 <= fact.event_us < 1 << 62:
        raise InvalidInput(
            "event_us", f"{fact.event_us} is no moment", legal="microseconds since 1970"
        )


def _packed(values: Mapping[str, Any], field: str) -> dict[str, Any]:
    for value in values.values():
        if type(value) not in _PLAIN:
            break
    else:
        return dict(values)
    return {name: _pack(value, f"{field}.{name}") for name, value in values.items()}


def _pack(value: Any, field: str) -> Any:
    if type(value) in _PLAIN:
        return value
    if isinstance(value, datetime):
        return value if value.tzinfo else _extension(_LOCAL, value)
    if isinstance(value, date):
        return _extension(_DATE, value)
    if isinstance(value, list | tuple):
        return [_pack(one, field) for one in value]
    if isinstance(value, dict):
        return {name: _pack(one, f"{field}.{name}") for name, one in value.items()}
    raise InvalidInput(field, f"a {type(value).__name__} cannot be kept", legal=_LEGAL)


def _extension(code: int, value: date) -> msgspec.msgpack.Ext:
    return msgspec.msgpack.Ext(code, value.isoformat().encode())


def _unpack(code: int, data: memoryview) -> Any:
    text = bytes(data).decode()
    return date.fromisoformat(text) if code == _DATE else datetime.fromisoformat(text)


_PLAIN = frozenset((bool, int, float, str, type(None)))
_LEGAL = "None, bool, int of 64 bits, float, str, date, datetime, lists and mappings of those"
_decoder = msgspec.msgpack.Decoder(Fact, ext_hook=_unpack)
