"""What every ``ObjectStore`` promises; inherit the class and give it an ``opener``."""

from __future__ import annotations

import hashlib
import multiprocessing
import threading
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clary.kernel.clock import now
from clary.kernel.errors import AlreadyExists, Conflict, InvalidInput, LimitExceeded, NotFound
from clary.kernel.resource import Bucket

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection

    from clary.kernel.ports import ObjectStore

    Opener = Callable[[], ObjectStore]
    Listing = tuple[list[str], list[str]]

_SPAWN = multiprocessing.get_context("spawn")
_SHARED = settings(
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
)
_BUCKET = Bucket("a-bucket", "123456789012", "eu-west-1", now())
_PIECES = st.sampled_from(
    [
        "a",
        "b",
        "/",
        "//",
        ".",
        "..",
        "%",
        "%25",
        "%00",
        "%=",
        "%-",
        "%+",
        "\0",
        "é",
        "\U0001f600",
        "-",
    ]
)
_KEYS = st.one_of(
    st.lists(_PIECES, min_size=1, max_size=6).map("".join),
    st.builds(str.__mul__, st.sampled_from(["x", "é", "%", "/", "a/", "\0"]), st.integers(1, 170)),
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=8),
    st.tuples(st.sampled_from(["z" * 253, "z" * 256, "%" * 84]), _PIECES).map("".join),
)


class Oops(Exception):
    """The bytes of an object do not come to their end."""


