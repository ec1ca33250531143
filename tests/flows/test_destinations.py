"""What is written is whole or not there; what must not be replaced stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import nullcontext

import pyarrow as pa
import pytest
from pyarrow import parquet

from clary.flows import local
from clary.flows.fitted import NOTHING
from clary.flows.model import Flow, Node
from clary.flows.reach import Reach
from clary.kernel.errors import InvalidInput, NotSupported

SLOW = """
import sys
import clary

name, *partitions = sys.argv[1:]
rows = clary.Flow.read("many.csv").formula("id * 2", "twice")
rows.write(name, format="csv", partitions=partitions).run()
"""


def flow_of(*ends, source="rows.csv"):
    nodes = [Node("rows", "source", {"path": str(source)})]
    nodes += [Node(f"to{at}", "destination", one, ("rows",)) for at, one in enumerate(ends)]
    return Flow(tuple(nodes))


@pytest.fixture
def rows(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.csv").write_text("a,b\n1,x\n2,y\n")
    return tmp_path


def there(folder):
    return sorted(one.name for one in folder.iterdir())


def run(flow):
    return local.run(flow, NOTHING, {})[0]


@pytest.mark.parametrize(
    ("name", "partitions", "kept"),
    [("out.csv", [], "out.csv"), ("parts", ["kind"], "parts/kind=0/a.csv")],
)
def test_a_killed_run_leaves_what_was_there(tmp_path, name, partitions, kept):
    lines = "".join(f"{at},{at % 2}\n" for at in range(1_000_000))
    (tmp_path / "many.csv").write_text(f"id,kind\n{lines}")
    old = tmp_path / kept
    old.parent.mkdir(exist_ok=True, parents=True)
    old.write_text("old")
    argv = [sys.executable, "-c", SLOW, name, *partitions]
    with subprocess.Popen(argv, cwd=tmp_path) as running:
        while not _is_writing(tmp_path, name):
            assert running.poll() is None, "it ended before it was killed"
        os.kill(running.pid, signal.SIGKILL)
    assert old.read_text() == "old"
    assert [one for one in there(tmp_path) if one[0] != "."] == ["many.csv", name]


def _is_writing(folder, name):
    made = folder.glob(f".{name}.*.part/made*")
    return any(one.is_dir() or one.stat().st_size for one in made)


def test_a_run_that_fails_leaves_what_was_there(rows):
    (rows / "out.parquet").write_text("old")
    [source, _] = flow_of({"path": "out.parquet"}).nodes
    made = {"formula": "cast(b as bigint)", "name": "c"}
    wrong = Node("wrong", "columns.formula", made, ("rows",))
    end = Node("to", "destination", {"path": "out.parquet"}, ("wrong",))
    with pytest.raises(InvalidInput):
        run(Flow((source, wrong, end)))
    assert (rows / "out.parquet").read_text() == "old"
    assert there(rows) == ["out.parquet", "rows.csv"]


def test_sources_are_read_once_for_all_destinations(rows):
    asked = []

    def once(path, *, table, query):
        asked.append((path, table, query))
        return nullcontext(pa.table({"a": [1, 2]}).to_reader())

    (rows / "rows.db").touch()
    names = ["a.csv", "b.parquet", "c.jsonl"]
    flow = flow_of(*({"path": one} for one in names), source="rows.db")
    written, _ = local.run(flow, NOTHING, {}, Reach(database=once))
    assert [(one.path, one.rows) for one in written] == [(one, 2) for one in names]
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("end", "said"),
    [
        ({"path": "there"}, "there is a folder"),
        ({"path": "rows.csv"}, "source"),
        ({"path": "link.csv"}, "source"),
        ({"path": "note.csv", "partitions": ["a"]}, "is a file, and partitions are a folder"),
        ({"path": "new", "format": "csv", "partitions": ["c"]}, "some of a, b, not all"),
        ({"path": "new", "format": "csv", "partitions": ["a", "b"]}, "some of a, b, not all"),
        ({"path": "there", "format": "csv", "partitions": ["a"]}, "other things than partitions"),
        ({"path": "new.xls"}, "no ending of a table"),
        ({"path": "new.csv", "compression": "snappy"}, "snappy is for Parquet"),
        ({"path": "a\0.csv"}, "has no path"),
        ({"path": ""}, "has no path"),
    ],
)
def test_what_cannot_be_written_is_said_and_nothing_is_touched(rows, end, said):
    (rows / "there").mkdir()
    (rows / "there/file.txt").write_text("mine")
    (rows / "note.csv").write_text("mine")
    (rows / "link.csv").symlink_to("rows.csv")
    before = there(rows)
    with pytest.raises(InvalidInput, match=said):
        run(flow_of(end))
    assert there(rows) == before
    assert (rows / "rows.csv").read_text() == "a,b\n1,x\n2,y\n"
    assert (rows / "there/file.txt").read_text() == "mine"


@pytest.mark.parametrize("source", ["a\0.csv", "loop.csv", "x" * 300 + ".csv"])
def test_paths_that_are_none_are_told(rows, source):
    (rows / "loop.csv").symlink_to("loop.csv")
    with pytest.raises(InvalidInput):
        run(flow_of({"path": "out.csv"}, source=source))
    with pytest.raises((InvalidInput, OSError)):
        run(flow_of({"path": source.replace("loop.csv", "rows.csv/out.csv")}))


def test_partitions_are_not_put_around_a_source(rows):
    (rows / "parts/a=1").mkdir(parents=True)
    (rows / "parts/a=1/rows.csv").write_text("a,b\n1,x\n")
    end = {"path": "parts", "format": "csv", "partitions": ["a"]}
    with pytest.raises(InvalidInput, match="source"):
        run(flow_of(end, source="parts/a=1/rows.csv"))


def test_a_link_is_replaced_and_not_what_it_leads_to(rows):
    (rows / "other.csv").write_text("other")
    (rows / "link.csv").symlink_to("other.csv")
    run(flow_of({"path": "link.csv"}))
    assert (rows / "other.csv").read_text() == "other"
    assert (rows / "link.csv").read_text() == "a,b\n1,x\n2,y\n"


def test_without_a_home_there_are_no_objects(rows):
    with pytest.raises(NotSupported, match="in a session alone"):
        run(flow_of({"path": "s3://bucket/a.csv"}))
    with pytest.raises(NotSupported, match="in a session alone"):
        run(flow_of({"path": "a.csv"}, source="s3://bucket/a.csv"))


def test_all_formats_are_those_of_the_ending(rows):
    ends = [{"path": f"a{one}"} for one in (".csv", ".tsv", ".jsonl", ".parquet", ".json")]
    assert [one.rows for one in run(flow_of(*ends))] == [2] * 5
    assert (rows / "a.tsv").read_text() == "a\tb\n1\tx\n2\ty\n"
    assert parquet.read_table(rows / "a.parquet").to_pydict() == {"a": [1, 2], "b": ["x", "y"]}
