"""Captured requests, and labels for them: lines of JSON in folders by hour.

What cannot be read is counted and named by file and line, and the rest is read: an endpoint that
lost its power leaves a truncated line, and that is no reason to measure nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import msgspec

from clary.analysis.payloads import Payload

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

MOST_NAMED: Final = 20
LONGEST_LINE_BYTES: Final = 32 << 20
_HOUR: Final = re.compile(r"(?:^|/)(\d{4})/(\d{2})/(\d{2})/(\d{2})/(?:[^/]+/)*[^/]+$")


class Sides(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """What was asked and what was answered; either may not be captured."""

    endpoint_input: Payload | None = None
    endpoint_output: Payload | None = None


class Event(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """Which request it was, and when; ``inference_id``, ``custom_attributes`` are the client's."""

    event_id: str = ""
    inference_id: str = ""
    inference_time: str = ""
    custom_attributes: tuple[str, ...] = ()

    @property
    def at(self) -> datetime | None:
        """When it was answered; None where the text is no time."""
        try:
            moment = datetime.fromisoformat(self.inference_time)
        except ValueError:
            return None
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


class Capture(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """One line: a request, a label, or both where they were merged before."""

    event_metadata: Event
    capture_data: Sides = Sides()
    ground_truth_data: Payload | None = None

    @property
    def ids(self) -> tuple[str, ...]:
        """The names that a label may know it by, the client's own first."""
        event = self.event_metadata
        return tuple(one for one in (event.inference_id, event.event_id) if one)


@dataclass(slots=True)
class Faults:
    """What could not be read: how much, and the first twenty by file and line."""

    count: int = 0
    named: list[str] = field(default_factory=list)

    def add(self, file: Path | str, line: int, problem: str) -> None:
        """Count one."""
        self.count += 1
        if len(self.named) < MOST_NAMED:
            self.named.append(f"{file}, line {line}: {problem[:300]}")


@dataclass(frozen=True, slots=True)
class Window:
    """A span of time, UTC: from ``start`` on and before ``end``; None is open."""

    start: datetime | None = None
    end: datetime | None = None

    def holds(self, moment: datetime | None) -> bool:
        """Say whether a moment lies in it; what has no known moment does."""
        if moment is None:
            return True
        begun = self.start is None or moment >= self.start
        return begun and (self.end is None or moment < self.end)

    def touches(self, path: str) -> bool:
        """Say whether a file may hold what lies in it; a path that names no hour may.

        Examples
        --------
        >>> one = Window(datetime(2026, 1, 2, 3, 30, tzinfo=UTC))
        >>> one.touches("a/2026/01/02/03/x.jsonl"), one.touches("a/2026/01/02/02/x.jsonl")
        (True, False)
        """
        match = _HOUR.search(path)
        if match is None:
            return True
        hour = "{}-{}-{}T{}".format(*match.groups())
        late = self.start is None or hour >= f"{self.start.astimezone(UTC):%Y-%m-%dT%H}"
        return late and (self.end is None or hour <= f"{self.end.astimezone(UTC):%Y-%m-%dT%H}")


@dataclass(frozen=True, slots=True)
class Line:
    """A capture and where it stands."""

    capture: Capture
    file: Path
    number: int


def files(source: Path) -> Iterator[Path]:
    """Name a folder's files in order, or the one file; hidden ones are passed over."""
    if source.is_file():
        yield source
        return
    for path in sorted(source.rglob("*")):
        if path.is_file() and not path.name.startswith((".", "_")):
            yield path


def captures(source: Path, faults: Faults, *, window: Window | None = None) -> Iterator[Line]:
    """Read captured requests or labels.

    Parameters
    ----------
    source
        A file of JSON lines, or a folder of such.
    faults
        Counts the lines that are no such documents: truncated ones among them.
    window
        Passes over what was answered outside, and files of hours outside.
    """
    chosen = window or Window()
    decode = msgspec.json.Decoder(Capture).decode
    for file in files(source):
        if not chosen.touches(file.as_posix()):
            continue
        for number, text in lines(file, faults):
            try:
                capture = decode(text)
            except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
                faults.add(file, number, str(error))
                continue
            if chosen.holds(capture.event_metadata.at if window else None):
                yield Line(capture, file, number)


def lines(file: Path, faults: Faults) -> Iterator[tuple[int, bytes]]:
    """Read the lines of a file that are not empty, with their numbers from 1."""
    with file.open("rb") as opened:
        number = 0
        while text := opened.readline(LONGEST_LINE_BYTES):
            number += 1
            if len(text) == LONGEST_LINE_BYTES and not text.endswith(b"\n"):
                faults.add(file, number, f"is longer than {LONGEST_LINE_BYTES} bytes")
                _pass_rest_of_line(opened)
            elif stripped := text.strip():
                yield number, stripped


def _pass_rest_of_line(opened: BinaryIO) -> None:
    while (text := opened.readline(LONGEST_LINE_BYTES)) and not text.endswith(b"\n"):
        pass
