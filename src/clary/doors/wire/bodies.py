"""Bodies between the event loop and the threads: bounded memory in both directions."""

from __future__ import annotations

import asyncio
import queue
from typing import TYPE_CHECKING, Any

from clary.doors.wire.errors import WireError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator
    from concurrent.futures import Executor

    Receive = Callable[[], Awaitable[Any]]
    Send = Callable[[Any], Awaitable[None]]

BATCH_BYTES = 1 << 20
_BATCHES_AHEAD = 3
_SLOWEST_S = 60.0


class Inflow:
    """A request's body, read by the loop and iterated once by a thread.

    At most a few batches of 1 MiB wait in between; then the client waits.
    """

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._loop = asyncio.get_running_loop()
        self._room = asyncio.Semaphore(_BATCHES_AHEAD)
        self._batches: queue.SimpleQueue[bytes | WireError | None] = queue.SimpleQueue()
        self._pump: asyncio.Task[None] | None = None

    async def begin(self) -> tuple[bytes, ...] | None:
        """Return the whole body if it fits one batch, else None, and go on reading it.

        Raises
        ------
        WireError
            The client went away or is too slow.
        """
        batch, more = await self._read_batch()
        if not more:
            return (batch,)
        self._batches.put(batch)
        self._pump = asyncio.create_task(self._read_rest())
        return None

    async def _read_batch(self) -> tuple[bytes, bool]:
        pieces: list[bytes] = []
        size = 0
        more = True
        while more and size < BATCH_BYTES:
            try:
                # not wait_for, which in 3.11 swallows a cancellation that comes with a message
                async with asyncio.timeout(_SLOWEST_S):
                    message = await self._receive()
            except TimeoutError:
                raise WireError(
                    "RequestTimeout", f"No data of the body came for {_SLOWEST_S:.0f} s", 400
                ) from None
            if message["type"] == "http.disconnect":
                raise WireError("IncompleteBody", "The client went away before the body's end", 400)
            piece = message.get("body", b"")
            pieces.append(piece)
            size += len(piece)
            more = message.get("more_body", False)
        return (pieces[0] if len(pieces) == 1 else b"".join(pieces)), more

    async def _read_rest(self) -> None:
        more = True
        try:
            while more:
                await self._room.acquire()
                batch, more = await self._read_batch()
                self._batches.put(batch)
            self._batches.put(None)
        except WireError as error:
            self._batches.put(error)

    def __iter__(self) -> Iterator[bytes]:
        """Yield batches, in a thread; raises WireError when the body does not come to its end."""
        while (batch := self._batches.get()) is not None:
            if isinstance(batch, WireError):
                raise batch
            yield batch
            self._loop.call_soon_threadsafe(self._room.release)

    async def close(self) -> None:
        """Stop reading; a thread that still waits for more is told so."""
        if self._pump is not None:
            self._pump.cancel()
            self._batches.put(WireError("IncompleteBody", "The server is stopping", 503))
            await asyncio.gather(self._pump, return_exceptions=True)


class Outflow:
    """A response's body, made piece by piece in threads while the piece before is sent."""

    def __init__(self, pieces: Iterable[bytes], executor: Executor) -> None:
        self._pieces = pieces
        self._iterator = iter(pieces)
        self._executor = executor
        self._loop = asyncio.get_running_loop()

    def _next(self) -> asyncio.Future[bytes | None]:
        return self._loop.run_in_executor(self._executor, next, self._iterator, None)

    async def send(self, send: Send, gone: asyncio.Task[Any]) -> None:
        """Send every piece, or stop when the client is gone or takes nothing for a minute."""
        coming = self._next()
        try:
            while (piece := await coming) is not None and not gone.done():
                coming = self._next()
                message = {"type": "http.response.body", "body": piece, "more_body": True}
                await asyncio.wait_for(send(message), _SLOWEST_S)
        finally:
            await asyncio.gather(coming, return_exceptions=True)
            if close := getattr(self._iterator, "close", None):
                await self._loop.run_in_executor(self._executor, close)
        await send({"type": "http.response.body", "body": b"", "more_body": False})
