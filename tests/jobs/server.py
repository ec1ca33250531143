"""A server of jobs, for tests that kill it: ``python -m tests.jobs.server HOME POINT``.

POINT says where it kills itself: ``before:2`` or ``after:2`` of its second transaction of a job,
``start``, ``put`` or ``discard`` at the end of the first such call.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

from tests.jobs.conftest import World


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def arm_transactions(store, side, number):
    begin = store.begin
    count = 0

    @contextmanager
    def counting(**durability):
        nonlocal count
        count += 1
        with begin(**durability) as change:
            yield change
            if (side, number) == ("before", count):
                die()
        if (side, number) == ("after", count):
            die()

    store.begin = counting


def arm_call(thing, name):
    call = getattr(thing, name)

    def dying(*arguments, **named):
        call(*arguments, **named)
        die()

    setattr(thing, name, dying)


def main():
    home, point = Path(sys.argv[1]), sys.argv[2]
    world = World(home, lease_s=0.5)
    side, _, number = point.partition(":")
    if number:
        arm_transactions(world.store, side, int(number))
    elif point == "put":
        arm_call(world.objects, "put")
    elif point in {"start", "discard"}:
        arm_call(world.runner, point)
    print("ready", flush=True)
    world.worker.start()
    threading.Event().wait(120)


if __name__ == "__main__":
    main()
