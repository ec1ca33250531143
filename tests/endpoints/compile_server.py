"""A server that kills itself: ``python -m tests.endpoints.compile_server HOME POINT``.

POINT is ``runner.start`` or the like, for the end of the first such call, or ``before`` or
``after`` the transaction that ends a compilation.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

from tests.endpoints.compile_world import World


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def arm_transactions(store, point):
    begin = store.begin

    @contextmanager
    def dying(**durability):
        with begin(**durability) as change:
            yield change
            if point == "before":
                die()
        die()

    store.begin = dying


def arm_call(thing, name):
    call = getattr(thing, name)

    def dying(*arguments, **named):
        call(*arguments, **named)
        die()

    setattr(thing, name, dying)


def main():
    home, point = Path(sys.argv[1]), sys.argv[2]
    world = World(home, lease_s=0.5)
    thing, _, name = point.partition(".")
    if name:
        arm_call(getattr(world, thing), name)
    else:
        arm_transactions(world.store, point)
    world.new_worker().start()
    print("ready", flush=True)
    threading.Event().wait(120)


if __name__ == "__main__":
    main()
