"""HTTP connections with bounds: how large a request's head may be, and how slowly it may come.

Small requests for inferences and for records are answered here if they can be, before any task is
made for them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from clary.doors.wire.invocations import BEFORE, BEHIND, SMALL
from clary.doors.wire.record_reads import MANY, ONE

if TYPE_CHECKING:
    import asyncio

_LARGEST_HEAD = 64 << 10
_SLOWEST_HEAD_S = 20.0


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's protocol, refusing heads over 64 KiB or that take longer than 20 s."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_bytes = 0
        self._head_timer: asyncio.TimerHandle | None = None
        self._is_coming = False
        self._held: list[bytes] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Give a new connection its time for the first head."""
        super().connection_made(transport)
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timer."""
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count and time what comes in several pieces before the head, or all, is complete."""
        if self._head_timer is not None:
            self._head_bytes += len(data)
            if self._head_bytes > _LARGEST_HEAD + len(data):
                self._refuse()
                return
        super().data_received(data)
        if self._is_coming and self._head_timer is None and not self.transport.is_closing():
            self._start_timer()
            self._head_bytes = len(data)

    def on_message_begin(self) -> None:
        """Begin a head; the first has its timer already."""
        super().on_message_begin()
        self._is_coming = True

    def on_headers_complete(self) -> None:
        """End the head; of a small request, wait for the body before anything else."""
        if self._is_quick() and self._is_small():
            self._held = []
            return
        self._end()
        super().on_headers_complete()

    def _is_quick(self) -> bool:
        url, method = self.url, self.parser.get_method()
        if method == b"GET":
            return url.startswith(ONE)
        is_known = (url.startswith(BEFORE) and url.endswith(BEHIND)) or url == MANY
        return is_known and method == b"POST"

    def _is_small(self) -> bool:
        if self.parser.get_http_version() != "1.1":
            return False
        if self.expect_100_continue or self.parser.should_upgrade() or self.flow.write_paused:
            return False
        if self.cycle is not None and not self.cycle.response_complete:
            return False  # it came while another is answered, and must wait for its turn
        length = next((value for name, value in self.headers if name == b"content-length"), None)
        if length is None:
            return self.parser.get_method() == b"GET" and not self._is_chunked()
        return length.isdigit() and len(length) <= len(str(SMALL)) and int(length) <= SMALL

    def _is_chunked(self) -> bool:
        return any(name == b"transfer-encoding" for name, _ in self.headers)

    def on_body(self, body: bytes) -> None:
        """Keep the body of a small request."""
        if self._held is None:
            super().on_body(body)
        else:
            self._held.append(body)

    def on_message_complete(self) -> None:
        """Answer a small request, or send it the ordinary way."""
        if self._held is None:
            super().on_message_complete()
            return
        self._end()
        body, self._held = b"".join(self._held), None
        quick = self.app.invocations if self.url.startswith(BEFORE) else self.app.record_reads
        answer = quick.answer(self.url, self.headers, body)
        if answer is None:
            super().on_headers_complete()
            super().on_body(body)
            super().on_message_complete()
            return
        head, content = answer
        stays = self.parser.should_keep_alive()
        date = b"".join(b"%b: %b\r\n" % header for header in self.server_state.default_headers)
        end = b"\r\n" if stays else b"connection: close\r\n\r\n"
        self.transport.write(b"".join((head, date, end, content)))
        if not stays:
            self.transport.close()
        self.on_response_complete()

    def _end(self) -> None:
        self._is_coming = False
        self._stop_timer()

    def _start_timer(self) -> None:
        self._head_bytes = 0
        self._head_timer = self.loop.call_later(_SLOWEST_HEAD_S, self._refuse)

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _refuse(self) -> None:
        self._stop_timer()
        if not self.transport.is_closing():
            self.send_400_response("The request's head is too large or too slow.")
