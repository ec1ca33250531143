"""Files of facts: torn ends, several processes, narrow questions, removal."""

from __future__ import annotations

import math
import os
import random
import signal
import subprocess
import sys
from datetime import date

import pyarrow.parquet as pq
import pytest

from clary.adapters.fact_files import FactFiles
from clary.features.fact_queries import Wanted
from clary.features.facts import Fact, encode

WRITER = """
import sys
from pathlib import Path
from clary.adapters.fact_files import FactFiles
from clary.features.facts import Fact, encode
store = FactFiles(Path(sys.argv[1]))
for at in range(100_000):
    facts = [Fact(sys.argv[2], 10 * at + one, at, {"a": one}) for one in range(10)]
    store.append("t", [encode(fact) for fact in facts])
    print(at, flush=True)
"""


def is_e7(fact):
    return fact.entity == "e7"


def made(count, seed=0):
    draw = random.Random(seed)
    return [
        Fact(
            f"e{draw.randrange(40)}",
            draw.randrange(10_000),
            at,
            {"a": at},
            {"model": f"m{draw.randrange(3)}"},
            f"r{draw.randrange(500)}",
            served={"f": 1} if at % 2 else None,
        )
        for at in range(count)
    ]


def keep(store, facts):
    store.append("t", [encode(fact) for fact in facts])


@pytest.mark.parametrize("gathers", [False, True])
def test_narrow_questions_are_those_of_a_scan(tmp_path, gathers):
    store, facts = FactFiles(tmp_path), made(3_000)
    draw = random.Random(1)
    for at in range(0, 3_000, 500):
        keep(store, facts[at : at + 500])
        if at == 1_500:  # another process's file
            store = FactFiles(tmp_path)
        if gathers and at in (500, 1_500):
            store.gather(is_whole=True)
        for _ in range(20):
            start = draw.randrange(10_000)
            wanted = Wanted(
                start,
                start + draw.choice((1, 100, 5_000, 1 << 50)),
                draw.choice(("", f"e{draw.randrange(50)}")),
                draw.choice(("", "", f"r{draw.randrange(500)}")),
                draw.choice(({}, {"model": "m1"})),
                draw.choice((None, True, False)),
            )
            expected = [fact for fact in facts[: at + 500] if wanted.has(fact)]
            assert list(store.find("t", wanted)) == expected
    assert list(store.find("u", Wanted())) == []
    assert len(store.tables("t")) == (2 if gathers else 0)


def test_a_torn_end_is_cut(tmp_path):
    store, facts = FactFiles(tmp_path), made(10)
    keep(store, facts)
    store.close()
    (path,) = tmp_path.glob("t/*.facts")
    whole = path.read_bytes()
    for cut in range(len(whole) - 1, 0, -7):
        path.write_bytes(whole[:cut])
        found = list(FactFiles(tmp_path).find("t", Wanted()))
        assert found == facts[: len(found)]
        assert len(found) < 10
    path.write_bytes(whole[:-5] + b"xxxxx")
    assert list(FactFiles(tmp_path).find("t", Wanted())) == facts[:9]


def test_a_reader_sees_what_is_written_beside_it(tmp_path):
    writer, reader = FactFiles(tmp_path), FactFiles(tmp_path)
    for at in range(5):
        keep(writer, [Fact("e", at, at, {})])
        assert len(list(reader.find("t", Wanted(entity="e")))) == at + 1


@pytest.mark.parametrize("gathers", [False, True])
def test_entities_and_old_facts_are_removed(tmp_path, gathers):
    store, other, facts = FactFiles(tmp_path), FactFiles(tmp_path), made(1_000)
    keep(store, facts[:500])
    if gathers:
        assert store.gather("t", is_whole=True) == 1
    keep(other, facts[500:])
    gone = [fact for fact in facts if fact.entity == "e7"]
    assert list(store.find("t", Wanted(entity="e7"))) == gone
    assert store.erase("t", is_e7) == len(gone)
    assert store.erase("t", is_e7) == 0
    for one in (store, other):
        assert list(one.find("t", Wanted(entity="e7"))) == []
        assert list(one.find("t", Wanted())) == [fact for fact in facts if fact.entity != "e7"]
    assert b"e7" not in b"".join(path.read_bytes() for path in tmp_path.glob("t/*"))
    keep(other, gone)  # its file was replaced: it begins another
    assert list(store.find("t", Wanted(entity="e7"))) == gone
    left = [fact for fact in facts[:500] if fact.entity != "e7"]
    assert store.forget("t", 500) == len(left)
    assert min(fact.write_us for fact in store.find("t", Wanted())) < 500  # e7's, in a mixed file
    assert store.gather("nothing") == 0
    assert store.forget("nothing", 1) == store.erase("nothing", is_e7) == 0


