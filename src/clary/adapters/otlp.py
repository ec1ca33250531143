"""Sending spans to an OpenTelemetry collector: OTLP over HTTP, as JSON."""

from __future__ import annotations

import logging
import secrets
import threading
import urllib.request
from collections import deque
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from clary.endpoints.tracing import read_parent
from clary.kernel.codec import to_json
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clary.endpoints.tracing import Traced

MOST_WAITING = 20_000
"""So many requests may wait to be sent; what comes meanwhile is not traced."""
_BATCH = 500
_EVERY_S = 1.0
_TIMEOUT_S = 10.0
_SERVER, _CLIENT = 2, 3
_OK, _ERROR = 1, 2
_RESOURCE = {"attributes": [{"key": "service.name", "value": {"stringValue": "clary"}}]}
_log = logging.getLogger(__name__)


class OtlpSpans:
    """Implements ``endpoints.tracing.Spans``: two spans a request, sent every second.

    What cannot be sent is dropped, and the log says so.

    Parameters
    ----------
    url
        Where to: ``http://host:4318/v1/traces``.

    Raises
    ------
    InvalidInput
        It is another kind of URL.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InvalidInput("traces", f"{url!r}", legal="http://host:4318/v1/traces, https://…")
        self._url = url
        self._waiting: deque[Traced] = deque()
        self._lost = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="traces", daemon=True)
        self._thread.start()

    def take(self, traced: Traced) -> None:
        """Keep it for sending; never waits."""
        if len(self._waiting) < MOST_WAITING:
            self._waiting.append(traced)
        else:
            self._lost += 1

    def close(self) -> None:
        """Send the rest."""
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(_EVERY_S):
            self._send_all()
        self._send_all()

    def _send_all(self) -> None:
        lost, self._lost = self._lost, 0
        if lost:
            _log.warning("%d requests were not traced: too many were waiting", lost)
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(_BATCH, len(self._waiting)))]
            spans = [span for traced in batch for span in _spans(traced)]
            if spans and not self._send(spans):
                return

    def _send(self, spans: list[dict[str, Any]]) -> bool:
        scope = {"scope": {"name": "clary"}, "spans": spans}
        body = to_json({"resourceSpans": [{"resource": _RESOURCE, "scopeSpans": [scope]}]})
        request = urllib.request.Request(  # noqa: S310 - the scheme is checked above
            self._url, body, {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_S):  # noqa: S310 - as above
                return True
        except (OSError, ValueError) as error:
            _log.warning(
                "%d spans are lost: %s does not take them: %s", len(spans), self._url, error
            )
            return False


def _spans(traced: Traced) -> Iterator[dict[str, Any]]:
    """Write a request's two spans: all of it, and the model's part."""
    context = read_parent(traced.parent)
    if context is None:
        return
    own = secrets.token_hex(8)
    attributes = {
        "clary.endpoint": traced.endpoint.name,
        "clary.variant": traced.variant,
        "clary.account": traced.endpoint.account,
        "cloud.region": traced.endpoint.region,
    }
    shared = {
        "traceId": context.trace,
        "endTimeUnixNano": str(traced.ended_ns),
        "attributes": [
            *({"key": key, "value": {"stringValue": text}} for key, text in attributes.items()),
            {"key": "http.response.status_code", "value": {"intValue": str(traced.status)}},
        ],
        "status": {"code": _ERROR if traced.status >= 500 else _OK},
    }
    yield {
        **shared,
        "spanId": own,
        **({"parentSpanId": context.parent} if context.parent else {}),
        "name": f"invoke {traced.endpoint.name}",
        "kind": _SERVER,
        "startTimeUnixNano": str(traced.began_ns),
    }
    yield {
        **shared,
        "spanId": secrets.token_hex(8),
        "parentSpanId": own,
        "name": f"model {traced.variant}",
        "kind": _CLIENT,
        "startTimeUnixNano": str(traced.asked_ns),
    }
