"""Messages on a real store: each in one pair of hands at a time, and none lost."""

import threading
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest

from clary.adapters.sqlite import SqliteStore
from clary.kernel.clock import now
from clary.kernel.codec import plain
from clary.kernel.errors import NotFound
from clary.kernel.names import Ref
from clary.queues.model import QUEUE, Draft
from clary.queues.service import Queues

REF = Ref("123456789012", "us-east-1", QUEUE, "work")


@pytest.fixture
def store(tmp_path):
    store = SqliteStore(tmp_path / "metadata.db")
    yield store
    store.close()


@pytest.fixture
def queues(store):
    made = Queues(store, store)
    made.create(REF, {}, actor="ada")
    return made


def test_many_receivers_share_the_messages(queues):
    for number in range(60):
        queues.messages.send(REF, Draft(str(number)), actor="ada")
    found, lock = Counter(), threading.Lock()

    def work():
        while received := queues.messages.receive(REF, limit=3):
            with lock:
                found.update(one.message.text for one in received)
            for one in received:
                queues.messages.remove(REF, one.handle)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == Counter(map(str, range(60)))
    assert queues.counts(REF).visible == 0


def test_the_oldest_comes_first(queues):
    for text in "abc":
        queues.messages.send(REF, Draft(text), actor="ada")
    received = queues.messages.receive(REF, limit=10)
    assert [one.message.text for one in received] == ["a", "b", "c"]


def test_a_message_belongs_to_the_change_that_sends_it(queues, store):
    def send_and_fail():
        with store.begin() as transaction:
            queues.messages.send(REF, Draft("never"), actor="ada", transaction=transaction)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        send_and_fail()
    assert queues.messages.receive(REF) == ()


def test_what_is_too_old_is_gone(queues, store):
    queues.update(REF, {"MessageRetentionPeriod": "60"}, actor="ada")
    queues.messages.send(REF, Draft("old"), actor="ada")
    queues.messages.send(REF, Draft("new"), actor="ada")
    (old, _) = queues.messages.all(REF)
    sent_at = plain(now() - timedelta(seconds=61))
    with store.begin() as transaction:
        transaction.update(replace(old, body={**old.body, "sent_at": sent_at}))
    (received,) = queues.messages.receive(REF, limit=10)
    assert received.message.text == "new"
    assert [one.body["text"] for one in queues.messages.all(REF)] == ["new"]


def test_whoever_waits_at_a_queue_that_goes_is_told(queues):
    failed = []

    def wait():
        try:
            queues.messages.receive(REF, wait_s=20)
        except NotFound as error:
            failed.append(error)

    waiting = threading.Thread(target=wait)
    waiting.start()
    queues.delete(REF, actor="ada")
    waiting.join(20)
    assert len(failed) == 1
