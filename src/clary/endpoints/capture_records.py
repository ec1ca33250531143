"""What one captured request looks like: a line of the public JSONL format."""

from __future__ import annotations

from binascii import b2a_base64
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain, count, islice, repeat
from typing import TYPE_CHECKING, Literal
from uuid import uuid4

import msgspec

from clary.endpoints.invocations import CSV, JSON

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from clary.endpoints.invocations import Invocation
    from clary.endpoints.model import CaptureConfig

Encoding = Literal["CSV", "JSON", "BASE64"]
_MOST_TYPES = 64


@dataclass(frozen=True, slots=True)
class Shape:
    """What requests may have in common: their types, and the second of their answers."""

    content_type: str
    answer_type: str
    second: int


class Format:
    """Writes requests as one endpoint's configuration wants them; for any thread.

    Parameters
    ----------
    config
        Which sides are captured, and which content types are text. Where it names none,
        ``text/csv`` is CSV and ``application/json`` is JSON.
    """

    def __init__(self, config: CaptureConfig) -> None:
        self._has_input = config.input
        self._has_output = config.output
        is_default = not (config.csv_types or config.json_types)
        csv_types = (CSV,) if is_default else config.csv_types
        json_types = (JSON,) if is_default else config.json_types
        self._encodings: dict[str, Encoding] = {
            **dict.fromkeys(map(str.lower, json_types), "JSON"),
            **dict.fromkeys(map(str.lower, csv_types), "CSV"),
        }
        self._encode = msgspec.json.Encoder().encode
        self._frames: dict[tuple[str, bool], tuple[bytes, bytes, bool]] = {}
        self._second = (-1, b"")
        first = uuid4()  # no other process has its first 24 characters
        self._id_head, self._id_tails = str(first)[:24], count(first.node >> 2 | 1 << 47)

    def line(
        self, given: Invocation, answer: bytes, answer_type: str, event_id: str, at: float
    ) -> bytes:
        """Write one line, its end included; see ``Sampler.take``.

        The document is put together from what is the same in most of them, because an encoder of
        whole documents takes three times as long.

        Raises
        ------
        ValueError
            An attribute or an id is no Unicode.
        """
        sides = []
        if self._has_input:
            sides.append(self._payload(given.content_type, given.body, is_input=True))
        if self._has_output:
            sides.append(self._payload(answer_type, answer, is_input=False))
        event = event_id or f"{self._id_head}{next(self._id_tails):x}"
        named = self._named(given) if given.inference_id or given.custom_attributes else (b"", b"")
        return b"".join(
            (
                b'{"captureData":{',
                b",".join(sides),
                b'},"eventMetadata":{"eventId":',
                self._encode(event),
                named[0],
                self._time(at),
                named[1],
                b'},"eventVersion":"0"}\n',
            )
        )

    def lines(
        self, shape: Shape, bodies: Sequence[bytes], answers: Sequence[bytes]
    ) -> bytes | None:
        """Write the lines of requests of one shape at once; None where they need it one by one.

        A line costs a fifth of what ``line`` takes: texts are encoded joined by NUL, and what they
        have in common is written once.
        """
        columns: list[Iterable[bytes]] = []
        before = b'{"captureData":{'
        for is_on, kind, data, is_input in (
            (self._has_input, shape.content_type, bodies, True),
            (self._has_output, shape.answer_type, answers, False),
        ):
            if not is_on:
                continue
            head, tail, is_text = self._frame(kind, is_input=is_input)
            texts = self._texts(data) if is_text else [b2a_base64(x, newline=False) for x in data]
            if texts is None:
                return None
            columns += (repeat(before + head + b'"'), texts)
            before = b'"' + tail + (b"," if is_input and self._has_output else b"")
        end = before + b'},"eventMetadata":{"eventId":"' + self._id_head.encode()
        form = (
            end.replace(b"%", b"%%")
            + b'%x"'
            + self._time(shape.second)
            + b'},"eventVersion":"0"}\n'
        )
        tails = islice(self._id_tails, len(bodies))
        columns.append(map(form.__mod__, tails))
        return b"".join(chain.from_iterable(zip(*columns, strict=False)))

    def _texts(self, data: Sequence[bytes]) -> Sequence[bytes] | None:
        """Encode texts for JSON, without their quotes; None where one is no text or has a NUL."""
        try:
            found = self._encode(b"\0".join(data).decode())[1:-1].split(b"\\u0000")
        except UnicodeDecodeError:
            return None
        return found if len(found) == len(data) else None

    def _named(self, given: Invocation) -> tuple[bytes, bytes]:
        """Write what a client may have said of its request, before and behind the time."""
        before = given.inference_id and b',"inferenceId":' + self._encode(given.inference_id)
        attributes = given.custom_attributes
        behind = attributes and b',"customAttributes":' + self._encode([attributes])
        return before or b"", behind or b""

    def _payload(self, content_type: str, body: bytes, *, is_input: bool) -> bytes:
        before, behind, is_text = self._frame(content_type, is_input=is_input)
        if is_text:
            try:
                return before + self._encode(body.decode()) + behind
            except UnicodeDecodeError:
                pass  # its bytes are kept as they are
        text = b2a_base64(body, newline=False)
        return b'%b"%b","encoding":"BASE64"}' % (before, text)

    def _frame(self, content_type: str, *, is_input: bool) -> tuple[bytes, bytes, bool]:
        """Write what surrounds the data of a side; remember it for so many types."""
        if found := self._frames.get((content_type, is_input)):
            return found
        side, mode = ("endpointInput", "INPUT") if is_input else ("endpointOutput", "OUTPUT")
        media = content_type.partition(";")[0].strip().lower()
        encoding = self._encodings.get(media, "BASE64")
        observed = {"observedContentType": content_type} if content_type else {}
        whole = self._encode({side: {**observed, "mode": mode, "data": "", "encoding": encoding}})
        before, _, behind = whole[1:-1].rpartition(b'"",')
        frame = (before, b"," + behind, encoding != "BASE64")
        if len(self._frames) < _MOST_TYPES:
            self._frames[content_type, is_input] = frame
        return frame

    def _time(self, at: float) -> bytes:
        second, text = self._second
        if int(at) != second:
            moment = datetime.fromtimestamp(int(at), UTC)
            text = f',"inferenceTime":"{moment:%Y-%m-%dT%H:%M:%SZ}"'.encode()
            self._second = (int(at), text)
        return text
