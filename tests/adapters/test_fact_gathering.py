"""Facts are there once while files become tables, whoever appends, removes or dies meanwhile."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor, wait

import pytest

from clary.adapters.fact_files import FactFiles
from clary.features.fact_queries import Wanted
from clary.features.facts import Fact, encode

GATHERER = """
import sys
from pathlib import Path
from clary.adapters.fact_files import FactFiles
from clary.features.facts import Fact, encode
store = FactFiles(Path(sys.argv[1]))
for at in range(100_000):
    facts = [Fact(sys.argv[2], 10 * at + one, at, {"a": one}) for one in range(10)]
    store.append("t", [encode(fact) for fact in facts])
    print(at, flush=True)
    if at % 5 == 4:
        store.gather(is_whole=True)
"""


@pytest.mark.parametrize("seed", range(3))
def test_kill_9_while_tables_are_made(tmp_path, seed):
    draw, acknowledged = random.Random(seed), {}
    for name in ("a", "b", "c"):
        goal = draw.randrange(4, 30)
        argv = [sys.executable, "-c", GATHERER, str(tmp_path), name]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
            for line in process.stdout:
                acknowledged[name] = int(line)
                if int(line) >= goal:
                    os.kill(process.pid, signal.SIGKILL)
                    break
            process.wait()
    for turn in range(2):
        for name, last in acknowledged.items():
            wanted = Wanted(entity=name)
            found = [fact.event_us for fact in FactFiles(tmp_path).find("t", wanted)]
            assert found[: 10 * (last + 1)] == list(range(10 * (last + 1)))
            assert found == list(range(len(found)))
        if not turn:
            FactFiles(tmp_path).gather(is_whole=True)
    assert {one.suffix for one in (tmp_path / "t").iterdir()} == {".parquet"}


def append(folder, name):
    store = FactFiles(folder)
    for at in range(150):
        store.append("t", [encode(Fact(name if at % 3 else "gone", at, at, {"n": at}))])


def gather(folder, ended):
    store = FactFiles(folder)
    while not ended.is_set():
        store.gather(is_whole=True)
        store.erase("t", lambda fact: fact.entity == "gone")


def test_appending_gathering_and_erasing_at_once(tmp_path):
    ended = threading.Event()
    with ThreadPoolExecutor() as pool:
        others = [pool.submit(gather, tmp_path, ended) for _ in range(2)]
        writers = [pool.submit(append, tmp_path, name) for name in ("a", "b")]
        wait(writers)
        ended.set()
        for one in (*writers, *others):
            one.result()
    store = FactFiles(tmp_path)
    store.erase("t", lambda fact: fact.entity == "gone")
    for name in ("a", "b"):
        found = [fact.event_us for fact in store.find("t", Wanted(entity=name))]
        assert sorted(found) == [at for at in range(150) if at % 3]
    assert list(store.find("t", Wanted(entity="gone"))) == []