class ObjectStoreContract:
    """The suite; each test gets a store of its own."""

    @pytest.fixture
    def opener(self) -> Opener:
        """Give what opens the same store again, here or in another process (it is pickled)."""
        raise NotImplementedError

    @pytest.fixture
    def store(self, opener: Opener) -> ObjectStore:
        """Give a store with one bucket."""
        store = opener()
        store.create_bucket(_BUCKET)
        return store

    def test_an_object_comes_back(self, store: ObjectStore) -> None:
        data = [b"first ", b"", b"second"]
        headers, metadata = {"content-type": "text/csv"}, {"owner": "Zoë"}
        put = store.put("a-bucket", "in/x.csv", data, headers=headers, metadata=metadata)
        assert content(store, "in/x.csv") == b"first second"
        assert store.stat("a-bucket", "in/x.csv") == put
        assert store.list("a-bucket").objects == [put]
        assert put.sha256 == hashlib.sha256(b"first second").hexdigest()
        assert (put.size_bytes, put.headers, put.metadata) == (12, headers, metadata)
        assert put.modified_at.utcoffset() == now().utcoffset()

    def test_an_etag_is_no_md5_and_tells_the_parts(self, store: ObjectStore) -> None:
        put = store.put("a-bucket", "k", [b"x"], parts=7)
        assert put.etag == f"{put.sha256[:32]}-7"
        assert store.put("a-bucket", "k", [b"x"]).etag.endswith("-1")

    def test_ranges(self, store: ObjectStore) -> None:
        data = bytes(range(256)) * 8192  # several chunks
        store.put("a-bucket", "k", [data])
        for start, end in ((0, None), (5, None), (0, 1), (7, 1_500_000), (9, 9), (10, 10**9)):
            chunks = store.read("a-bucket", "k", start=start, end=end)
            assert b"".join(chunks) == data[start:end]

    def test_what_is_not_there(self, store: ObjectStore) -> None:
        store.delete("a-bucket", "none")
        for missing in ("none", "none/of/it"):
            with pytest.raises(NotFound, match=missing):
                store.stat("a-bucket", missing)
            with pytest.raises(NotFound, match=missing):
                store.read("a-bucket", missing)
        for act in (
            lambda: store.put("no-bucket", "k", [b""]),
            lambda: store.read("no-bucket", "k"),
            lambda: store.list("no-bucket"),
            lambda: store.delete("no-bucket", "k"),
            lambda: store.delete_bucket("no-bucket"),
        ):
            with pytest.raises(NotFound, match="no-bucket"):
                act()

    @pytest.mark.parametrize("key", ["", "x" * 1025, "é" * 513, "\ud800"])
    def test_what_is_no_key(self, store: ObjectStore, key: str) -> None:
        with pytest.raises(InvalidInput, match="Key"):
            store.put("a-bucket", key, [b""])

    def test_nothing_is_stored_when_the_bytes_break_off(self, store: ObjectStore) -> None:
        kept = store.put("a-bucket", "k", [b"old"])

        def broken() -> Iterator[bytes]:
            yield b"new"
            raise Oops

        for key in ("k", "fresh"):
            with pytest.raises(Oops):
                store.put("a-bucket", key, broken())
        assert store.list("a-bucket").objects == [kept]

    def test_facts_are_bounded_and_read_last(self, store: ObjectStore) -> None:
        headers: dict[str, str] = {}

        def chunks() -> Iterator[bytes]:
            yield b"x"
            headers["x-amz-checksum-crc32"] = "known now"

        store.put("a-bucket", "k", chunks(), headers=headers)
        assert store.stat("a-bucket", "k").headers == {"x-amz-checksum-crc32": "known now"}
        with pytest.raises(LimitExceeded, match="metadata"):
            store.put("a-bucket", "k", [b""], metadata={"m": "x" * 5000})
        assert store.put("a-bucket", "k", [b""], metadata={"m": "é" * 1000}).size_bytes == 0

    def test_reading_survives_what_happens_meanwhile(self, store: ObjectStore) -> None:
        data = b"0123456789" * 300_000
        store.put("a-bucket", "k", [data])
        replaced = store.read("a-bucket", "k")
        store.put("a-bucket", "k", [data[::-1]])
        removed = store.read("a-bucket", "k")
        store.delete("a-bucket", "k")
        assert b"".join(replaced) == data
        assert b"".join(removed) == data[::-1]

    def test_expected_versions(self, store: ObjectStore) -> None:
        first = store.put("a-bucket", "k", [b"1"], expected="")
        for expected in ("", "0" * 32 + "-1"):
            with pytest.raises(Conflict, match="etag"):
                store.put("a-bucket", "k", [b"2"], expected=expected)
        second = store.put("a-bucket", "k", [b"2"], expected=first.etag)
        assert b"".join(store.read("a-bucket", "k", expected=second.etag)) == b"2"
        with pytest.raises(Conflict):
            store.read("a-bucket", "k", expected=first.etag)
        with pytest.raises(Conflict):
            store.put("a-bucket", "new/k", [b""], expected=first.etag)

    def test_one_of_many_writers_is_first(self, store: ObjectStore) -> None:
        won = []

        def write(name: bytes) -> None:
            try:
                store.put("a-bucket", "lock", [name], expected="")
            except Conflict:
                return
            won.append(name)

        writers = [threading.Thread(target=write, args=(b"%d" % i,)) for i in range(8)]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        assert won == [content(store, "lock")]

    def test_folders_and_objects_of_one_name(self, store: ObjectStore) -> None:
        """In every order of arrival, and after either has gone."""
        for keys in (["a", "a/b", "a/b/c"], ["a/b/c", "a/b", "a"], ["a/", "a//", "a///b", "a"]):
            for key in keys:
                store.put("a-bucket", key, [key.encode()])
            assert [content(store, key) for key in keys] == [key.encode() for key in keys]
            for key in keys[:-1]:
                store.put("a-bucket", key, [b"again"])
                store.delete("a-bucket", key)
            assert everything(store) == keys[-1:]
            store.delete("a-bucket", keys[-1])

    def test_folders_come_and_go_under_two_writers(self, store: ObjectStore) -> None:
        """A writer of ``a`` and one of ``a/b`` never lose what they wrote."""
        lost: list[str] = []

        def work(key: str) -> None:
            for turn in range(60):
                store.put("a-bucket", key, [b"%d" % turn])
                if content(store, key) != b"%d" % turn:
                    lost.append(key)
                if turn % 3 == 0:
                    store.delete("a-bucket", key)

        workers = [threading.Thread(target=work, args=(key,)) for key in ("a", "a/b", "a/b/c")]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert not lost
        assert everything(store) == ["a", "a/b", "a/b/c"]

    @_SHARED
    @given(keys=st.sets(_KEYS, max_size=12), gone=st.sets(_KEYS, max_size=3), data=st.data())
    def test_any_keys(
        self, opener: Opener, keys: set[str], gone: set[str], data: st.DataObject
    ) -> None:
        """Against a dict: bytes, order, prefixes, delimiters, paging."""
        store = fresh(opener)
        for key in keys | gone:
            store.put("a-bucket", key, [key.encode()])
        for key in gone:
            store.delete("a-bucket", key)
        left = sorted(keys - gone, key=str.encode)
        assert everything(store) == left
        assert [content(store, key) for key in left] == [key.encode() for key in left]
        known = st.sampled_from(left or ["a"])
        prefix = data.draw(st.one_of(st.just(""), known.map(lambda key: key[:1]), known, _PIECES))
        delimiter = data.draw(st.sampled_from(["", "/", "a", "//", "%", "é"]))
        after = data.draw(st.one_of(st.just(""), known, _KEYS))
        limit = data.draw(st.integers(1, 4))
        assert listing(store, prefix, delimiter, after, limit) == expected_listing(
            left, prefix, delimiter, after
        )

    def test_pages_say_whether_they_are_the_last(self, store: ObjectStore) -> None:
        for key in ("a", "b/1", "b/2", "c"):
            store.put("a-bucket", key, [b""])
        assert store.list("a-bucket", limit=0).next_after == ""
        assert store.list("a-bucket", limit=4).next_after == ""
        assert store.list("a-bucket", delimiter="/", limit=3).next_after == ""
        page = store.list("a-bucket", delimiter="/", limit=2)
        assert (page.prefixes, page.next_after) == (["b/"], "b/")
        rest = store.list("a-bucket", delimiter="/", after="b/")
        assert ([found.key for found in rest.objects], rest.prefixes) == (["c"], [])

    def test_buckets(self, store: ObjectStore, opener: Opener) -> None:
        other = Bucket("other.bucket", "210987654321", "us-east-1", now())
        store.create_bucket(other)
        assert list(store.buckets()) == list(opener().buckets()) == [_BUCKET, other]
        with pytest.raises(AlreadyExists, match="a-bucket"):
            opener().create_bucket(_BUCKET)
        store.put("a-bucket", "deep/down/k", [b""])
        with pytest.raises(Conflict, match="not empty"):
            store.delete_bucket("a-bucket")
        store.delete("a-bucket", "deep/down/k")
        store.delete_bucket("a-bucket")
        assert list(store.buckets()) == list(opener().buckets()) == [other]
        store.create_bucket(_BUCKET)
        assert everything(store) == []

    @pytest.mark.parametrize("name", ["", "ab", "A-bucket", "../x", "a/b", "a..b", ".hidden", "é"])
    def test_what_is_no_bucket(self, store: ObjectStore, name: str) -> None:
        with pytest.raises(InvalidInput, match="Bucket"):
            store.create_bucket(Bucket(name, "123456789012", "us-east-1", now()))
        with pytest.raises((InvalidInput, NotFound)):
            store.put(name, "k", [b""])

    def test_a_killed_writer_leaves_whole_objects_only(
        self, store: ObjectStore, opener: Opener
    ) -> None:
        for told in (1, 2, 5):
            parent, child = _SPAWN.Pipe()
            writer = _SPAWN.Process(target=write_on, args=(opener, child))
            writer.start()
            child.close()
            confirmed = [parent.recv() for _ in range(told)]
            writer.kill()
            writer.join()
            again = opener()
            for key in confirmed:
                assert again.stat("a-bucket", key).size_bytes == 3_000_000
            for found in again.list("a-bucket").objects:
                data = b"".join(again.read("a-bucket", found.key))
                assert hashlib.sha256(data).hexdigest() == found.sha256
                again.delete("a-bucket", found.key)
        store.delete_bucket("a-bucket")


