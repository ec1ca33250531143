"""Facts are kept as they were, found again, counted where they are lost."""

from __future__ import annotations

import datetime as dt
import math
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clary.adapters.fact_files import FactFiles
from clary.adapters.sqlite_series import SqliteSeries
from clary.features.fact_queries import FactQueries, Wanted
from clary.features.facts import LOST, Fact, Facts, Limits, decode, encode
from clary.kernel.errors import InvalidInput, LimitExceeded
from clary.kernel.names import Ref
from clary.metrics.recorder import Recorder

OF = Ref("123456789012", "us-east-1", "facts", "clicks")
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | st.text(st.characters(exclude_categories=["Cs"]))
    | st.dates()
    | st.datetimes(timezones=st.none() | st.just(dt.UTC)).map(lambda one: one.replace(fold=0)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("xyz"), inner),
    max_leaves=5,
)


class Opened:
    def __init__(self, tmp_path, limits=None):
        self.store = FactFiles(tmp_path / "facts")
        self.recorder = Recorder(SqliteSeries(tmp_path / "series.db"))
        self.facts = Facts(self.store, self.recorder, limits=limits)
        self.queries = FactQueries(self.store)

    @property
    def lost(self):
        return sum(one.tally.total for one in self.recorder.totals() if one.metric.name == LOST)

    def close(self):
        self.facts.close()
        self.recorder.close()


@pytest.fixture
def opened(tmp_path):
    made = Opened(tmp_path)
    yield made
    made.close()


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), VALUES, max_size=4))
def test_facts_come_back_bit_for_bit(facts):
    fact = Fact("e", 1, 2, facts, {"model": "m"}, "r", "d", facts)
    assert repr(decode(encode(fact))) == repr(fact)


def test_what_is_no_fact_is_refused(opened):
    for facts in ({"a": object()}, {"a": 2**64}, {"a": "\ud800"}, {"a": [b"x"]}):
        with pytest.raises(InvalidInput, match="cannot be kept"):
            opened.facts.log(OF, "e", facts)
    with pytest.raises(InvalidInput, match="names nobody"):
        opened.facts.log(OF, "", {})
    with pytest.raises(InvalidInput, match="is no text"):
        opened.facts.log(OF, "e", {}, context={"a": 1})
    with pytest.raises(InvalidInput, match="2000 characters"):
        opened.facts.log(OF, "e" * 2_000, {})
    with pytest.raises(InvalidInput, match="no moment"):
        opened.facts.log(OF, "e", {}, event_us=-1)
    with pytest.raises(LimitExceeded, match="350000"):
        opened.facts.log(OF, "e", {"a": "x" * 400_000})


def test_facts_are_kept_as_they_were_at_the_moment(opened):
    facts = {"a": [1]}
    assert opened.facts.log(OF, "e1", facts, context={"device": "tv"}, request_id="r1")
    facts["a"].append(2)
    opened.facts.log(OF, "e2", {"a": math.inf}, event_us=5)
    assert opened.facts.flush()
    first, second = opened.queries.each(OF)
    assert (first.facts, first.context, first.request_id) == ({"a": [1]}, {"device": "tv"}, "r1")
    assert first.event_us == first.write_us
    assert second.event_us == 5
    assert [fact.entity for fact in opened.queries.find(OF)] == ["e2", "e1"]
    assert opened.queries.find(OF, Wanted(context={"device": "tv"})) == [first]
    assert opened.queries.find(OF, Wanted(request_id="r1", entity="e2")) == []
    assert opened.queries.find(OF, Wanted(end_us=6), limit=1) == [second]
    with pytest.raises(InvalidInput, match="out of bounds"):
        opened.queries.find(OF, limit=0)


def test_threads_lose_nothing_and_wait_for_nothing(opened):
    def log(name):
        for at in range(500):
            opened.facts.log(OF, f"{name}", {"a": at}, event_us=at)

    threads = [threading.Thread(target=log, args=(name,)) for name in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    opened.facts.close()
    for name in range(4):
        found = opened.queries.each(OF, Wanted(entity=f"{name}"))
        assert [fact.facts["a"] for fact in found] == list(range(500))
    assert opened.lost == 0


def test_what_there_is_no_room_for_is_counted(tmp_path):
    opened = Opened(tmp_path, Limits(waiting_bytes=3_000, waiting=1_000, every_s=60))
    kept = sum(opened.facts.log(OF, "e", {"a": "x" * 1_000, "at": at}) for at in range(10))
    opened.facts.close()
    stored = list(opened.queries.each(OF))
    assert len(stored) == kept
    assert not opened.facts.log(OF, "e", {})
    opened.facts.close()
    assert opened.lost == 11 - kept
    assert kept < 10
    opened.close()


def test_what_a_disk_refuses_is_counted(tmp_path):
    opened = Opened(tmp_path)
    (tmp_path / "facts").write_text("in the way")
    assert opened.facts.log(OF, "e", {})
    assert opened.facts.flush()
    assert opened.lost == 1
    (tmp_path / "facts").unlink()
    assert opened.facts.log(OF, "e", {})
    assert opened.facts.flush()
    assert len(list(opened.queries.each(OF))) == 1
    opened.close()
