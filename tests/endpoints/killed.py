"""Leads an endpoint through its life in child processes that are killed; one JSON line a point.

Usage: killed.py DIRECTORY POINT... where a point is ``<transaction>.<moment>`` (0: before it, 1:
inside it, before the commit, 2: after it).
"""

import json
import os
import signal
import sys
from collections import Counter
from contextlib import contextmanager
from itertools import count
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.endpoints import fleet_world
from tests.endpoints.endpoint_world import BROKEN, EndpointWorld

from clary.adapters.sqlite import SqliteStore
from clary.endpoints.model import FLEET
from clary.kernel.clock import now
from clary.kernel.resource import Bucket

DRAIN_S = 0.05
"""Nobody asks, so nobody is waited for."""


class Mortal(SqliteStore):
    """Kills its process at one moment of one transaction."""

    point = "never"

    def __init__(self, path):
        super().__init__(path)
        self._count = count()

    @contextmanager
    def begin(self, **options):
        number = next(self._count)
        self._die(number, 0)
        with super().begin(**options) as transaction:
            yield transaction
            self._die(number, 1)
        self._die(number, 2)

    def _die(self, number, moment):
        if self.point == f"{number}.{moment}":
            os.kill(os.getpid(), signal.SIGKILL)


def prepare(home):
    world = EndpointWorld(home)
    world.objects.create_bucket(
        Bucket(fleet_world.BUCKET, fleet_world.ACCOUNT, fleet_world.REGION, now())
    )
    world.model("one")
    world.model("two")
    world.model("bad", BROKEN)
    for name in ("one", "two", "bad"):
        world.config(name, name)
    world.store.close()


def live(home, point):
    """Create, update badly, update well, delete: whatever of that has not been asked for yet."""
    Mortal.point = point
    fleet_world.SqliteStore = Mortal
    world = EndpointWorld(home, lease_s=0.2, drain_s=DRAIN_S)
    world.worker.start()
    for number, ask in enumerate(
        (
            lambda: world.endpoint("one"),
            lambda: world.update("bad"),
            lambda: world.update("two"),
            lambda: world.endpoints.delete(world.named("endpoint", "shop"), actor="ada"),
        )
    ):
        asked = [x for x in world.actions() if x in {"created", "updating", "deleting"}]
        if len(asked) <= number:
            ask()
        world.settled()
    while world.fleets_left():
        world.store.wait(0.02)
    world.worker.stop()


def fork(home, point):
    child = os.fork()
    if child == 0:
        code = 1
        try:
            live(home, point)
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status), status == 0


def outcome(home):
    world = EndpointWorld(home)
    fleets = Counter(one.action for one in world.store.events() if one.ref.kind == FLEET)
    left = [path.name for path in world.runner._root.iterdir() if not path.name.startswith(".")]
    found = {
        "actions": world.actions(),
        "fleets": [fleets[f"{FLEET}.created"], fleets[f"{FLEET}.deleted"]],
        "left": left,
        "is_there": world.held() is not None,
    }
    for name in left:
        world.runner.discard(name)
    world.store.close()
    return found


def main(directory, points):
    for point in points:
        home = Path(directory) / point
        home.mkdir()
        prepare(home)
        killed, _ = fork(home, point)
        _, done = fork(home, "never")
        line = {"point": point, "killed": killed, "done": done, **outcome(home)}
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
