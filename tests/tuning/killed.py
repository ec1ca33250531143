"""Runs tuning jobs in child processes that are killed, and says what is left: one JSON line each.

Usage: killed.py DIRECTORY PARALLEL POINT... where a point is ``<transaction>.<moment>`` (0: before
it, 1: inside it, before the commit, 2: after it).
"""

import json
import os
import signal
import sys
from contextlib import contextmanager
from itertools import count
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.tuning import conftest
from tests.tuning.conftest import REF, request

from clary.adapters.sqlite import SqliteStore
from clary.kernel.resource import Query
from clary.kernel.work import Worker
from clary.tuning import model

MOST = 4


class Mortal(SqliteStore):
    """Kills its process at one moment of one transaction."""

    def __init__(self, path, point):
        super().__init__(path)
        self._point = point
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
        if self._point == f"{number}.{moment}":
            os.kill(os.getpid(), signal.SIGKILL)


def opened(path, point):
    return conftest.opened(path.parent, Mortal(path, point))


def live(path, point):
    """Work until the tuning job has ended, in a child; dies at ``point``."""
    bench = opened(path, point)

    def train(resource, stopping):
        if resource.status == "InProgress":
            bench.train(resource)

    handlers = {model.TUNING: bench.tuning.run, "training-job": train}
    worker = Worker(bench.store, handlers, {"training-job": 2}, lease_s=0.2, poll_s=0.01)
    worker.start()
    while bench.store.get(REF).status not in model.ENDED:
        bench.store.wait(0.02)
    worker.stop()


def fork(path, point):
    child = os.fork()
    if child == 0:
        try:
            live(path, point)
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def outcome(path):
    bench = opened(path, "never")
    described = bench.tuning.describe(REF)
    trials = bench.trials()
    jobs = bench.store.select(Query("training-job", limit=1000)).items
    created = [one for one in bench.store.events() if one.action == "training-job.created"]
    found = {
        "status": described["HyperParameterTuningJobStatus"],
        "counters": described["TrainingJobStatusCounters"],
        "objectives": described["ObjectiveStatusCounters"],
        "tried": [one["TunedHyperParameters"] for one in trials],
        "jobs": len(jobs),
        "created": len(created),
        "numbers": sorted(one["TrainingJobName"].split("-")[1] for one in trials),
        "best": described["BestTrainingJob"]["TunedHyperParameters"],
        "ended": [one.action for one in bench.store.events() if one.ref == REF][-1],
    }
    bench.store.close()
    return found


def main(directory, parallel, points):
    for point in points:
        path = Path(directory) / point / "metadata.db"
        bench = opened(path, "never")
        bench.create(request(MOST, int(parallel), Strategy="Bayesian"))
        bench.store.close()
        killed = fork(path, point)
        fork(path, "never")
        print(json.dumps({"point": point, "killed": killed, **outcome(path)}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
