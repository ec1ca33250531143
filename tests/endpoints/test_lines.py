"""Lines to instances: one holder at a time, in the order of asking, none lost."""

from __future__ import annotations

import random
import threading
import time

import pytest

from clary.endpoints.instances import Instance
from clary.endpoints.lines import Lines
from clary.kernel.errors import LimitExceeded, Unavailable

KEY = ("", "")


def ready(*serials, model=""):
    return [Instance(one, model, phase="ready") for one in serials]


def soon(seconds=30.0):
    return time.monotonic() + seconds


def nothing():
    """Look at nothing."""


def test_a_line_has_one_holder_at_a_time_while_instances_come_and_go():
    lines = Lines(1000)
    lines.refresh(ready(1))
    held, wrong, answered = set(), [], []
    stop = threading.Event()

    def ask(seed):
        luck = random.Random(seed)
        while not stop.is_set():
            line = lines.take(KEY, soon(), nothing)
            serial = line.instance.serial
            if serial in held:
                wrong.append(serial)
            held.add(serial)
            time.sleep(luck.uniform(0, 0.001))
            held.discard(serial)
            answered.append(seed)
            if luck.random() < 0.1:
                lines.lose(line, again=True)
            else:
                lines.give(line)

    threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    luck = random.Random(9)
    for turn in range(300):
        lines.refresh(ready(*range(turn, turn + luck.randint(1, 4))))
        time.sleep(0.002)
    stop.set()
    for thread in threads:
        thread.join(10.0)
    assert not any(thread.is_alive() for thread in threads)
    assert not wrong
    assert set(answered) == set(range(8))


def test_who_waits_longest_is_next():
    lines = Lines(100)
    lines.refresh(ready(1))
    held = lines.take(KEY, soon(), nothing)
    order = []
    threads = []

    def ask(number):
        line = lines.take(KEY, soon(), nothing)
        order.append(number)
        lines.give(line)

    for number in range(5):
        threads.append(threading.Thread(target=ask, args=(number,)))
        threads[-1].start()
        while lines.count(KEY) != (1, number + 2):
            time.sleep(0.001)
    lines.give(held)
    for thread in threads:
        thread.join()
    assert order == list(range(5))
    assert lines.count(KEY) == (1, 0)


def test_there_is_an_end_to_waiting():
    lines = Lines(1)
    with pytest.raises(Unavailable, match="in time"):
        lines.take(KEY, soon(0.01), nothing)
    assert lines.count(KEY) == (0, 0)
    lines.refresh(ready(1))
    held = lines.take(KEY, soon(), nothing)
    waiting = threading.Thread(target=lambda: lines.give(lines.take(KEY, soon(), nothing)))
    waiting.start()
    while lines.count(KEY) != (1, 2):
        time.sleep(0.001)
    with pytest.raises(Unavailable, match="too many"):
        lines.take(KEY, soon(), nothing)
    lines.give(held)
    waiting.join()


def test_what_looking_raises_ends_the_waiting():
    lines = Lines(1)

    def look():
        raise KeyError

    with pytest.raises(KeyError):
        lines.take(KEY, soon(), look)
    assert lines.count(KEY) == (0, 0)


def test_a_limit_of_requests_at_once():
    lines = Lines(10, max_busy=1)
    lines.refresh(ready(1, 2))
    held = lines.take(KEY, soon(), nothing)
    with pytest.raises(LimitExceeded, match="at most 1"):
        lines.take(KEY, soon(), nothing)
    lines.give(held)
    lines.give(lines.take(KEY, soon(), nothing))


def test_lines_are_of_one_model():
    lines = Lines(10)
    lines.refresh([*ready(1, model="a"), *ready(2, model="b")])
    assert lines.take(("b", ""), soon(), nothing).instance.serial == 2
    with pytest.raises(Unavailable):
        lines.take(("b", ""), soon(0.01), nothing)
    assert lines.take(("a", ""), soon(), nothing).instance.serial == 1
