"""Sending OpenLineage events: to a file of JSON lines, or to an HTTP endpoint."""

from __future__ import annotations

import logging
import os
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import unquote, urlsplit

from clary.kernel.codec import to_json
from clary.kernel.errors import InvalidInput, Unavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clary.kernel.resource import Event
    from clary.lineage.open_lineage import RunEvents

_log = logging.getLogger(__name__)
_TIMEOUT_S = 10.0
_TRY_AGAIN = (408, 425, 429)
LEGAL = "file:///path/events.jsonl, http://host:port/api/v1/lineage or https://…"


class OpenLineage:
    """Follows the journal; implements ``kernel.journal.Sender``: every event at least once.

    Parameters
    ----------
    events
        Writes the events.
    url
        Where to: ``file:///…``, ``http://…`` or ``https://…``.

    Raises
    ------
    InvalidInput
        The URL is of another kind.
    """

    name = "openlineage"

    def __init__(self, events: RunEvents, url: str) -> None:
        self._events = events
        self._target = _target(url)

    def send(self, events: Sequence[Event]) -> None:
        """Send what the next lines stand for. Raises Unavailable; then they come again."""
        written = [found for event in events if (found := self._events.of(event)) is not None]
        if written:
            self._target.send([to_json(one) for one in written])


class _Target(Protocol):
    def send(self, documents: Sequence[bytes]) -> None:
        """Deliver documents in order. Raises Unavailable."""


class _File:
    """Appends a line for every document; what a crash tore apart is closed by a line's end."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def send(self, documents: Sequence[bytes]) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a+b") as file:
                end = file.seek(0, os.SEEK_END)
                file.seek(max(0, end - 1))
                torn = file.read(1) not in (b"", b"\n")
                file.write(b"\n" * torn + b"".join(one + b"\n" for one in documents))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise Unavailable(f"{self._path} cannot be written: {error}") from error


class _Endpoint:
    """Posts every document."""

    def __init__(self, url: str) -> None:
        self._url = url

    def send(self, documents: Sequence[bytes]) -> None:
        for document in documents:
            self._post(document)

    def _post(self, document: bytes) -> None:
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self._url, document, headers)  # noqa: S310 - http(s) only
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:  # noqa: S310 - ditto
                answer.read()
        except urllib.error.HTTPError as error:
            with error:
                if error.code >= 500 or error.code in _TRY_AGAIN:
                    raise Unavailable(f"{self._url} answers {error.code}") from error
                said = error.read(500).decode(errors="replace")
            _log.error("%s refuses an event with %d: %s", self._url, error.code, said)
        except OSError as error:
            raise Unavailable(f"{self._url} cannot be reached: {error}") from error


def _target(url: str) -> _Target:
    parts = urlsplit(url)
    if parts.scheme in ("http", "https") and parts.netloc:
        return _Endpoint(url)
    if parts.scheme == "file" and parts.netloc in ("", "localhost") and len(parts.path) > 1:
        return _File(Path(unquote(parts.path)))
    raise InvalidInput("openlineage", f"{url!r} is no place for events", legal=LEGAL)
