from __future__ import annotations

import gc
import threading

import pytest

from clary.adapters.sqlite_series import SqliteSeries
from clary.kernel.errors import Unavailable
from clary.kernel.names import Ref
from clary.metrics.model import Metric, Tally
from clary.metrics.recorder import Recorder

NEAR = Ref("123456789012", "us-east-1", "endpoint", "abalone")
WHERE = {"VariantName": "all", "EndpointName": "abalone"}
METRIC = Metric(
    NEAR.account, NEAR.region, "AWS/SageMaker", "ModelLatency", tuple(sorted(WHERE.items())), "None"
)


@pytest.fixture
def store(tmp_path):
    made = SqliteSeries(tmp_path / "series.db")
    yield made
    made.close()


@pytest.fixture
def recorder(store):
    made = Recorder(store)
    yield made
    made.close()


def series(recorder):
    return recorder.series("AWS/SageMaker", "ModelLatency", WHERE, "None", near=NEAR)


def stored(store, length_s=3600) -> Tally:
    whole = Tally()
    for slot in store.read(METRIC, length_s=length_s, start=0, end=2**40):
        whole.merge(slot.tally)
    return whole


def test_values_of_threads_are_all_counted_once(recorder, store) -> None:
    one = series(recorder)
    assert series(recorder) is one

    def add() -> None:
        for value in range(2_000):
            one.add(float(value))

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        recorder.flush()
    recorder.flush()
    for length_s in (10, 60, 3600):
        found = stored(store, length_s)
        assert (found.count, found.total) == (8_000, 4 * sum(range(2_000)))
        assert (found.minimum, found.maximum) == (0, 1_999)
    (total,) = recorder.totals()
    assert (total.tally.count, total.tally.total) == (8_000, 4 * sum(range(2_000)))


def test_values_have_weights_and_must_be_finite(recorder, store) -> None:
    one = series(recorder)
    one.add(1.0, 7)
    one.add(0.0, 3)
    one.add(5.0, 0)
    one.add(float("nan"))
    one.add(float("inf"))
    recorder.flush()
    found = stored(store)
    assert (found.count, found.total, found.minimum, found.maximum) == (10, 7, 0, 1)


def test_processes_of_a_home_add_up(recorder, store, tmp_path) -> None:
    other_store = SqliteSeries(tmp_path / "series.db")
    other = Recorder(other_store)
    mine, theirs = series(recorder), series(other)
    mine.add(1)
    theirs.add(2)
    recorder.flush()
    other.close()
    other_store.close()
    mine.add(3)
    recorder.flush()
    found = stored(store)
    assert (found.count, found.total, found.minimum, found.maximum) == (3, 6, 1, 3)
    assert found.percentile(50) == pytest.approx(2, rel=0.01)


def test_the_thread_writes_by_itself_and_close_writes_the_rest(store) -> None:
    recorder = Recorder(store)
    one = series(recorder)
    one.add(4)
    recorder.close()
    assert stored(store).total == 4


def test_what_could_not_be_written_is_written_later(tmp_path) -> None:
    store = SqliteSeries(tmp_path / "series.db")
    store.close()

    class Sometimes:
        works = False
        prune = read = list = None

        def add(self, slots) -> None:
            if not self.works:
                raise Unavailable("the disk is full")
            again.add(slots)

    again = SqliteSeries(tmp_path / "series.db")
    broken = Sometimes()
    recorder = Recorder(broken)
    one = series(recorder)
    one.add(1)
    with pytest.raises(Unavailable):
        recorder.flush()
    one.add(2)
    broken.works = True
    recorder.flush()
    assert (stored(again).count, stored(again).total) == (2, 3)
    recorder.close()
    assert stored(again).count == 2
    again.close()


def test_a_series_that_nobody_holds_ends_and_may_begin_again(recorder, store) -> None:
    one = series(recorder)
    one.add(1)
    del one
    gc.collect()
    recorder.flush()
    assert recorder.totals() == []
    again = series(recorder)
    again.add(2)
    recorder.flush()
    assert stored(store).total == 3
    assert recorder.totals()[0].tally.total == 2


def test_sources_are_asked_before_reading(recorder) -> None:
    one = series(recorder)
    recorder.poll(lambda: one.add(6.0))
    total = recorder.totals()[0]
    assert total.latest == 6.0
    assert total.tally.count >= 1