def write_on(opener: Opener, told: Connection) -> None:
    """Write one object after the other, saying so after each, until killed."""
    store = opener()
    for number in range(10_000):
        key = f"run/{number:05}"
        store.put("a-bucket", key, [b"%d" % (number % 10) * 1000] * 3000)
        told.send(key)


def fresh(opener: Opener) -> ObjectStore:
    """Open a store and empty it."""
    store = opener()
    if any(bucket.name == "a-bucket" for bucket in store.buckets()):
        for key in everything(store):
            store.delete("a-bucket", key)
        store.delete_bucket("a-bucket")
    store.create_bucket(_BUCKET)
    return store


def content(store: ObjectStore, key: str) -> bytes:
    """Read a whole object."""
    return b"".join(store.read("a-bucket", key))


def everything(store: ObjectStore) -> list[str]:
    """List all keys."""
    return listing(store, "", "", "", 1000)[0]


def listing(store: ObjectStore, prefix: str, delimiter: str, after: str, limit: int) -> Listing:
    """List in pages of ``limit``, as (keys, prefixes)."""
    keys: list[str] = []
    prefixes: list[str] = []
    while True:
        page = store.list("a-bucket", prefix=prefix, delimiter=delimiter, after=after, limit=limit)
        keys += [found.key for found in page.objects]
        prefixes += page.prefixes
        if not page.next_after:
            return keys, prefixes
        assert len(page.objects) + len(page.prefixes) == limit
        assert page.next_after > after
        after = page.next_after


def expected_listing(keys: list[str], prefix: str, delimiter: str, after: str) -> Listing:
    """List naively."""
    whole: list[str] = []
    prefixes: list[str] = []
    for key in keys:
        if key <= after or not key.startswith(prefix):
            continue
        inside, found, _ = key[len(prefix) :].partition(delimiter or "\uffff" * 9)
        common = prefix + inside + found
        if not found:
            whole.append(key)
        elif common > after and common not in prefixes:
            prefixes.append(common)
    return whole, prefixes
