"""What every ``OnlineStore`` does."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clary.features.model import Record
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from clary.features.ports import OnlineStore

AT_US = 1_790_000_000_000_000


def record(key: str, event_us: int = 0, value: float = 1.0, write_us: int = 0) -> Record:
    """Make a record whose times count from ``AT_US``."""
    return Record(key, AT_US + event_us, AT_US + write_us, (value, "text", 3))


class OnlineStoreContract:
    """Subclass it with a fixture ``store`` that gives an empty store."""

    def test_a_record_comes_back_as_it_was(self, store: OnlineStore) -> None:
        values = (
            0.1,
            -0.0,
            float("inf"),
            5e-324,
            (1 << 63) - 1,
            -(1 << 63),
            "\U0001f9ea\0ß",
            "",
            None,
            [1, 2],
            ["a", "b"],
            [0.5, -0.5],
        )
        written = Record("k", AT_US, AT_US + 1, values, 7, expires_us=AT_US + 2)
        store.write("t", [written])
        (found,) = store.read([("t", "k")])
        assert found == written
        assert found is not None
        assert isinstance(found.values, tuple)
        assert str(found.values[1]) == "-0.0"
        assert [type(value) for value in found.values] == [type(value) for value in values]

    def test_nan_comes_back(self, store: OnlineStore) -> None:
        store.write("t", [record("k", value=float("nan"))])
        (found,) = store.read([("t", "k")])
        assert found is not None
        assert str(found.values[0]) == "nan"

    def test_reads_answer_in_order_with_none_for_what_is_missing(self, store: OnlineStore) -> None:
        a, b, other = record("a"), record("b", value=2.0), record("a", value=3.0)
        store.write("t", [b, a])
        store.write("u", [other])
        asked = [("t", "b"), ("t", "none"), ("u", "a"), ("t", "a"), ("v", "a"), ("t", "b")]
        assert store.read(asked) == [b, None, other, a, None, b]
        assert store.read([]) == []

    def test_a_record_is_replaced_only_if_it_is_the_one_that_is_meant(
        self, store: OnlineStore
    ) -> None:
        first, second, third = (record("k", 1, n, write_us=n) for n in (1, 2, 3))
        assert store.write("t", [first], written_us=first.write_us) == 0
        assert store.write("t", [first]) == 1
        assert store.write("t", [second], written_us=first.write_us) == 1
        assert store.write("t", [third], written_us=first.write_us) == 0
        assert store.read([("t", "k")]) == [second]
        assert store.write("t", [first]) == 0
        assert store.write("t", [first], written_us=second.write_us) == 0
        assert store.write("t", [third, record("other")]) == 2
        assert store.count("t") == 2

    @pytest.mark.parametrize("order", [1, -1])
    @pytest.mark.parametrize("together", [True, False])
    def test_the_later_of_two_stays(self, store: OnlineStore, order: int, together: bool) -> None:  # noqa: FBT001 - a parameter of pytest
        pairs = [
            (record("event", 1, 1.0, write_us=9), record("event", 2, 2.0, write_us=5)),
            (record("write", 1, 1.0, write_us=1), record("write", 1, 2.0, write_us=2)),
            (record("before 1970", -3 * AT_US, 1.0), record("before 1970", -2 * AT_US, 2.0)),
            (record("far", 0, 1.0), record("far", 1 << 61, 2.0)),
        ]
        for pair in pairs:
            if together:
                store.write("t", pair[::order])
            else:
                for one in pair[::order]:
                    store.write("t", [one])
        asked = [("t", later.key) for _, later in pairs]
        assert store.read(asked) == [later for _, later in pairs]
        assert store.count("t") == len(pairs)

    def test_a_tombstone_is_a_record(self, store: OnlineStore) -> None:
        gone = Record("k", AT_US + 5, AT_US, (), is_deleted=True)
        store.write("t", [gone])
        store.write("t", [record("k", 4)])
        assert store.read([("t", "k")]) == [gone]
        store.write("t", [record("k", 6)])
        assert store.read([("t", "k")]) == [record("k", 6)]

    def test_writing_again_changes_nothing(self, store: OnlineStore) -> None:
        written = [record(str(n), n) for n in range(50)]
        store.write("t", written)
        store.write("t", written)
        assert store.read([("t", str(n)) for n in range(50)]) == written
        assert store.count("t") == 50

    def test_tables_and_keys_of_every_kind_stay_apart(self, store: OnlineStore) -> None:
        keys = ["", "a", "a\0", "\0a", "ab", "\U0001f9ea", "x" * 600, "x" * 601, "ÿ" * 400]
        tables = ["t", "t2", "T", "a/b:c", "ü" * 100]
        for number, table in enumerate(tables):
            store.write(table, [record(key, value=float(number)) for key in keys])
        for number, table in enumerate(tables):
            wanted = [record(key, value=float(number)) for key in keys]
            assert store.read([(table, key) for key in keys]) == wanted
            assert store.count(table) == len(keys)
            found = {one.key: one for one in store.list(table)}
            assert found == {one.key: one for one in wanted}

    def test_what_was_removed_was_never_written(self, store: OnlineStore) -> None:
        store.write("t", [record("a", 5), record("b", 5), record("c", 5)])
        store.remove("t", ["a", "b", "none"])
        assert store.read([("t", "a"), ("t", "b"), ("t", "c")]) == [None, None, record("c", 5)]
        assert store.count("t") == 1
        store.write("t", [record("a", 1)])
        assert store.read([("t", "a")]) == [record("a", 1)]
        assert store.count("t") == 2

    def test_what_was_written_since_is_not_removed(self, store: OnlineStore) -> None:
        old, new = record("a", 5, write_us=50), record("b", 5, write_us=51)
        store.write("t", [old, new])
        store.remove("t", ["a", "b", "none"], written_us=AT_US + 50)
        assert store.read([("t", "a"), ("t", "b")]) == [None, new]
        assert store.count("t") == 1

    def test_a_dropped_table_is_empty(self, store: OnlineStore) -> None:
        store.write("t", [record(str(n)) for n in range(12_000)])
        store.write("t2", [record("a")])
        store.drop("t")
        store.drop("none")
        assert store.count("t") == 0
        assert store.list("t") == []
        assert store.read([("t", "7"), ("t2", "a")]) == [None, record("a")]

    def test_a_table_is_listed_whole_by_pages(self, store: OnlineStore) -> None:
        written = [record(key) for key in ["x" * 700, "", *(str(n) for n in range(25))]]
        store.write("t", written)
        store.write("s", [record("no")])
        store.write("u", [record("no")])
        found: list[Record] = []
        page = store.list("t", limit=4)
        while page:
            assert len(page) <= 4
            found += page
            page = store.list("t", after=page[-1].key, limit=4)
        assert sorted(found, key=lambda one: one.key) == sorted(written, key=lambda one: one.key)

    def test_a_listing_goes_on_after_a_key_that_is_gone(self, store: OnlineStore) -> None:
        store.write("t", [record(str(n)) for n in range(9)])
        first = store.list("t", limit=5)
        store.remove("t", [first[-1].key])
        rest = store.list("t", after=first[-1].key)
        assert len({one.key for one in [*first, *rest]}) == 9

    def test_sweeping_forgets_what_expired_before(self, store: OnlineStore) -> None:
        def expiring(key: str, expires_us: int | None) -> Record:
            return msgspec.structs.replace(record(key), expires_us=expires_us)

        old = [expiring(str(n), AT_US + n) for n in range(6_000)]
        store.write("t", [*old, expiring("never", None), expiring("later", AT_US + 9_000)])
        assert store.read([("t", "0")]) == [old[0]]
        assert store.sweep("t", AT_US + 5_999) == 5_999
        asked = [("t", key) for key in ("0", "5998", "5999", "never", "later")]
        assert [one is None for one in store.read(asked)] == [True, True, False, False, False]
        assert store.count("t") == 3
        assert store.sweep("t", AT_US + 5_999) == 0

    @pytest.mark.parametrize("value", ["\ud800", 1 << 70])
    def test_what_cannot_be_kept_is_refused_by_name(
        self, store: OnlineStore, value: str | int
    ) -> None:
        bad = Record("bad", AT_US, AT_US, (value,))
        with pytest.raises(InvalidInput, match="bad"):
            store.write("t", [record("good"), bad])
        assert store.count("t") == 0

    def test_keys_that_are_not_text_are_refused(self, store: OnlineStore) -> None:
        with pytest.raises(InvalidInput, match="ud800"):
            store.read([("t", "\ud800")])

    def test_writers_at_once_lose_nothing(self, store: OnlineStore) -> None:
        def work(worker: int) -> None:
            for n in range(40):
                mine = record(f"{worker}-{n}", n, float(n))
                store.write("t", [mine, record("all", n, float(n), write_us=worker)])
                assert store.read([("t", mine.key)]) == [mine]

        threads = [threading.Thread(target=work, args=(worker,)) for worker in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert store.count("t") == 8 * 40 + 1
        assert store.read([("t", "all")]) == [record("all", 39, 39.0, write_us=7)]

    def test_any_order_of_writes_leaves_the_latest(self, store: OnlineStore) -> None:
        times = st.tuples(st.sampled_from("abc"), st.integers(-3, 3), st.integers(-3, 3))
        batches = st.lists(st.lists(times, max_size=6), max_size=6)

        @settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.nested_given])
        @given(batches)
        def check(written: list[list[tuple[str, int, int]]]) -> None:
            store.drop("t")
            oracle: dict[str, tuple[int, int]] = {}
            for batch in written:
                store.write("t", [record(key, event, 1.0, write) for key, event, write in batch])
                for key, event, write in batch:
                    oracle[key] = max(oracle.get(key, (event, write)), (event, write))
            wanted = [
                record(key, oracle[key][0], 1.0, oracle[key][1]) if key in oracle else None
                for key in "abc"
            ]
            assert store.read([("t", key) for key in "abc"]) == wanted
            assert store.count("t") == len(oracle)

        check()

    def test_a_closed_store_opens_again(self, store: OnlineStore) -> None:
        store.write("t", [record("a")])
        store.close()
        assert store.read([("t", "a")]) == [record("a")]
