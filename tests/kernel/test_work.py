import itertools
import subprocess
import sys
import threading
from dataclasses import replace
from datetime import timedelta

import pytest

from clary.adapters.sqlite import SqliteStore
from clary.kernel.clock import now
from clary.kernel.errors import Conflict
from clary.kernel.work import Worker
from clary.testing.stored import a_kind, a_ref, a_resource

PATIENCE_S = 60.0


@pytest.fixture
def store(tmp_path):
    store = SqliteStore(tmp_path / "metadata.db")
    yield store
    store.close()


@pytest.fixture
def work(store):
    """Start workers that end with the test."""
    workers = []

    def start(handlers, slots=None, **settings):
        workers.append(Worker(settings.pop("queue", store), handlers, slots or {}, **settings))
        workers[-1].start()
        return workers[-1]

    yield start
    for worker in workers:
        assert stop(store, worker)


def stop(store, worker):
    """Stop it, with changes that end its wait for one, however long it polls."""
    ended = []
    thread = threading.Thread(target=lambda: ended.append(worker.stop(PATIENCE_S)))
    thread.start()
    until(lambda: wake(store, a_ref()) or not thread.is_alive())
    return ended[0]


def queue(store, kind, count=1, due=True):
    with store.begin() as transaction:
        return [
            transaction.insert(a_resource(a_ref(kind=kind), body={"n": 0}), due=due).ref
            for _ in range(count)
        ]


def wake(store, ref):
    with store.begin() as transaction:
        transaction.wake(ref)


def until(condition):
    """Wait for a condition; the time limit of the test is the patience."""
    while not condition():
        threading.Event().wait(0.005)


def test_every_due_resource_is_run_once(store, work):
    kinds = [a_kind(), a_kind()]
    refs = [ref for kind in kinds for ref in queue(store, kind, 20)]
    done = []
    work(dict.fromkeys(kinds, lambda resource, _: done.append(resource.ref)), {kinds[0]: 3})
    until(lambda: len(done) == 40)
    assert sorted(done) == sorted(refs)


def test_slots_bound_what_runs_at_once(store, work):
    kind, lock = a_kind(), threading.Lock()
    running, most, done = 0, 0, []

    def handler(resource, _):
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        if len(done) < 3:
            full.wait(PATIENCE_S)
        with lock:
            running -= 1
        done.append(resource.ref)

    full = threading.Barrier(3)
    queue(store, kind, 12)
    work({kind: handler}, {kind: 3})
    until(lambda: len(done) == 12)
    assert most == 3


def test_a_busy_kind_does_not_hold_up_another(store, work):
    slow, fast, go, done = a_kind(), a_kind(), threading.Event(), []

    def wait(*_):
        go.wait(PATIENCE_S)

    queue(store, slow, 5)
    work({slow: wait, fast: lambda resource, _: done.append(resource.ref)})
    refs = queue(store, fast, 5)
    until(lambda: len(done) == 5)
    go.set()
    assert done == refs


def test_a_handler_says_when_to_look_again(store, work):
    kind, times = a_kind(), []

    def handler(_, __):
        times.append(now())
        return now() + timedelta(seconds=0.05) if len(times) < 3 else None

    queue(store, kind)
    work({kind: handler}, poll_s=0.01)
    until(lambda: len(times) == 3)
    assert all(b - a >= timedelta(seconds=0.05) for a, b in itertools.pairwise(times))


def test_no_wake_is_lost(store, work):
    kind, seen = a_kind(), 0
    (ref,) = queue(store, kind)

    def handler(resource, _):
        nonlocal seen
        seen = resource.body["n"]

    def add():
        for _ in range(50):
            while True:
                try:
                    with store.begin() as transaction:
                        read = transaction.get(ref)
                        transaction.update(replace(read, body={"n": read.body["n"] + 1}))
                        transaction.wake(ref)
                    break
                except Conflict:
                    continue

    work({kind: handler}, poll_s=3600.0)
    adders = [threading.Thread(target=add) for _ in range(4)]
    for adder in adders:
        adder.start()
    until(lambda: seen == 200)


def test_a_change_is_seen_without_polling(store, work):
    kind, done = a_kind(), []
    work({kind: lambda resource, _: done.append(resource.ref)}, poll_s=3600.0)
    for number in range(30):
        queue(store, kind)
        until(lambda number=number: len(done) == number + 1)


def test_what_fails_is_tried_again_later_and_holds_up_nobody(store, work, caplog):
    kind, times, done = a_kind(), [], []
    (bad,) = queue(store, kind)

    def handler(resource, _):
        if resource.ref == bad and len(times) < 3:
            times.append(now())
            wake(store, bad)  # or else it would be tried even later
            raise ZeroDivisionError
        done.append(resource.ref)

    work({kind: handler}, poll_s=0.01)
    until(lambda: times)
    others = queue(store, kind, 10)
    until(lambda: len(done) == 10)
    assert done == others
    until(lambda: bad in done)
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert gaps[0] >= timedelta(seconds=0.5)
    assert gaps[1] >= timedelta(seconds=1)
    assert "ZeroDivisionError" in caplog.text


