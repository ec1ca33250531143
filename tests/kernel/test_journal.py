import subprocess
import sys
import threading

import pytest

from clary.adapters.sqlite import SqliteStore
from clary.kernel.clock import now
from clary.kernel.journal import FOLLOWER, Journal
from clary.kernel.names import Ref
from clary.kernel.resource import Event, Resource
from clary.kernel.work import Worker

PATIENCE_S = 60.0
SUBJECT = Ref("123456789012", "us-east-1", "thing", "one")


@pytest.fixture
def store(tmp_path):
    store = SqliteStore(tmp_path / "metadata.db")
    yield store
    store.close()


class Copier:
    """Keeps what it was given as resources, so that the store shows what took effect."""

    name = "copier"

    def __init__(self, wanted=0):
        self.done = threading.Event()
        self._wanted = wanted

    def follow(self, events, transaction):
        for event in events:
            ref = SUBJECT.sibling("copy", event.action)
            transaction.insert(Resource(ref, {"id": event.id}, now(), now()))
            if event.id >= self._wanted:
                self.done.set()


def append(store, *actions):
    with store.begin() as transaction:
        for action in actions:
            transaction.append(Event(now(), "me", action, SUBJECT))


def position(store, name="copier"):
    return store.get(Ref("", "", FOLLOWER, name))


def run(store, journal, name="copier"):
    stopping = threading.Event()
    stopping.set()
    journal.run(position(store, name), stopping)


def copies(store):
    return [action for action in "abcdef" if store.get(SUBJECT.sibling("copy", action))]


def test_a_follower_gets_every_line_once(store):
    append(store, "a")
    journal = Journal(store, [Copier()])
    journal.install()
    run(store, journal)
    append(store, "b", "c")
    run(store, journal)
    run(store, journal)
    assert copies(store) == ["a", "b", "c"]
    assert position(store).body == {"after": 3}


def test_lines_are_given_again_after_a_failure_and_nothing_is_done_twice(store):
    class Fails(Copier):
        def follow(self, events, transaction):
            super().follow(events, transaction)
            raise OSError

    Journal(store, [Fails()]).install()
    append(store, "a", "b")
    with pytest.raises(OSError):
        run(store, Journal(store, [Fails()]))
    assert copies(store) == []
    run(store, Journal(store, [Copier()]))
    assert copies(store) == ["a", "b"]


def test_a_sender_gets_lines_again_when_it_failed(store):
    got = []

    class Sends:
        name = "sender"

        def send(self, events):
            got.extend(event.action for event in events)
            if len(got) == 2:
                raise ConnectionError

    journal = Journal(store, senders=[Sends()])
    journal.install()
    append(store, "a", "b")
    with pytest.raises(ConnectionError):
        run(store, journal, "sender")
    run(store, journal, "sender")
    run(store, journal, "sender")
    assert got == ["a", "b", "a", "b"]


def test_a_worker_is_called_when_the_journal_grows(store):
    copier = Copier(wanted=3)
    journal = Journal(store, [copier])
    journal.install()
    worker = Worker(store, {FOLLOWER: journal.run}, {})
    worker.start()
    for action in "abc":
        append(store, action)
    assert copier.done.wait(PATIENCE_S)
    assert worker.stop(PATIENCE_S)
    assert copies(store) == ["a", "b", "c"]


def test_a_position_of_an_unknown_reader_is_left_alone(store):
    Journal(store, [Copier()]).install()
    append(store, "a")
    run(store, Journal(store))
    assert position(store).body == {"after": 0}


KILLED = """
import os, signal, sys, threading
from pathlib import Path
from clary.adapters.sqlite import SqliteStore
from clary.kernel.journal import FOLLOWER, Journal
from clary.kernel.names import Ref
from test_journal import Copier

class Dies(Copier):
    def follow(self, events, transaction):
        super().follow(events, transaction)
        os.kill(os.getpid(), signal.SIGKILL)

store = SqliteStore(Path(sys.argv[1]))
Journal(store, [Dies()]).run(store.get(Ref("", "", FOLLOWER, "copier")), threading.Event())
"""


def test_a_kill_within_a_batch_loses_and_doubles_nothing(store, tmp_path):
    Journal(store, [Copier()]).install()
    append(store, "a", "b")
    here = __file__.rpartition("/")[0]
    died = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path / "metadata.db")],
        env={"PYTHONPATH": here},
        check=False,
    )
    assert died.returncode < 0
    assert copies(store) == []
    run(store, Journal(store, [Copier()]))
    assert copies(store) == ["a", "b"]