@pytest.mark.parametrize("seed", range(3))
def test_acknowledged_facts_survive_kill_9_once(tmp_path, seed):
    draw = random.Random(seed)
    goal = draw.randrange(1, 40)
    argv = [sys.executable, "-c", WRITER, str(tmp_path)]
    acknowledged = {}
    for name in ("a", "b"):
        with subprocess.Popen([*argv, name], stdout=subprocess.PIPE, text=True) as process:
            for line in process.stdout:
                acknowledged[name] = int(line)
                if int(line) >= goal:
                    os.kill(process.pid, signal.SIGKILL)
                    break
            process.wait()
    for name, last in acknowledged.items():
        found = [fact.event_us for fact in FactFiles(tmp_path).find("t", Wanted(entity=name))]
        assert found[: 10 * (last + 1)] == list(range(10 * (last + 1)))
        assert found == list(range(len(found)))


def test_tables_have_what_was_known_as_columns(tmp_path):
    store = FactFiles(tmp_path)
    facts = [
        Fact("e", at, at, {"n": at, "x": 0.5, "mixed": at or "", "day": date(2026, 1, 1)})
        for at in range(3)
    ]
    served = Fact("é", 4, 5, {"n": None, "big": 2**64 - 1}, {"a": "b"}, "r", "d", {"f": math.nan})
    keep(store, [*facts, served])
    assert store.gather("t") == 0  # it is not full
    assert store.gather("t", is_whole=True) == 1
    (path,) = store.tables("t")
    table = pq.read_table(path)
    assert table.column_names[-3:] == ["known.n", "known.x", "served.f"]
    assert table["known.n"].to_pylist() == [0, 1, 2, None]
    assert table["context"].to_pylist()[3] == '{"a":"b"}'
    assert repr(list(store.find("t", Wanted()))) == repr([*facts, served])
    keep(store, facts)  # its file is a table: it begins another
    assert len(list(store.find("t", Wanted(entity="e")))) == 6
    assert [one.entity for one in store.find("t", Wanted(context={"a": "b"}))] == ["é"]


def test_full_files_become_tables_and_old_tables_are_forgotten(tmp_path):
    store, facts = FactFiles(tmp_path), made(50)
    keep(store, facts)
    (path,) = tmp_path.glob("t/*.facts")
    old = path.with_name(f"{0:020d}-{path.name.partition('-')[2]}")
    path.rename(old)
    assert store.gather() == 1
    assert not old.exists()
    assert list(store.find("t", Wanted())) == facts
    assert store.forget("t", 49) == 0
    assert store.forget("t", 50) == 50
    assert store.tables("t") == []


def test_a_process_that_dies_between_a_table_and_its_file_leaves_facts_once(tmp_path):
    store, facts = FactFiles(tmp_path), made(500)
    keep(store, facts)
    (path,) = tmp_path.glob("t/*.facts")
    content = path.read_bytes()
    store.gather(is_whole=True)
    for leftover in (path, path.with_suffix(".x.made"), path.with_suffix(".new")):
        leftover.write_bytes(content)
    assert list(store.find("t", Wanted())) == facts
    assert store.erase("t", is_e7) == sum(map(is_e7, facts)) > 0
    assert {one.suffix for one in path.parent.iterdir()} == {".parquet"}
    path.write_bytes(content)
    store.gather()
    assert list(store.find("t", Wanted(entity="e7"))) == []


def test_a_file_that_is_asked_for_while_it_becomes_a_table(tmp_path):
    store, facts = FactFiles(tmp_path), made(3_000)
    keep(store, facts[:1_000])
    FactFiles(tmp_path).append("t", [encode(fact) for fact in facts[1_000:]])
    asked = store.find("t", Wanted())
    found = [next(asked)]
    store.gather(is_whole=True)
    found += asked
    assert found == facts
