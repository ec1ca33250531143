"""What every ``OfflineStore`` does."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from clary.features.model import Feature, Record, Schema
from clary.kernel.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clary.features.ports import OfflineStore

SCHEMA = Schema(
    (
        Feature("id", "String"),
        Feature("at", "Fractional"),
        Feature("number", "Integral"),
        Feature("share", "Fractional"),
        Feature("words", "String", "List"),
        Feature("ids", "Integral", "Set"),
        Feature("point", "Fractional", "Vector", 2),
    ),
    "id",
    "at",
)
GROWN = Schema((*SCHEMA.features, Feature("added", "String")), "id", "at", 2)
TABLE = "bucket/group/data"


def record(key: str, event_us: int = 0, write_us: int = 0, share: float | None = 0.5) -> Record:
    """Make a record of ``SCHEMA``."""
    values = (key, event_us / 1e6, -(1 << 63), share, ["a", "ß\0"], [1, 2], [0.5, -0.0])
    return Record(key, event_us, write_us, values)


def rows(store: OfflineStore, table: str = TABLE, version: int | None = None) -> list[Any]:
    """Read what a version holds, by row number."""
    parquet = pytest.importorskip("pyarrow.parquet")
    found = [
        row for path in store.files(table, version) for row in parquet.read_table(path).to_pylist()
    ]
    return sorted(found, key=lambda row: int(row["row"]))


def keys(found: Sequence[Any]) -> list[str]:
    """Name the entities of rows."""
    return [row["id"] for row in found]


class OfflineStoreContract:
    """Subclass it with a fixture ``store`` that gives an empty store."""

    def test_a_record_comes_back_as_it_was(self, store: OfflineStore) -> None:
        store.append(TABLE, SCHEMA, [record("k", 5, 7)])
        assert store.flush(TABLE) > 0
        (found,) = rows(store)
        assert found.pop("row") >= 0
        assert str(found["point"]) == "[0.5, -0.0]"
        assert found == {
            "id": "k",
            "at": 5e-6,
            "number": -(1 << 63),
            "share": 0.5,
            "words": ["a", "ß\0"],
            "ids": [1, 2],
            "point": [0.5, -0.0],
            "event_us": 5,
            "write_us": 7,
            "is_deleted": False,
        }

    def test_nothing_is_a_table_without_rows(self, store: OfflineStore) -> None:
        store.append(TABLE, SCHEMA, [])
        assert store.flush(TABLE) == 0
        assert not store.files(TABLE)
        assert not store.files(TABLE, 0)
        assert not store.snapshot(TABLE).unflushed
        assert store.compact(TABLE) == 0
        assert store.erase(TABLE, ["k"]) == 0
        store.drop(TABLE)

    def test_rows_have_increasing_numbers(self, store: OfflineStore) -> None:
        for start in range(0, 9_000, 3_000):
            store.append(TABLE, SCHEMA, [record(str(n)) for n in range(start, start + 3_000)])
            store.flush(TABLE)
        found = rows(store)
        assert keys(found) == [str(n) for n in range(9_000)]
        assert len({row["row"] for row in found}) == 9_000

    def test_a_tombstone_has_its_key(self, store: OfflineStore) -> None:
        numbered = Schema((Feature("id", "Integral"), Feature("at", "Fractional")), "id", "at")
        store.append(TABLE, numbered, [Record("7", 1, 1, (), is_deleted=True)])
        store.append(TABLE, numbered, [Record("8", 1, 1, (8, None), is_deleted=True)])
        store.flush(TABLE)
        assert [(row["id"], row["at"], row["is_deleted"]) for row in rows(store)] == [
            (7, None, True),
            (8, None, True),
        ]

    def test_flushing_again_commits_nothing(self, store: OfflineStore) -> None:
        store.append(TABLE, SCHEMA, [record("a")])
        version = store.flush(TABLE)
        assert store.flush(TABLE) == version
        assert keys(rows(store)) == ["a"]

    def test_a_snapshot_holds_everything_once(self, store: OfflineStore) -> None:
        store.append(TABLE, SCHEMA, [record("a")])
        flushed = store.flush(TABLE)
        store.append(TABLE, SCHEMA, [record("b"), record("c")])
        found = store.snapshot(TABLE)
        assert found.version == flushed
        assert list(found.files) == list(store.files(TABLE))
        assert [one for _, one in found.unflushed] == [record("b"), record("c")]
        (last,) = (row["row"] for row in rows(store))
        numbers = [row for row, _ in found.unflushed]
        assert last < numbers[0] < numbers[1]
        store.flush(TABLE)
        assert [row["row"] for row in rows(store)] == [last, *numbers]

    def test_versions_stay_as_they_were(self, store: OfflineStore) -> None:
        versions = []
        for key in "abc":
            store.append(TABLE, SCHEMA, [record(key)])
            versions.append(store.flush(TABLE))
        store.compact(TABLE)
        assert versions == sorted(set(versions))
        for count, version in enumerate(versions, 1):
            assert keys(rows(store, version=version)) == list("abc"[:count])
        with pytest.raises(NotFound, match="version 99"):
            store.files(TABLE, 99)

    def test_added_features_are_missing_in_older_rows(self, store: OfflineStore) -> None:
        store.append(TABLE, SCHEMA, [record("old")])
        store.flush(TABLE)
        new = msgspec.structs.replace(record("new"), values=(*record("new").values, "x"), schema=2)
        store.append(TABLE, GROWN, [new])
        store.append(TABLE, SCHEMA, [record("late")])  # by somebody who has not heard of it
        store.compact(TABLE)
        assert [(row["id"], row["added"]) for row in rows(store)] == [
            ("old", None),
            ("new", "x"),
            ("late", None),
        ]

    def test_compacted_files_are_sorted(self, store: OfflineStore) -> None:
        parquet = pytest.importorskip("pyarrow.parquet")
        for turn in range(4):
            store.append(
                TABLE,
                SCHEMA,
                [record(f"é{n % 7}", (n * 37) % 11, turn % 2) for n in range(50)],
            )
            store.flush(TABLE)
        before = rows(store)
        store.compact(TABLE)
        assert rows(store) == before
        (path,) = store.files(TABLE)
        found = [
            (row["id"].encode(), row["event_us"], row["write_us"], row["row"])
            for row in parquet.read_table(path).to_pylist()
        ]
        assert found == sorted(found)
        version = store.compact(TABLE)
        assert store.compact(TABLE) == version

    def test_small_files_are_merged_with_their_like(self, store: OfflineStore) -> None:
        store.append(TABLE, SCHEMA, [record(str(n), n, share=n**0.5) for n in range(20_000)])
        store.flush(TABLE)
        (large,) = store.files(TABLE)
        for n in range(5):
            store.append(TABLE, SCHEMA, [record(f"small {n}")])
            store.flush(TABLE)
        store.compact(TABLE, is_whole=False)
        assert large in store.files(TABLE)
        assert len(store.files(TABLE)) == 2
        assert len(rows(store)) == 20_005

    def test_old_rows_are_left_out(self, store: OfflineStore) -> None:
        store.append(TABLE, SCHEMA, [record(str(n), n) for n in range(10)])
        version = store.flush(TABLE)
        store.compact(TABLE, before_us=7)
        assert keys(rows(store)) == ["7", "8", "9"]
        assert len(rows(store, version=version)) == 10
        store.compact(TABLE, before_us=70)
        assert rows(store) == []
        store.append(TABLE, SCHEMA, [record("a")])
        store.flush(TABLE)
        assert keys(rows(store)) == ["a"]

    @pytest.mark.parametrize("key", ["b", "it's", '"', "\0", "\U0001f9ea"])
    def test_an_erased_entity_is_in_no_version(self, store: OfflineStore, key: str) -> None:
        versions = []
        for n in range(3):
            store.append(TABLE, SCHEMA, [record("a", n), record(key, n), record("c", n)])
            versions.append(store.flush(TABLE))
        store.append(TABLE, SCHEMA, [record(key, 9), record("d")])
        store.hold(TABLE, "held", versions[1])
        versions.append(store.compact(TABLE))
        store.append(TABLE, SCHEMA, [record(key, 10), record("e")])
        store.erase(TABLE, [key, "nobody"])
        wanted = ["ac", "acac", "acacac", "acacacd"]
        for version, left in zip(versions, wanted, strict=True):
            assert keys(rows(store, version=version)) == list(left)
        assert keys(rows(store)) == [*"acacacde"]
        store.append(TABLE, SCHEMA, [record(key, 11)])
        store.flush(TABLE)
        assert keys(rows(store)) == [*"acacacde", key]

    def test_entities_with_numbers_are_erased_by_their_text(self, store: OfflineStore) -> None:
        numbered = Schema((Feature("id", "Integral"), Feature("at", "Fractional")), "id", "at")
        biggest = (1 << 63) - 1
        written = [1, -2, biggest, biggest - 1]
        store.append(TABLE, numbered, [Record(str(n), 1, 1, (n, 1.0)) for n in written])
        store.erase(TABLE, ["-2", "1.0", "one", str(biggest), str(biggest * 3)])
        assert [row["id"] for row in rows(store)] == [1, biggest - 1]

    def test_a_dropped_table_begins_anew(self, store: OfflineStore) -> None:
        other = "bucket/group2/data"
        store.append(other, SCHEMA, [record("other")])
        store.flush(other)
        for _ in range(3):
            store.append(TABLE, SCHEMA, [record("a")])
            store.flush(TABLE)
        store.append(TABLE, SCHEMA, [record("waits")])
        store.drop(TABLE)
        assert not store.files(TABLE)
        assert not store.snapshot(TABLE).unflushed
        store.append(TABLE, GROWN, [record("b")])
        store.flush(TABLE)
        assert keys(rows(store)) == ["b"]
        assert keys(rows(store, other)) == ["other"]

    @pytest.mark.parametrize("value", ["\ud800", 1 << 70])
    def test_what_cannot_be_kept_is_refused(self, store: OfflineStore, value: object) -> None:
        bad = Record("k", 1, 1, (value,))  # type: ignore[arg-type]
        with pytest.raises(InvalidInput):
            store.append(TABLE, SCHEMA, [record("a"), bad])
        store.flush(TABLE)
        assert rows(store) == []

    @pytest.mark.parametrize(
        "table", ["", "/etc", "a/../b", "..", "a//b", ".clary/x", "a/\0", "a/."]
    )
    def test_a_table_stays_in_its_place(self, store: OfflineStore, table: str) -> None:
        with pytest.raises(InvalidInput, match="table"):
            store.append(table, SCHEMA, [record("a")])

    def test_many_threads_lose_and_double_nothing(self, store: OfflineStore) -> None:
        errors: list[BaseException] = []

        def work(worker: int) -> None:
            try:
                for n in range(12):
                    store.append(TABLE, SCHEMA, [record(f"{worker}-{n}-{m}") for m in range(3)])
                    if n % 4 == worker % 4:
                        store.flush(TABLE)
                    found = store.snapshot(TABLE)
                    assert found.version >= 0
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=work, args=(worker,)) for worker in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not errors
        store.flush(TABLE)
        wanted = [f"{a}-{b}-{c}" for a in range(6) for b in range(12) for c in range(3)]
        assert sorted(keys(rows(store))) == sorted(wanted)
