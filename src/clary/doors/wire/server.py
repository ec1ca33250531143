"""The HTTP server: a raw ASGI application under uvicorn, the gateway called in threads."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import logging
import re
import signal
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import uvicorn

from clary.doors.mlflow import gateway as mlflow
from clary.doors.prometheus import gateway as prometheus
from clary.doors.wire.bodies import Inflow, Outflow
from clary.doors.wire.errors import WireError
from clary.doors.wire.gateway import Gateway
from clary.doors.wire.invocations import Invocations
from clary.doors.wire.message import Request, Response
from clary.doors.wire.protocol import BoundedProtocol
from clary.doors.wire.record_reads import RecordReads
from clary.doors.wire.record_writes import RecordWrites
from clary.kernel.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from clary.doors.wire.bodies import Receive, Send
    from clary.platform import Platform

_THREADS = 64
_GRACE_S = 5
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_log = logging.getLogger(__name__)


class Application:
    """The ASGI application.

    Parameters
    ----------
    platform
        What is served.
    reset
        Empties the home and opens it again; None when that is not offered.
    """

    def __init__(self, platform: Platform, reset: Callable[[], Platform] | None = None) -> None:
        self._serve(platform)
        self._reset = reset
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="wire")

    def _serve(self, platform: Platform) -> None:
        self._gateway, self._mlflow = Gateway(platform), mlflow.Gateway(platform)
        self._metrics = prometheus.Gateway(platform)
        self.invocations = Invocations(platform, self._gateway.authenticator)
        self.record_reads = RecordReads(platform, self._gateway.authenticator)
        self._record_writes = RecordWrites(platform, self._gateway.authenticator)

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        if scope["path"].startswith("/_clary/"):
            await _send_whole(send, scope, await self._own(scope))
            return
        inflow = Inflow(receive)
        try:
            body = await inflow.begin()
            request = _request(scope, inflow if body is None else body)
            response = await self._run(self._door(request), request)
        except WireError as error:
            _log.info("%s %r: %s", scope["method"], scope["path"], error.message)
            response = Response(408, {"Connection": "close"}, error.message.encode())
        finally:
            await inflow.close()
        await self._respond(scope, receive, send, response)

    def _door(self, request: Request) -> Callable[[Request], Response]:
        if mlflow.is_ours(request):
            return self._mlflow.handle
        return self._metrics.handle if prometheus.is_ours(request) else self._handle

    def _handle(self, request: Request) -> Response:
        return self._record_writes.answer(request) or self._gateway.handle(request)

    async def _run(self, function: Callable[..., Any], *args: Any) -> Any:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, function, *args)

    async def _own(self, scope: Mapping[str, Any]) -> Response:
        match scope["method"], scope["path"]:
            case "GET" | "HEAD", "/_clary/health":
                return _document(200, {"status": "ready"})
            case "POST", "/_clary/reset" if self._reset is not None:
                if any(name == b"origin" for name, _ in scope["headers"]):
                    return _document(403, {"message": "not from a web page"})
                platform = await self._run(self._reset)
                self._serve(platform)
                return _document(200, {"status": "empty"})
        return _document(404, {"message": "legal: GET /_clary/health, POST /_clary/reset"})

    async def _respond(
        self, scope: Mapping[str, Any], receive: Receive, send: Send, response: Response
    ) -> None:
        if isinstance(response.body, bytes):
            await _send_whole(send, scope, response)
            return
        outflow = Outflow(response.body, self._threads)
        gone = asyncio.ensure_future(receive())
        try:
            await send(_start(response))
            await outflow.send(send, gone)
        finally:
            gone.cancel()

    def close(self) -> None:
        """Wait for the threads."""
        self._threads.shutdown()


def _request(scope: Mapping[str, Any], body: Any) -> Request:
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1"), _text(raw_value)
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    return Request(
        method=scope["method"],
        path=scope["raw_path"].decode("latin-1"),
        query=scope["query_string"].decode("latin-1"),
        headers=headers,
        body=body,
    )


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _document(status: int, value: Mapping[str, str]) -> Response:
    return Response(status, {"Content-Type": "application/json"}, json.dumps(value).encode())


def _start(response: Response) -> dict[str, Any]:
    headers = [
        (name.encode("latin-1"), _CONTROL.sub(" ", value).encode())
        for name, value in response.headers.items()
    ]
    return {"type": "http.response.start", "status": response.status, "headers": headers}


async def _send_whole(send: Send, scope: Mapping[str, Any], response: Response) -> None:
    body = response.body if isinstance(response.body, bytes) else b"".join(response.body)
    bare = scope["method"] == "HEAD" or response.status in (204, 304)
    if response.status in (204, 304):
        response.headers.pop("Content-Length", None)
    elif "Content-Length" not in response.headers or not bare:
        response.headers["Content-Length"] = str(len(body))
    await send(_start(response))
    await send({"type": "http.response.body", "body": b"" if bare else body})


class _Uvicorn(uvicorn.Server):
    """uvicorn, ending on SIGTERM and SIGINT without raising them again at its caller."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {
            number: signal.signal(number, self.handle_exit)
            for number in (signal.SIGTERM, signal.SIGINT)
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


class Server:
    """One endpoint for every service.

    Parameters
    ----------
    platform
        What is served, and the address in its config; port 0 takes a free one.
    reset
        Empties the home and opens it again; offered as ``POST /_clary/reset`` when the config
        allows it.
    bound
        A socket that listens already, instead of the config's address.

    Raises
    ------
    Unavailable
        The address cannot be bound.
    """

    def __init__(
        self,
        platform: Platform,
        *,
        reset: Callable[[], Platform] | None = None,
        bound: socket.socket | None = None,
    ) -> None:
        config = platform.config
        self._socket = bound or _bind(config.host, config.port)
        host = f"[{config.host}]" if ":" in config.host else config.host
        self.endpoint = f"http://{host}:{self._socket.getsockname()[1]}"
        self._app = Application(platform, reset if config.allow_reset else None)
        self._uvicorn: _Uvicorn | None = None

    def run(self, ready: Callable[[str], None] | None = None) -> None:
        """Serve until SIGTERM, SIGINT or ``stop``; answers what is under way before it returns.

        ``ready`` is given the endpoint as soon as it answers.
        """
        settings = uvicorn.Config(
            self._app,
            http=BoundedProtocol,
            loop="auto",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=_GRACE_S,
        )
        self._uvicorn = _Uvicorn(settings, lambda: ready(self.endpoint) if ready else None)
        try:
            self._uvicorn.run([self._socket])
        finally:
            self._socket.close()
            self._app.close()

    def stop(self) -> None:
        """End ``run``, from any thread."""
        if self._uvicorn is not None:
            self._uvicorn.should_exit = True


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
    except (OSError, OverflowError) as error:
        bound.close()
        taken = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
        reason = "is taken" if taken else f"cannot be used: {error}"
        raise Unavailable(
            f"address {host}:{port} {reason}",
            hint="choose another with --port, or 0 for a free one",
        ) from None
    return bound


def serve(
    platform: Platform,
    *,
    ready: Callable[[str], None] | None = None,
    reset: Callable[[], Platform] | None = None,
) -> None:
    """Serve a platform until SIGTERM or SIGINT.

    Parameters
    ----------
    ready
        Given the endpoint as soon as it answers.
    reset
        Empties the home and opens it again, where the config offers that.

    Raises
    ------
    Unavailable
        The address cannot be bound.
    """
    Server(platform, reset=reset).run(ready)
