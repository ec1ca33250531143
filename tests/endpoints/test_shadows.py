"""Shadows: copied, compared and counted, and never in anybody's way."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clary.adapters.sqlite import SqliteStore
from clary.endpoints.comparisons import Comparison, compare, read
from clary.endpoints.invocations import Invocation, Refused, Reply
from clary.endpoints.model import Route
from clary.endpoints.shadows import COMPARISON, MOST_WAITING, Shadows, forget
from clary.kernel.codec import from_json, to_json
from clary.kernel.errors import NotFound
from clary.kernel.names import Ref
from clary.kernel.resource import Query, Resource

ENDPOINT = Ref("123456789012", "us-east-1", "endpoint", "abalone")
AT = datetime(2026, 1, 1, tzinfo=UTC)


def csv(text):
    return Reply(text.encode(), "text/csv; charset=utf-8")


class Shadow:
    """A shadow variant that answers with a function."""

    def __init__(self, answer, percent=100.0, fleet="u-1-shadow"):
        self.endpoint = ENDPOINT
        self.route = Route("shadow", fleet, 0.0, percent, "main")
        self.answer = answer
        self.asked = self.failures = 0

    def enter(self):
        self.asked += 1
        return time.perf_counter()

    def ask(self, invocation):
        return self.answer(invocation)

    def answered(self, invocation, reply, began, asked):
        return reply

    def failed(self, began, asked, status):
        self.failures += status == 400


@pytest.fixture
def store(tmp_path):
    store = SqliteStore(tmp_path / "metadata.db")
    with store.begin() as transaction:
        transaction.insert(Resource(ENDPOINT, {}, AT, AT))
    yield store
    store.close()


@pytest.fixture
def shadows(store):
    shadows = Shadows(store)
    yield shadows
    shadows.close()


def ask(shadows, shadow, *answers):
    for answer in answers:
        shadows.offer(shadow, Invocation(ENDPOINT, b"1,2,3", "text/csv"), answer, 0.002)
    assert shadows.settle(20)


def test_a_shadow_is_compared(shadows):
    answers = iter(["9.5", "10.5\n", "F", "11"])
    lock = threading.Lock()

    def answer(invocation):
        with lock:
            return csv(next(answers))

    shadow = Shadow(answer)
    for said in ("9.5", "10", "1", "11"):
        ask(shadows, shadow, csv(said))
    (found,) = shadows.report(ENDPOINT)
    assert (found.variant, found.shadow_of) == ("shadow", "main")
    assert (found.requests, found.errors, found.unlike, found.dropped) == (4, 0, 1, 0)
    assert found.agreement == 0.5
    assert found.difference["max"] == 0.5
    assert found.latency_ms["p50"] == pytest.approx(2.0, rel=0.011)
    assert found.shadow_latency_ms["max"] >= found.shadow_latency_ms["p50"] > 0


def test_errors_are_counted(shadows):
    def refuse(invocation):
        raise Refused(400, "too few columns")

    shadow = Shadow(refuse)
    ask(shadows, shadow, csv("1"))
    (found,) = shadows.report(ENDPOINT)
    assert (found.requests, found.errors, found.agreement) == (1, 1, None)
    assert shadow.failures == 1


def test_a_slow_shadow_drops_copies_and_delays_nobody(shadows):
    goes_on = threading.Event()

    def answer(invocation):
        assert goes_on.wait(20)
        return csv("1")

    shadow = Shadow(answer)
    asked = MOST_WAITING + 50
    for _ in range(asked):
        shadows.offer(shadow, Invocation(ENDPOINT, b"1"), csv("1"), 0.001)
    goes_on.set()
    assert shadows.settle(20)
    (found,) = shadows.report(ENDPOINT)
    assert found.requests + found.dropped == asked
    assert found.requests == shadow.asked
    assert found.dropped >= 40


def test_bodies_that_wait_are_bounded(shadows):
    goes_on = threading.Event()
    shadow = Shadow(lambda invocation: csv("1") if goes_on.wait(20) else None)
    body = bytes(6 << 20)
    for _ in range(20):
        shadows.offer(shadow, Invocation(ENDPOINT, body), csv("1"), 0.001)
    goes_on.set()
    assert shadows.settle(20)
    (found,) = shadows.report(ENDPOINT)
    assert found.dropped >= 5
    assert found.dropped + found.requests == 20


def test_only_a_share_is_copied_and_no_streams(shadows):
    none = Shadow(lambda invocation: csv("1"), percent=0.0)
    ask(shadows, none, *[csv("1")] * 50)
    ask(shadows, Shadow(lambda invocation: csv("1")), Reply(iter([b"1"]), "text/csv"))
    assert shadows.report(ENDPOINT) == []


def test_processes_and_restarts_add_up(store, tmp_path):
    for other in (store, SqliteStore(tmp_path / "metadata.db")):
        shadows = Shadows(other)
        ask(shadows, Shadow(lambda invocation: csv("3")), csv("1"), csv("3"))
        shadows.close()
    (found,) = Shadows(store).report(ENDPOINT)
    assert (found.requests, found.agreement) == (4, 0.5)
    known = {"p50": 0.0, "p90": 2.0, "p99": 2.0, "max": 2.0}
    assert found.difference == pytest.approx(known, rel=0.01)


def test_another_generation_is_another_comparison(shadows):
    for fleet in ("u-1-shadow", "u-2-shadow"):
        ask(shadows, Shadow(lambda invocation: csv("3"), fleet=fleet), csv("3"))
    assert [one.requests for one in shadows.report(ENDPOINT)] == [1, 1]


def test_a_deleted_endpoint_leaves_nothing(store, shadows):
    ask(shadows, Shadow(lambda invocation: csv("3")), csv("3"))
    shadows.flush()
    with store.begin() as transaction:
        forget(store, ENDPOINT, transaction)
        transaction.delete(ENDPOINT)
    ask(shadows, Shadow(lambda invocation: csv("3")), csv("3"))
    shadows.flush()
    assert not store.select(Query(COMPARISON)).items
    with pytest.raises(NotFound):
        shadows.report(ENDPOINT)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ('{"predictions": [1, 2]}', '{"predictions": [1, 2.5]}', (0.5, False)),
        ('{"a": 1, "b": "x"}', '{"b": "x", "a": 1.0}', (0.0, True)),
        ('{"a": 1, "b": "x"}', '{"b": "y", "a": 1.0}', (0.0, False)),
        ("[1]", "[1, 2]", (None, False)),
        ('["1"]', "[1]", (None, False)),
        ("[true]", "[true ]", (None, True)),
        ("[[[", "[[[[", (None, False)),
    ],
)
def test_json_answers(one, other, expected):
    left, right = (Reply(text.encode(), "application/json") for text in (one, other))
    assert compare(left, right) == expected


@given(st.lists(st.floats(width=32)), st.lists(st.floats(width=32)))
def test_numbers_against_an_oracle(left, right):
    difference, agrees = compare(*(csv("\n".join(map(repr, x))) for x in (left, right)))
    if len(left) != len(right):
        assert (difference, agrees) == (None, False)
        return
    pairs = list(zip(left, right, strict=True))
    same = [repr(a) == repr(b) or a == b for a, b in pairs]
    assert agrees or not all(same)
    if pairs and all(same):
        assert difference == 0.0
    assert (difference is None) == (not pairs)


@given(st.lists(st.tuples(st.floats(0, 1e9), st.floats(0, 1e9), st.booleans())))
def test_comparisons_add_up_through_their_documents(asked):
    whole, parts = Comparison(), Comparison()
    for number, other, fails in asked:
        single = Comparison()
        for one in (whole, single):
            reply = None if fails else csv(repr(other))
            one.add(csv(repr(number)), 0.001, reply, 0.002)
        parts.merge(read(from_json(to_json(single.document()))))
    kept = read(from_json(to_json(parts.document())))
    assert kept.document().keys() == whole.document().keys()
    assert (kept.requests, kept.errors, kept.agreed) == (whole.requests, whole.errors, whole.agreed)
    assert kept.difference.buckets == whole.difference.buckets
