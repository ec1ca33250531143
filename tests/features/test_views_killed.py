"""Workers that keep a view fresh are killed at any moment: every row counts once."""

import os
import random
import signal
import subprocess
import sys
from datetime import UTC, datetime

from tests.features.test_views import DEFINITION, HOUR, NOW, World

PROGRAM = """
import sys
from pathlib import Path
from clary.config import Config
from clary.platform import open_platform

platform = open_platform(Config(home=Path(sys.argv[1]), lease_s=1.0))
platform.worker.start()
print("works", flush=True)
sys.stdin.read()
"""


def test_every_row_counts_once(tmp_path):
    random.seed(11)
    world = World(tmp_path / "home").make()
    view = world.define()
    for _ in range(2):
        worker = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(tmp_path / "home")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert worker.stdout.readline() == b"works\n"
        for _ in range(random.randint(5, 60)):
            world.put(
                "payments",
                id=random.randint(1, 3),
                at=NOW - random.randint(0, 500) * HOUR,
                amount=random.choice([0.1, 0.7, 1e16, -1e16]),
                shop=random.choice("abc"),
            )
        os.kill(worker.pid, signal.SIGKILL)
        worker.communicate()
    world.refresh(view)
    at = datetime.now(UTC)
    rows = [{"id": key, "t": at, "amount": 1.0} for key in (1, 2, 3)]
    found = world.batch(view, "all", rows).to_pylist()
    for row, cells in zip(rows, found, strict=True):
        at_us = int(at.timestamp() * 1e6)
        [vector] = world.views.compute(view, [{"id": row["id"]}], [{"amount": 1.0}], at_us=at_us)
        assert vector == {name: cells[name] for name in DEFINITION["features"]}
    world.store.close()
