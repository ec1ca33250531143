"""Rows of files that are kept for previews: the files' own, as they are now."""

import pyarrow as pa
import pytest

from clary.flows import local
from clary.flows.fitted import NOTHING
from clary.flows.kept import Kept, stamps
from clary.flows.model import Flow, Node
from clary.flows.reach import Reach


def table_of(number):
    return pa.table({"a": pa.array(range(number), pa.int64())})


def test_the_last_used_are_kept_within_bounds():
    kept = Kept(most_bytes=8 * 20)
    for at in range(3):
        kept.put(at, (table_of(10), at))
    assert kept.get(0) is None
    assert kept.get(1) == (table_of(10), 1)
    kept.put(3, (table_of(10), 3))
    assert [one for one in range(4) if kept.get(one)] == [1, 3]
    kept.put(4, (table_of(21), 4))
    assert [one for one in range(5) if kept.get(one)] == []
    kept.put(5, (table_of(20), 5))
    kept.put(5, (table_of(20), 6))
    assert kept.get(5) == (table_of(20), 6)


@pytest.fixture
def preview(tmp_path):
    kept = Kept()

    def call(name="rows.csv", **with_):
        nodes = (
            Node("rows", "source", {"path": str(tmp_path / name), **with_}),
            Node("sorted", "rows.sort", {"columns": ["a"]}, ("rows",)),
        )
        found, _ = local.table(Flow(nodes), "sorted", NOTHING, {}, Reach(kept=kept), limit=5)
        return found["a"].to_pylist()

    return call, kept


def test_rows_are_read_again_when_the_file_is_another(preview, tmp_path):
    call, kept = preview
    file = tmp_path / "rows.csv"
    file.write_text("a\n2\n1\n")
    assert call() == [1, 2]
    [key] = kept._tables
    assert key[0] == stamps([file])
    kept.put(key, (table_of(3), 0))
    assert call() == [0, 1, 2]  # not read
    assert call(sampling={"rows": 1}) == [2]
    file.write_text("a\n4\n3\n")
    assert call() == [3, 4]
    other = tmp_path / "other.csv"
    other.write_text("a\n6\n5\n")
    other.replace(file)
    assert call() == [5, 6]


def test_tables_that_are_too_large_are_not_held(preview, tmp_path, monkeypatch):
    call, kept = preview
    monkeypatch.setattr("clary.flows.sources.MOST_BYTES", 100_000)
    file = tmp_path / "rows.csv"
    file.write_text("a\n" + "7\n" * 30_000)
    assert call() == [7] * 5
    assert not kept._tables
    file.write_text("a\n" + "7\n" * 10_000)
    assert call() == [7] * 5
    assert kept._tables


def test_a_folder_is_as_its_files_are(preview, tmp_path):
    call, _ = preview
    (tmp_path / "rows").mkdir()
    (tmp_path / "rows/a.csv").write_text("a\n1\n")
    assert call("rows") == [1]
    (tmp_path / "rows/b.csv").write_text("a\n0\n")
    assert call("rows") == [0, 1]
    (tmp_path / "rows/a.csv").unlink()
    assert call("rows") == [0]
