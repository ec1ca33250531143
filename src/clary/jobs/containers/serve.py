"""Serves a model over a unix socket: one request at a time, from any number of connections.

The socket ``run/serve.sock`` is there once the model is loaded. On ``run/beat.sock`` a thread of
its own says at any time what the worker is at.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import sys
import threading
import time
import traceback
from pathlib import Path

import frames
from job_files import ROOT, JobError, run
from serving import Context, Refused, load_handler

_RUN = ROOT / "run"
_PATIENCE_S = 60.0
"""How long a connection may take for the rest of a frame, or to take a piece of an answer."""
_LONGEST_WORDS = 1024


class Worker:
    """Answers requests with a handler, in the main thread."""

    def __init__(self):
        self.served = 0
        self.since = self.asked_at = time.monotonic()
        self.is_busy = False
        self.is_leaving = False

    def beat(self):
        """Say for how long the present request has got nothing, or how old the last one is."""
        now = time.monotonic()
        busy = now - self.since if self.is_busy else 0.0
        idle = 0.0 if self.is_busy else now - self.asked_at
        return {"served": self.served, "busy_s": busy, "idle_s": idle}

    def go_on(self):
        """Take note that a piece of the present answer was sent."""
        self.since = time.monotonic()

    def leave(self, *_):
        """End after the request that is under way, if there is one."""
        self.is_leaving = True
        if not self.is_busy:
            os._exit(0)

    def serve(self, listener, handler):
        """Answer until the process is asked to end."""
        self.asked_at = time.monotonic()
        waiting = selectors.DefaultSelector()
        waiting.register(listener, selectors.EVENT_READ)
        while not self.is_leaving:
            for key, _ in waiting.select():
                if key.fileobj is listener:
                    connection, _ = listener.accept()
                    connection.settimeout(_PATIENCE_S)
                    waiting.register(connection, selectors.EVENT_READ)
                elif not self.turn(key.fileobj, handler):
                    waiting.unregister(key.fileobj)
                    key.fileobj.close()

    def turn(self, connection, handler):
        """Answer the next request of a connection; False when there will be no more of it."""
        self.since = self.asked_at = time.monotonic()
        self.is_busy = True
        try:
            asked = frames.receive(connection)
            if asked is None:
                return False
            answer(connection, handler, *asked, self.go_on)
            self.served += 1
        except (OSError, ValueError) as error:
            print(f"a connection was lost: {error}", flush=True)
            return False
        finally:
            self.is_busy = False
        return True


def answer(connection, handler, header, body, sent):
    """Answer one request; whatever the model does wrong is an answer too.

    ``sent`` is called after each piece of a streamed answer.
    """
    if header.get("op") == "ping":
        return frames.send(connection, {"status": 200})
    context = Context(header)
    begun = False
    try:
        result, kind = handler(body, header.get("type", ""), header.get("accept", ""), context)
        told = {"status": 200, "type": kind, "attributes": context.answered}
        if isinstance(result, bytes):
            if len(result) > frames.LARGEST_BODY:
                problem = f"the answer has {len(result)} bytes, over {frames.LARGEST_BODY}"
                told = {"status": 500, "error": problem}
                result = b""
            return frames.send(connection, told, result)
        begun = True
        return stream(connection, told, result, sent)
    except OSError as error:
        if begun and isinstance(error, (ConnectionError, socket.timeout)):
            raise
        told = failure(error)
    except BaseException as error:  # a script's sys.exit too: the worker lives
        told = failure(error)
    return frames.send(connection, told)


def stream(connection, told, pieces, sent):
    """Send pieces as they come, a frame each, and an end."""
    for piece in pieces:
        data = piece.encode() if isinstance(piece, str) else bytes(piece)
        for start in range(0, len(data), frames.PIECE):
            frames.send(connection, {**told, "more": True}, data[start : start + frames.PIECE])
            sent()
    frames.send(connection, {**told, "end": True})


def failure(error):
    """Say what went wrong as the header of an answer; the traceback goes to the log."""
    if isinstance(error, Refused):
        if error.status == 204:
            return {"status": 204}
        status, words = error.status, str(error)
    else:
        traceback.print_exception(type(error), error, error.__traceback__)
        status = 500
        error.__notes__ = []  # they are printed; the last line is to be the error itself
        words = traceback.format_exception_only(type(error), error)[-1].strip()
    sys.stdout.flush()
    return {"status": status, "error": words[:_LONGEST_WORDS]}


def listen(name):
    """Return a listening socket, visible under its name once it listens."""
    _RUN.mkdir(mode=0o700, exist_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    here = Path.cwd()
    os.chdir(_RUN)  # a socket's path may have 108 bytes
    try:
        listener.bind(f"{name}.new")
        listener.listen(128)
        Path(f"{name}.new").rename(name)
    finally:
        os.chdir(here)
    return listener


def beats(listener, worker):
    """Say on each connection what the worker is at."""
    while True:
        connection, _ = listener.accept()
        with connection:
            try:
                connection.settimeout(1.0)
                connection.sendall(json.dumps(worker.beat()).encode())
            except OSError:
                continue  # who asked has gone


def spare_threads():
    """Have numeric libraries use one thread: the machine is shared by many workers."""
    try:
        import threadpoolctl  # noqa: PLC0415 - not every environment has it
    except ImportError:
        return
    threadpoolctl.threadpool_limits(int(os.environ.get("OMP_NUM_THREADS") or 1))


def main():
    """Load the model, then serve it."""
    worker = Worker()
    worker.is_busy = True
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    handler = load_handler(os.environ.get("CLARY_FRAMEWORK", ""))
    spare_threads()
    worker.is_busy = False
    signal.signal(signal.SIGTERM, worker.leave)
    listener = listen("serve.sock")
    threading.Thread(target=beats, args=(listen("beat.sock"), worker), daemon=True).start()
    worker.serve(listener, handler)
    os._exit(0)


if __name__ == "__main__":
    try:
        run(main)
    except JobError:
        os._exit(1)
