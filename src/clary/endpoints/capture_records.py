"""What one captured request looks like: a line of the public JSONL format."""

from __future__ import annotations

from binascii import b2a_base64
from datetime import UTC, datetime
from itertools import count
from typing import TYPE_CHECKING, Literal
from uuid import uuid4

import msgspec
from msgspec import UNSET, Struct, UnsetType

from clary.endpoints.invocations import CSV, JSON

if TYPE_CHECKING:
    from clary.endpoints.invocations import Invocation
    from clary.endpoints.model import CaptureConfig

Encoding = Literal["CSV", "JSON", "BASE64"]
_MOST_TYPES = 64


class Payload(Struct, frozen=True, gc=False, rename="camel"):
    """A request's or an answer's body; text that is no UTF-8 is ``BASE64`` whatever its type."""

    observed_content_type: str | UnsetType
    mode: Literal["INPUT", "OUTPUT"]
    data: str
    encoding: Encoding


class Data(Struct, frozen=True, gc=False, rename="camel"):
    """What went in and what came out, as far as it is captured."""

    endpoint_input: Payload | UnsetType
    endpoint_output: Payload | UnsetType


class Metadata(Struct, frozen=True, gc=False, rename="camel"):
    """What identifies the event: labels are joined on ``inference_id``, else ``event_id``."""

    event_id: str
    inference_id: str | UnsetType
    custom_attributes: tuple[str] | UnsetType
    inference_time: str


class Record(Struct, frozen=True, gc=False, rename="camel"):
    """One captured request."""

    capture_data: Data
    event_metadata: Metadata
    event_version: Literal["0"] = "0"


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
        self._second = (-1, "")
        first = uuid4()  # no other process has its first 24 characters
        self._id_head, self._id_tails = str(first)[:24], count(first.node >> 2 | 1 << 47)

    def line(
        self, given: Invocation, answer: bytes, answer_type: str, event_id: str, at: float
    ) -> bytes:
        """Write one line, its end included; see ``Sampler.take``.

        Raises
        ------
        ValueError
            An attribute or an id is no Unicode.
        """
        data = Data(
            self._payload(given.content_type, "INPUT", given.body) if self._has_input else UNSET,
            self._payload(answer_type, "OUTPUT", answer) if self._has_output else UNSET,
        )
        attributes = given.custom_attributes
        metadata = Metadata(
            event_id or f"{self._id_head}{next(self._id_tails):x}",
            given.inference_id or UNSET,
            (attributes,) if attributes else UNSET,
            self._time(at),
        )
        return self._encode(Record(data, metadata)) + b"\n"

    def _payload(self, content_type: str, mode: Literal["INPUT", "OUTPUT"], body: bytes) -> Payload:
        encoding = self._encodings.get(content_type) or self._encoding(content_type)
        if encoding != "BASE64":
            try:
                return Payload(content_type, mode, body.decode(), encoding)
            except UnicodeDecodeError:
                pass  # its bytes are kept as they are
        text = b2a_base64(body, newline=False).decode("ascii")
        return Payload(content_type or UNSET, mode, text, "BASE64")

    def _encoding(self, content_type: str) -> Encoding:
        """Look at a type without its parameters; remember what it came to."""
        media = content_type.partition(";")[0].strip().lower()
        encoding = self._encodings.get(media, "BASE64")
        if len(self._encodings) < _MOST_TYPES:
            self._encodings[content_type] = encoding
        return encoding

    def _time(self, at: float) -> str:
        second, text = self._second
        if int(at) != second:
            text = datetime.fromtimestamp(int(at), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            self._second = (int(at), text)
        return text
