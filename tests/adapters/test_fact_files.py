"""Files of facts: torn ends, several processes, narrow questions, removal."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys

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


def test_narrow_questions_are_those_of_a_scan(tmp_path):
    store, facts = FactFiles(tmp_path), made(3_000)
    draw = random.Random(1)
    for at in range(0, 3_000, 500):
        keep(store, facts[at : at + 500])
        if at == 1_500:  # another process's file
            store = FactFiles(tmp_path)
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


def test_entities_and_old_facts_are_removed(tmp_path):
    store, other, facts = FactFiles(tmp_path), FactFiles(tmp_path), made(1_000)
    keep(store, facts[:500])
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
