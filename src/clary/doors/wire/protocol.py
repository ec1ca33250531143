"""HTTP connections with bounds: how large a request's head may be, and how slowly it may come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

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

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Give a new connection its time for the first head."""
        super().connection_made(transport)
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timer."""
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count what comes before the head is complete."""
        if self._head_timer is not None:
            self._head_bytes += len(data)
            if self._head_bytes > _LARGEST_HEAD + len(data):
                self._refuse()
                return
        super().data_received(data)

    def on_message_begin(self) -> None:
        """Begin a head; the first has its timer already."""
        super().on_message_begin()
        if self._head_timer is None:
            self._start_timer()

    def on_headers_complete(self) -> None:
        """End the head."""
        self._stop_timer()
        super().on_headers_complete()

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
