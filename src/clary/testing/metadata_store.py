"""What every ``MetadataStore`` promises; inherit the class and give it an ``opener``."""

from __future__ import annotations

import multiprocessing
import random
import threading
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from clary.kernel.errors import AlreadyExists, Conflict, NotFound
from clary.kernel.names import Ref
from clary.kernel.resource import Link, Query
from clary.testing.lists import ListContract
from clary.testing.stored import a_kind, a_ref, a_resource, an_event, listed

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

    from clary.kernel.ports import MetadataStore, Transaction
    from clary.kernel.resource import Resource

    Opener = Callable[[], MetadataStore]

_SPAWN = multiprocessing.get_context("spawn")


class Oops(Exception):
    """Something goes wrong in the middle of a transaction."""


class MetadataStoreContract(ListContract):
    """The suite; each test gets a store of its own."""

    @pytest.fixture
    def opener(self) -> Opener:
        """Give what opens the same store again, here or in another process (it is pickled)."""
        raise NotImplementedError

    @pytest.fixture
    def store(self, opener: Opener) -> MetadataStore:
        return opener()

    def test_what_was_stored_is_read_back(self, store: MetadataStore, opener: Opener) -> None:
        resource = a_resource(
            a_ref("näme/of:it", version=7),
            body={"a": {"b": [1, 2.5, None, True, "ü\x00\n"]}, "": {}},
            status="InProgress",
            parent=a_ref("x:y:/z"),
        )
        with store.begin() as transaction:
            assert transaction.get(resource.ref) is None
            assert transaction.insert(resource) == resource
            assert transaction.get(resource.ref) == resource
            assert store.get(resource.ref) is None
        assert store.get(resource.ref) == opener().get(resource.ref) == resource

    def test_the_parts_of_a_ref_do_not_run_together(self, store: MetadataStore) -> None:
        refs = [Ref("1", "", "k", "a"), Ref("1", "", "k", "a", 1), Ref("1", "a", "k", "a")]
        with store.begin() as transaction:
            for ref in refs:
                transaction.insert(a_resource(ref, body={"me": str(ref)}))
                transaction.tag(ref, {"me": repr(ref)})
        assert [store.tags(ref) for ref in refs] == [{"me": repr(ref)} for ref in refs]

    def test_an_update_replaces_and_counts(self, store: MetadataStore) -> None:
        resource = stored(store, status="InProgress", body={"n": 1})
        changed = replace(resource, status="Completed", body={"m": 2}, parent=a_ref())
        with store.begin() as transaction:
            updated = transaction.update(changed)
        assert updated == store.get(resource.ref)
        assert updated == replace(
            changed, revision=resource.revision + 1, modified_at=updated.modified_at
        )
        assert updated.modified_at > resource.modified_at

    def test_a_stale_update_is_refused(self, store: MetadataStore) -> None:
        resource = stored(store)
        with store.begin() as transaction:
            transaction.update(resource)
        with pytest.raises(Conflict), store.begin() as transaction:
            transaction.update(resource)

    def test_an_update_of_a_predecessor_is_refused(self, store: MetadataStore) -> None:
        resource = stored(store)
        with store.begin() as transaction:
            transaction.delete(resource.ref)
            transaction.insert(a_resource(resource.ref))
        with pytest.raises(Conflict), store.begin() as transaction:
            transaction.update(resource)

    def test_what_is_gone_is_not_found(self, store: MetadataStore) -> None:
        resource = stored(store)
        with store.begin() as transaction:
            transaction.tag(resource.ref, {"a": "b"})
            transaction.delete(resource.ref)
        assert store.get(resource.ref) is None
        assert store.tags(resource.ref) == {}
        with pytest.raises(NotFound), store.begin() as transaction:
            transaction.delete(resource.ref)
        with pytest.raises(NotFound), store.begin() as transaction:
            transaction.update(resource)

    def test_a_name_is_given_once_and_the_transaction_goes_on(self, store: MetadataStore) -> None:
        resource, other = stored(store, body={"mine": True}), a_resource()
        with store.begin() as transaction:
            with pytest.raises(AlreadyExists):
                transaction.insert(a_resource(resource.ref))
            transaction.insert(other)
        assert store.get(resource.ref) == resource
        assert store.get(other.ref) == other

    def test_an_exception_takes_all_of_it_back(self, store: MetadataStore) -> None:
        old, new = stored(store), a_resource()
        with pytest.raises(Oops), store.begin() as transaction:
            change_then_fail(transaction, old, new)
        assert store.get(new.ref) is None
        assert store.get(old.ref) == old
        assert list(store.links(new.ref, incoming=True)) == []
        assert store.tags(old.ref) == {}
        assert list(store.events(ref=new.ref)) == []

    def test_links_keep_their_order_and_are_added_once(self, store: MetadataStore) -> None:
        here, there, other = a_ref(), a_ref(), a_ref()
        links = [
            Link(here, "Produced", there, "model"),
            Link(here, "AssociatedWith", there),
            Link(here, "Produced", other),
            Link(here, "Produced", there),
        ]
        with store.begin() as transaction:
            for link in links:
                transaction.link(link)
        with store.begin() as transaction:
            for link in reversed(links):
                transaction.link(link)
        assert list(store.links(here, incoming=False)) == links
        assert list(store.links(there, incoming=True)) == [links[0], links[1], links[3]]
        assert list(store.links(here, incoming=True)) == []

    def test_links_of_many_are_read_at_once(self, store: MetadataStore) -> None:
        refs = [a_ref() for _ in range(2500)]
        links = [Link(a, "Produced", b) for a, b in pairwise(refs)]
        with store.begin() as transaction:
            for link in links:
                transaction.link(link)
        assert list(store.links(*refs, incoming=False)) == links
        assert list(store.links(*refs, *refs, incoming=True)) == links
        assert list(store.links(refs[7], refs[3], incoming=True)) == [links[2], links[6]]
        assert list(store.links(incoming=True)) == []

    def test_links_are_removed_one_by_one(self, store: MetadataStore) -> None:
        here, there = a_ref(), a_ref()
        links = [Link(here, "Produced", there, role) for role in ("", "model", "data")]
        with store.begin() as transaction:
            for link in links:
                transaction.link(link)
        with store.begin() as transaction:
            transaction.unlink(links[1])
            transaction.unlink(Link(there, "Produced", here))
        assert list(store.links(here, incoming=False)) == [links[0], links[2]]

    def test_many_resources_are_read_at_once(self, store: MetadataStore) -> None:
        made = [a_resource(a_ref(f"n{n}", version=n % 3)) for n in range(2100)]
        with store.begin() as transaction:
            for resource in made:
                transaction.insert(resource)
        missing = replace(made[0].ref, version=9)
        wanted = [made[5].ref, missing, *(one.ref for one in reversed(made)), made[5].ref]
        found = store.get_all(iter(wanted))
        assert list(found) == list(dict.fromkeys(ref for ref in wanted if ref != missing))
        assert [found[one.ref] for one in made] == made
        assert store.get_all([]) == {}

    def test_tags_are_set_and_removed(self, store: MetadataStore) -> None:
        ref = a_ref()
        with store.begin() as transaction:
            transaction.tag(ref, {"team": "red", "stage": "dev", "": "empty"})
        with store.begin() as transaction:
            transaction.tag(ref, {"team": "blue", "stage": None, "absent": None})
            transaction.tag(ref, {})
        assert store.tags(ref) == {"team": "blue", "": "empty"}
        assert store.tags_of([a_ref(), ref]) == {ref: store.tags(ref)}

    def test_the_journal_is_read_in_order(self, store: MetadataStore) -> None:
        mine, other = a_ref(), a_ref()
        events = [an_event(ref, n=n) for n, ref in enumerate([mine, other, mine, mine])]
        for event in events:
            with store.begin() as transaction:
                transaction.append(event)
        journal = list(store.events())
        assert [replace(event, id=0) for event in journal] == events
        ids = [event.id for event in journal]
        assert ids == sorted(set(ids))
        assert ids[0] > 0
        assert list(store.events(after=ids[0], limit=2)) == journal[1:3]
        assert list(store.events(ref=mine)) == [journal[0], *journal[2:]]
        assert list(store.events(after=ids[-1])) == []

    def test_threads_lose_no_update(self, store: MetadataStore) -> None:
        ref = stored(store, body={"n": 0}).ref
        threads = [threading.Thread(target=count_up, args=(store, ref, 25)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert_counted(store, ref, 200)

    def test_processes_lose_no_update(self, store: MetadataStore, opener: Opener) -> None:
        ref = stored(store, body={"n": 0}).ref
        children = [_SPAWN.Process(target=_count_up, args=(opener, ref, 50)) for _ in range(3)]
        for child in children:
            child.start()
        for child in children:
            child.join()
        assert [child.exitcode for child in children] == [0, 0, 0]
        assert_counted(store, ref, 150)

    @pytest.mark.parametrize(
        "rounds", [6, pytest.param(60, marks=pytest.mark.long)], ids=["some", "many"]
    )
    def test_a_kill_loses_no_commit(
        self, store: MetadataStore, opener: Opener, rounds: int
    ) -> None:
        kind, draw, told = a_kind(), random.Random(20), 0  # noqa: S311 - when to kill is no secret
        for _ in range(rounds):
            told = _told_until_killed(opener, kind, told, draw.randrange(1, 60))
            rows = {resource.ref.name for resource in listed(store, Query(kind, limit=1000))}
            lines = {event.ref.name for event in store.events(limit=100_000)}
            assert rows == lines
            assert rows >= {str(number) for number in range(told)}
            assert len(rows) <= told + 1
            told = len(rows)


def stored(store: MetadataStore, **members: Any) -> Resource:
    """Store a made-up resource."""
    with store.begin() as transaction:
        return transaction.insert(a_resource(**members))


def change_then_fail(transaction: Transaction, old: Resource, new: Resource) -> None:
    """Change what can be changed, in vain."""
    transaction.insert(new, due=True)
    transaction.update(replace(old, status="Changed"))
    transaction.link(Link(old.ref, "Produced", new.ref))
    transaction.tag(old.ref, {"a": "b"})
    transaction.append(an_event(new.ref))
    raise Oops


def count_up(store: MetadataStore, ref: Ref, times: int) -> None:
    """Add one, optimistically, ``times`` times; and tell the journal."""
    while times:
        read = store.get(ref)
        assert read is not None
        try:
            with store.begin() as transaction:
                transaction.append(an_event(ref))
                transaction.update(replace(read, body={"n": read.body["n"] + 1}))
        except Conflict:
            continue
        times -= 1


def assert_counted(store: MetadataStore, ref: Ref, count: int) -> None:
    """Check a counter that ``count_up`` used."""
    counter = store.get(ref)
    assert counter is not None
    assert (counter.body, counter.revision) == ({"n": count}, count)
    assert len(store.events(ref=ref)) == count


def _count_up(opener: Opener, ref: Ref, times: int) -> None:
    count_up(opener(), ref, times)


def _commit_for_ever(opener: Opener, kind: str, number: int, done: Connection) -> None:
    store = opener()
    while True:
        resource = a_resource(a_ref(str(number), kind=kind))
        with store.begin(durable=number % 2 == 0) as transaction:
            transaction.insert(resource)
            transaction.append(an_event(resource.ref))
        number += 1
        done.send(number)


def _told_until_killed(opener: Opener, kind: str, start: int, commits: int) -> int:
    """Let a process commit from number ``start`` on; say how many it told of before it died."""
    reading, writing = _SPAWN.Pipe(duplex=False)
    child = _SPAWN.Process(target=_commit_for_ever, args=(opener, kind, start, writing))
    child.start()
    writing.close()
    told = start
    try:
        while True:
            told = reading.recv()
            if told == start + commits:
                child.kill()
    except EOFError:
        child.join()
    return told
