"""Answers asynchronous requests of a home until none is left, or until a moment kills the process.

Usage: killed_async.py HOME MOMENT, where a moment is ``before-put``, ``after-put``, ``before-end``,
``in-end``, ``after-end`` (the transaction that ends a request) or ``never``.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

from clary.adapters.files import FileObjects
from clary.adapters.sqlite import SqliteStore
from clary.config import Config
from clary.endpoints.asynchronous import INVOCATION
from clary.kernel.resource import Query
from clary.platform import open_platform

MOMENT = sys.argv[2] if __name__ == "__main__" else ""


def die(moment):
    if moment == MOMENT and threading.current_thread().name == INVOCATION:
        os.kill(os.getpid(), signal.SIGKILL)


def put(self, *args, _put=FileObjects.put, **kwargs):
    die("before-put")
    made = _put(self, *args, **kwargs)
    die("after-put")
    return made


@contextmanager
def begin(self, *, durable=True, _begin=SqliteStore.begin):
    die("before-end")
    with _begin(self, durable=durable) as transaction:
        yield transaction
        die("in-end")
    die("after-end")


def main(home):
    FileObjects.put, SqliteStore.begin = put, begin
    platform = open_platform(Config(home=Path(home), lease_s=0.5))
    platform.worker.start()
    while platform.store.select(Query(INVOCATION, limit=1)).items:
        time.sleep(0.01)
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1])
