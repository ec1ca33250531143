"""Event streams, read by botocore's own parser."""

from __future__ import annotations

from typing import Any

from botocore.eventstream import EventStreamBuffer
from hypothesis import given
from hypothesis import strategies as st

from clary.doors.wire import event_stream, model

_SHAPES = model.service("sagemaker-runtime").shapes


def _read(events: list[dict[str, Any]]) -> list[tuple[dict[str, str], bytes]]:
    buffer = EventStreamBuffer()
    for piece in event_stream.encode(events, _SHAPES, "ResponseStream"):
        buffer.add_data(piece)
    return [(message.headers, message.payload) for message in buffer]


@given(st.lists(st.binary(max_size=300), max_size=5))
def test_parts_come_back_as_they_were(parts: list[bytes]) -> None:
    """Each part is one event, with its bytes as the payload."""
    found = _read([{"PayloadPart": {"Bytes": part}} for part in parts])
    assert [payload for _, payload in found] == parts
    assert all(headers[":event-type"] == "PayloadPart" for headers, _ in found)


def test_a_large_part_is_cut() -> None:
    """No event is larger than clients take."""
    part = bytes(range(256)) * 10_000
    found = _read([{"PayloadPart": {"Bytes": part}}])
    assert b"".join(payload for _, payload in found) == part
    assert max(len(payload) for _, payload in found) <= 1 << 20


def test_an_error_in_the_stream_is_an_exception_there() -> None:
    """Clients raise it when they come to it."""
    [(headers, payload)] = _read([{"ModelStreamError": {"Message": "m", "ErrorCode": "c"}}])
    assert headers[":message-type"] == "exception"
    assert headers[":exception-type"] == "ModelStreamError"
    assert payload == b'{"Message":"m","ErrorCode":"c"}'
