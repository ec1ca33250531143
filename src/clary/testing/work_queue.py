"""What every ``WorkQueue`` promises; inherit the class and give it an ``opener``."""

from __future__ import annotations

import multiprocessing
import threading
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clary.kernel.clock import now
from clary.kernel.names import Ref
from clary.kernel.ports import MetadataStore, WorkQueue
from clary.testing.stored import a_kind, a_ref, a_resource

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

    from clary.kernel.resource import Claim, Resource

    Opener = Callable[[], "Store"]

_SPAWN = multiprocessing.get_context("spawn")
_LONG_S = 600.0
_OVER_S = 0.0
"""A lease that has run out when it begins."""
_STEPS = st.lists(
    st.tuples(st.sampled_from(["add", "wake", "claim", "forget", "again"]), st.integers(0, 2)),
    max_size=40,
)


class Store(MetadataStore, WorkQueue, Protocol):
    """The store whose resources are queued."""


class WorkQueueContract:
    """The suite; each test gets a store of its own."""

    @pytest.fixture
    def opener(self) -> Opener:
        """Give what opens the same store again, here or in another process (it is pickled)."""
        raise NotImplementedError

    @pytest.fixture
    def store(self, opener: Opener) -> Store:
        return opener()

    def test_only_what_is_due_is_claimed(self, store: Store) -> None:
        kind = a_kind()
        idle, due = queued(store, kind, due=False), queued(store, kind)
        queued(store, a_kind())
        claim = store.claim(["nothing", kind], "me", _LONG_S)
        assert claim is not None
        assert (claim.resource, claim.owner) == (due, "me")
        assert store.claim([kind], "you", _LONG_S) is None
        assert store.claim([], "you", _LONG_S) is None
        wake(store, idle.ref)
        assert claimed(store, kind) == idle.ref

    def test_a_transaction_that_fails_queues_nothing(self, store: Store) -> None:
        kind = a_kind()
        with pytest.raises(ZeroDivisionError), store.begin() as transaction:
            transaction.insert(a_resource(a_ref(kind=kind)), due=bool(1 // 0))
        assert store.claim([kind], "me", _LONG_S) is None

    def test_what_is_due_longest_comes_first(self, store: Store) -> None:
        kinds = [a_kind(), a_kind()]
        refs = [queued(store, kinds[n % 2], due=False).ref for n in range(6)]
        order = [refs[n] for n in (4, 1, 0, 3, 5, 2)]
        for ref in order:
            wake(store, ref)
        wake(store, order[1])  # is due already, and keeps its place
        assert [claimed(store, *kinds) for _ in order] == order
        assert store.claim(kinds, "me", _LONG_S) is None

    def test_a_release_says_when(self, store: Store) -> None:
        kind = a_kind()
        ref = queued(store, kind).ref
        store.release(claim_of(store, kind), now())
        store.release(claim_of(store, kind), now() + timedelta(hours=1))
        assert store.claim([kind], "me", _LONG_S) is None
        wake(store, ref)
        store.release(claim_of(store, kind), None)
        assert store.claim([kind], "me", _LONG_S) is None
        wake(store, ref)
        assert claimed(store, kind) == ref

    @pytest.mark.parametrize("hours", [None, 1], ids=["when-woken", "later"])
    def test_a_wake_during_work_is_not_lost(self, store: Store, hours: int | None) -> None:
        kind = a_kind()
        ref = queued(store, kind).ref
        claim = claim_of(store, kind)
        wake(store, ref)
        assert store.claim([kind], "you", _LONG_S) is None
        due_at = None if hours is None else now() + timedelta(hours=hours)
        store.release(claim, due_at)
        claim = claim_of(store, kind)
        store.release(claim, due_at)
        assert store.claim([kind], "you", _LONG_S) is None

    def test_waking_or_releasing_what_is_gone_changes_nothing(self, store: Store) -> None:
        kind = a_kind()
        wake(store, a_ref(kind=kind))
        ref = queued(store, kind).ref
        claim = claim_of(store, kind)
        with store.begin() as transaction:
            transaction.delete(ref)
        store.release(claim, now())
        assert store.claim([kind], "me", _LONG_S) is None
        assert store.get(ref) is None

    def test_updates_and_leases_do_not_meet(self, store: Store) -> None:
        kind = a_kind()
        resource = queued(store, kind)
        claim = claim_of(store, kind)
        store.renew("me", _LONG_S)
        wake(store, resource.ref)
        with store.begin() as transaction:
            changed = transaction.update(replace(resource, status="Changed"))
        assert store.claim([kind], "you", _LONG_S) is None
        store.release(claim, None)
        assert store.get(resource.ref) == changed
        assert claim_of(store, kind).resource == changed

    def test_a_lease_that_ran_out_is_taken_over(self, store: Store) -> None:
        kind = a_kind()
        ref = queued(store, kind).ref
        lost = claim_of(store, kind, owner="me", lease_s=_OVER_S)
        taken = claim_of(store, kind, owner="you")
        assert taken.resource.ref == ref
        store.release(lost, now())
        assert store.claim([kind], "she", _LONG_S) is None
        store.release(taken, now())
        assert claimed(store, kind) == ref

    def test_a_living_owner_does_not_take_over_from_itself(self, store: Store) -> None:
        kind = a_kind()
        queued(store, kind)
        claim_of(store, kind, owner="me", lease_s=_OVER_S)
        assert store.claim([kind], "me", _LONG_S) is None
        assert claim_of(store, kind, owner="you")

    def test_renewing_extends_the_own_leases_only(self, store: Store) -> None:
        kinds = [a_kind(), a_kind(), a_kind()]
        for kind, owner in zip(kinds, ["me", "me", "you"], strict=True):
            queued(store, kind)
            claim_of(store, kind, owner=owner, lease_s=_OVER_S)
        store.renew("me", _LONG_S)
        claim = store.claim(kinds, "she", _LONG_S)
        assert claim is not None
        assert claim.resource.ref.kind == kinds[2]
        assert store.claim(kinds, "she", _LONG_S) is None

    @settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(steps=_STEPS)
    def test_it_is_a_queue(self, store: Store, steps: list[tuple[str, int]]) -> None:
        kind = a_kind()
        model = _Model([])
        for verb, number in steps:
            ref = Ref("1", "r", kind, str(number))
            if verb == "add" and ref not in model.known:
                queued(store, kind, ref=ref)
            elif verb == "wake":
                wake(store, ref)
            elif verb == "claim":
                claim = store.claim([kind], "me", _LONG_S)
                assert (claim and claim.resource.ref) == model.next()
                if claim:
                    model.held[claim.resource.ref] = claim
                continue
            elif verb in {"forget", "again"} and ref in model.held:
                store.release(model.held[ref], now() if verb == "again" else None)
            model.step(verb, ref)
        for ref in model.due:
            assert claimed(store, kind) == ref
        assert store.claim([kind], "me", _LONG_S) is None

    def test_a_crowd_does_everything_once(self, store: Store, opener: Opener) -> None:
        kind = a_kind()
        children = []
        for number in range(2):
            ours, theirs = _SPAWN.Pipe()
            _SPAWN.Process(target=_work_off, args=(opener, kind, str(number), theirs)).start()
            theirs.close()
            assert ours.recv() == "ready"
            children.append(ours)
        refs = {queued(store, kind).ref for _ in range(60)}
        done: list[Ref] = []
        for child in children:
            child.send("go")
        threads = [
            threading.Thread(target=work_off, args=(store, kind, f"thread {n}", done.append))
            for n in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for child in children:
            done += child.recv()
        assert len(done) == 60
        assert set(done) == refs

    def test_the_work_of_the_killed_goes_on(self, store: Store, opener: Opener) -> None:
        kind = a_kind()
        ref = queued(store, kind).ref
        reading, writing = _SPAWN.Pipe(duplex=False)
        child = _SPAWN.Process(target=_hold, args=(opener, kind, writing))
        child.start()
        assert reading.recv() == ref
        assert store.claim([kind], "me", _LONG_S) is None
        child.kill()
        child.join()
        claim = None
        while claim is None:
            store.wait(0.05)
            claim = store.claim([kind], "me", _LONG_S)
        assert claim.resource.ref == ref

    def test_waiting_ends_with_a_change(self, store: Store) -> None:
        kind = a_kind()
        assert store.claim([kind], "me", _LONG_S) is None
        queued(store, kind)
        store.wait(_LONG_S)  # the change came between the claim and this
        claim = claim_of(store, kind)
        waiter = threading.Thread(target=store.wait, args=(_LONG_S,), daemon=True)
        waiter.start()
        while waiter.is_alive():
            wake(store, claim.resource.ref)
            waiter.join(0.01)
        assert store.claim([kind], "you", _LONG_S) is None
        threading.Thread(target=store.release, args=(claim, now())).start()
        store.wait(_LONG_S)
        assert claim_of(store, kind)

    def test_waiting_ends_by_itself(self, store: Store) -> None:
        store.claim(["nothing"], "me", _LONG_S)
        store.wait(0.01)
        store.wait(0.0)


class _Model:
    """A queue as a list: what is due in order, what is held, what was woken while held."""

    def __init__(self, due: list[Ref]) -> None:
        self.known: set[Ref] = set()
        self.due = due
        self.held: dict[Ref, Claim] = {}
        self.woken: set[Ref] = set()

    def next(self) -> Ref | None:
        return self.due.pop(0) if self.due else None

    def step(self, verb: str, ref: Ref) -> None:
        if verb == "add" and ref not in self.known:
            self.known.add(ref)
            self.due.append(ref)
        elif verb == "wake" and ref in self.held:
            self.woken.add(ref)
        elif verb == "wake" and ref in self.known and ref not in self.due:
            self.due.append(ref)
        elif verb in {"forget", "again"} and ref in self.held:
            del self.held[ref]
            if verb == "again" or ref in self.woken:
                self.due.append(ref)
            self.woken.discard(ref)


def queued(store: Store, kind: str, *, due: bool = True, ref: Ref | None = None) -> Resource:
    """Store a made-up resource that is due."""
    with store.begin() as transaction:
        return transaction.insert(a_resource(ref or a_ref(kind=kind)), due=due)


def wake(store: Store, ref: Ref) -> None:
    """Wake a resource in a transaction of its own."""
    with store.begin() as transaction:
        transaction.wake(ref)


def claim_of(store: Store, kind: str, *, owner: str = "me", lease_s: float = _LONG_S) -> Claim:
    """Claim what must be there."""
    claim = store.claim([kind], owner, lease_s)
    assert claim is not None
    return claim


def claimed(store: Store, *kinds: str) -> Ref | None:
    """Claim and keep; say what."""
    claim = store.claim(kinds, "me", _LONG_S)
    return claim.resource.ref if claim else None


def work_off(store: Store, kind: str, owner: str, done: Callable[[Ref], object]) -> None:
    """Do everything that is due, until nothing is."""
    while claim := store.claim([kind], owner, _LONG_S):
        done(claim.resource.ref)
        store.release(claim, None)


def _work_off(opener: Opener, kind: str, owner: str, parent: Connection) -> None:
    store, done = opener(), list[Ref]()
    parent.send("ready")
    parent.recv()
    work_off(store, kind, owner, done.append)
    parent.send(done)


def _hold(opener: Opener, kind: str, results: Connection) -> None:
    store = opener()
    claim = claim_of(store, kind, owner="child", lease_s=1.0)
    results.send(claim.resource.ref)
    while True:
        store.renew("child", 1.0)
        threading.Event().wait(0.1)
