"""A load generator: some connections, each sending the next request when it has its answer.

``python load.py`` reads one JSON document from stdin: ``host``, ``port``, ``request`` (latin-1
text), ``connections``, and ``seconds`` or ``requests``; ``rate`` spaces requests evenly over all
connections. It writes one: ``answered``, ``failed``, ``p50_ms``, ``p99_ms``, ``took_s``, and the
first failure.
"""

from __future__ import annotations

import json
import selectors
import socket
import sys
import time
from array import array
from typing import Any


class Connection:
    """One kept connection with one request under way at most."""

    def __init__(self, to: tuple[str, int], request: bytes) -> None:
        self.socket = socket.create_connection(to)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._request = request
        self._data = b""
        self.sent = 0.0

    def send(self) -> None:
        """Send the request."""
        self._data = b""
        self.sent = time.perf_counter()
        self.socket.sendall(self._request)

    def receive(self) -> bytes | None:
        """Read what has come; return the answer's head when the answer is whole."""
        more = self.socket.recv(1 << 16)
        if not more:
            return b"the server closed the connection"
        self._data += more
        head, separator, body = self._data.partition(b"\r\n\r\n")
        if not separator:
            return None
        lower = head.lower()
        if b"content-length:" in lower:
            length = int(lower.partition(b"content-length:")[2].split(b"\r\n", 1)[0])
            return head if len(body) >= length else None
        return head if body.endswith(b"0\r\n\r\n") else None


class Load:
    """What is sent until a time or a number of requests."""

    def __init__(self, given: dict[str, Any]) -> None:
        to = (given["host"], given["port"])
        request = given["request"].encode("latin-1")
        self._idle = [Connection(to, request) for _ in range(given["connections"])]
        self._count = len(self._idle)
        self._most = given.get("requests") or sys.maxsize
        self._seconds = given.get("seconds", 3600)
        self._gap_s = 1 / given["rate"] if given.get("rate") else 0.0
        self._poll = selectors.DefaultSelector()
        for line in self._idle:
            self._poll.register(line.socket, selectors.EVENT_READ, line)
        self._sent = self.failed = 0
        self.first_failure = ""
        self.took = array("d")
        self.began = time.perf_counter()

    def run(self) -> None:
        """Send, and return when the last answer has come."""
        while self._send() or len(self._idle) < self._count:
            self._receive()

    def _is_over(self) -> bool:
        return self._sent >= self._most or time.perf_counter() - self.began >= self._seconds

    def _ahead_s(self) -> float:
        """How long the next request is still to wait."""
        return self.began + self._sent * self._gap_s - time.perf_counter() if self._gap_s else 0.0

    def _send(self) -> bool:
        while self._idle and not self._is_over() and self._ahead_s() <= 0:
            self._idle.pop().send()
            self._sent += 1
        return not self._is_over()

    def _receive(self) -> None:
        for key, _ in self._poll.select(max(0.0, self._ahead_s()) if self._idle else 30.0):
            line = key.data
            head = line.receive()
            if head is None:
                continue
            self.took.append(time.perf_counter() - line.sent)
            if not head.startswith((b"HTTP/1.1 200", b"HTTP/1.0 200")):
                self.failed += 1
                self.first_failure = self.first_failure or head.decode("latin-1")
            self._idle.append(line)


def main() -> None:
    """Load a server and say how it bore it."""
    load = Load(json.load(sys.stdin))
    load.run()
    ordered = sorted(load.took)
    json.dump(
        {
            "answered": len(ordered) - load.failed,
            "failed": load.failed,
            "first_failure": load.first_failure,
            "p50_ms": ordered[len(ordered) // 2] * 1000,
            "p99_ms": ordered[int(len(ordered) * 0.99)] * 1000,
            "took_s": time.perf_counter() - load.began,
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main()