def test_a_conflict_is_tried_again_at_once_but_only_once(store, work):
    kind, times = a_kind(), []

    def handler(*_):
        times.append(now())
        if len(times) < 3:
            raise Conflict("somebody was faster")

    queue(store, kind)
    work({kind: handler}, poll_s=3600.0)
    until(lambda: len(times) >= 2)
    wake(store, a_ref())
    assert len(times) == 2


def test_a_handler_that_exits_is_tried_again(store, work):
    kind, tries = a_kind(), []

    def handler(*_):
        tries.append(1)
        if len(tries) == 1:
            sys.exit("a bad idea")

    queue(store, kind)
    work({kind: handler}, poll_s=0.01)
    until(lambda: len(tries) == 2)


def test_leases_are_renewed_while_handlers_run(store, work):
    kind, started, other = a_kind(), [], []
    over = threading.Event()

    def handler(*_):
        started.append(now())
        over.wait(PATIENCE_S)

    queue(store, kind)
    work({kind: handler}, lease_s=0.6)
    until(lambda: started)
    work({kind: lambda *_: other.append(now())}, poll_s=0.01)
    until(lambda: now() - started[0] > timedelta(seconds=1.5))
    over.set()
    assert other == []


def test_stop_waits_for_handlers_and_gives_back_what_they_held(store, work):
    kind, ended, before = a_kind(), [], set(threading.enumerate())

    def handler(_, stopping):
        stopping.wait()
        ended.append(now())
        return now() + timedelta(hours=1)

    refs = queue(store, kind, 3)
    worker = work({kind: handler}, {kind: 2}, lease_s=600.0)
    until(lambda: len(worker._threads) == 2)
    assert worker.stop(PATIENCE_S)
    assert len(ended) == 2
    own = [one for one in threading.enumerate() if one not in before]
    until(lambda: not any(one.is_alive() for one in own if one.name.startswith("work")))
    assert {store.claim([kind], "next", 600.0).resource.ref for _ in refs} == set(refs)


def test_stop_says_when_a_handler_does_not_end(store, work):
    kind, started, over = a_kind(), threading.Event(), threading.Event()
    queue(store, kind)
    worker = work({kind: lambda *_: started.set() or over.wait(PATIENCE_S)}, lease_s=0.2)
    started.wait()
    assert not worker.stop(0.01)
    passed = now() + timedelta(seconds=0.4)
    until(lambda: now() > passed)
    assert store.claim([kind], "next", 600.0) is None
    over.set()
    assert worker.stop(PATIENCE_S)
    assert store.claim([kind], "next", 600.0)


def test_a_worker_that_never_started_stops(store):
    assert Worker(store, {}, {}).stop()


class Flaky(SqliteStore):
    """A real store whose disk fails now and then, as the test says."""

    failures = 0

    def release(self, claim, due_at):
        if self.failures:
            self.failures -= 1
            raise OSError("no space left on device")
        super().release(claim, due_at)

    def claim(self, kinds, owner, lease_s):
        if self.failures:
            self.failures -= 1
            raise OSError("no space left on device")
        return super().claim(kinds, owner, lease_s)


def test_a_store_that_fails_for_a_while_loses_nothing(tmp_path, work, store, caplog):
    flaky, kind, done = Flaky(tmp_path / "metadata.db"), a_kind(), []

    def handler(resource, _):
        done.append(resource.ref)
        if len(done) == 1:
            flaky.failures = 2
            return now()
        return None

    queue(store, kind)
    work({kind: handler}, queue=flaky, poll_s=0.01)
    until(lambda: len(done) == 2)
    assert "no space left" in caplog.text


CHILD = """
import sys, threading
from pathlib import Path
from clary.adapters.sqlite import SqliteStore
from clary.kernel.work import Worker

def handler(resource, stopping):
    print("holds", flush=True)
    threading.Event().wait()

Worker(SqliteStore(Path(sys.argv[1])), {sys.argv[2]: handler}, {}, lease_s=1.0).start()
threading.Event().wait()
"""


def test_the_work_of_a_killed_process_goes_on_in_another(store, work, tmp_path):
    kind, done = a_kind(), []
    (ref,) = queue(store, kind)
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, tmp_path / "metadata.db", kind], stdout=subprocess.PIPE
    )
    assert child.stdout.readline() == b"holds\n"
    work({kind: lambda resource, _: done.append(resource.ref)}, poll_s=0.01)
    child.kill()
    child.wait()
    until(lambda: done)
    assert done == [ref]
