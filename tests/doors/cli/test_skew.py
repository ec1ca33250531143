"""What views serve through a real store is what batch computes, or ``clary skew`` says why not."""

from __future__ import annotations

import math
import random

import pytest

from clary.config import Config
from clary.doors.python.session import connect
from clary.features.facts import LOST
from clary.features.model import FEATURE_GROUP
from clary.features.views import VIEW
from clary.kernel.clock import now, now_us
from clary.kernel.names import DEFAULT_ACCOUNT, DEFAULT_REGION, Ref
from clary.kernel.resource import Bucket
from clary.platform import open_platform

GROUP = Ref(DEFAULT_ACCOUNT, DEFAULT_REGION, FEATURE_GROUP, "customers")
RISK = Ref(DEFAULT_ACCOUNT, DEFAULT_REGION, VIEW, "risk")
KINDS = {"id": "Integral", "at": "Fractional", "age": "Integral", "spent": "Fractional"} | {
    "city": "String"
}
FEATURES = {
    "ratio": "spent / amount",
    "decade": "age // 10",
    "whole": "round(spent, 1)",
    "place": "coalesce(upper(city), 'nowhere')",
    "is_old": "age > 60",
    "spent_much": "CASE WHEN spent > amount THEN 'much' ELSE 'little' END",
    "asked": "amount",
}
VIEW_OF = {
    "sources": {"customers": ["age", "spent", "city"]},
    "inputs": {"amount": "Fractional"},
    "features": FEATURES,
}


class World:
    def __init__(self, home):
        self.platform = open_platform(Config(home=home))
        self.store = self.platform.feature_store
        bucket = Bucket("features", DEFAULT_ACCOUNT, DEFAULT_REGION, now())
        self.platform.objects.create_bucket(bucket)
        self.store.features.create(
            GROUP,
            {
                "FeatureGroupName": "customers",
                "RecordIdentifierFeatureName": "id",
                "EventTimeFeatureName": "at",
                "FeatureDefinitions": [
                    {"FeatureName": name, "FeatureType": kind} for name, kind in KINDS.items()
                ],
                "OnlineStoreConfig": {"EnableOnlineStore": True},
                "OfflineStoreConfig": {"S3StorageConfig": {"S3Uri": "s3://features/here"}},
            },
            actor="tester",
        )

    def define(self, **changes):
        features = FEATURES | changes
        return self.store.views.define(RISK, VIEW_OF | {"features": features}, actor="tester")

    def put(self, key, at_s, **values):
        given = {"id": key, "at": at_s, **values}
        self.store.features.put_record(GROUP, given)

    def close(self):
        self.store.close()
        self.platform.recorder.close()


@pytest.fixture
def world(home):
    made = World(home)
    yield made
    made.close()


def drawn(draw):
    given = {
        "age": draw.choice((None, 0, 17, 66, 2**53 + 1)),
        "spent": draw.choice((None, 0.0, -0.0, 12.35, 1e300, draw.uniform(-9, 99))),
        "city": draw.choice((None, "Zürich", "東京", "")),
    }
    return {name: value for name, value in given.items() if value is not None}


def test_skew(world, clary):
    draw, start = random.Random(4), now_us() / 1e6 - 1_000
    world.define()
    rows = [{"id": key, "at": start, **drawn(draw)} for key in range(100)]
    world.store.features.put_records(GROUP, rows)
    amounts = (None, math.nan, math.inf, 0.0, 2.5)
    for at in range(1_500):
        if at % 50 == 0:
            world.put(at % 100, now_us() / 1e6, **drawn(draw))
        world.store.view_log.vector(
            RISK,
            {"id": draw.randrange(100)},
            {"amount": draw.choice(amounts)},
            context={"model": "m"},
            request_id=f"r{at}",
        )
    assert world.store.facts.flush()
    said = clary("skew", "risk", "--json")
    assert (said.code, said.json["differences"]) == (0, [])
    assert said.json["cells"] == 1_500 * len(FEATURES) >= 10_000
    assert said.json["requests"] == 1_500
    assert said.json["from_source"]
    said = clary("skew", "risk")
    assert said.code == 0
    assert "0 differences" in said.err


def test_late_data_is_told(world, clary):
    start = now_us() / 1e6 - 1_000
    world.define()
    world.put(3, start + 500, age=30, spent=4.0)
    served = world.store.view_log.vector(RISK, {"id": 3}, {"amount": 2.0}, request_id="late")
    assert served["ratio"] == 2.0
    assert world.store.facts.flush()
    world.put(3, start + 600, age=30, spent=6.0)  # true before, known after
    said = clary("skew", "risk", "--request", "late", "--json")
    assert said.code == 1
    assert said.json["causes"] == {"late": 2}
    assert said.json["features"] == {"ratio": 1, "whole": 1}
    assert clary("skew", "risk", "--request", "late", "--logged-only").code == 0


def test_changed_code_is_told(world, clary):
    world.define()
    world.put(3, now_us() / 1e6 - 9, age=30, spent=4.0)
    world.store.view_log.vector(RISK, {"id": 3}, {"amount": 2.0}, request_id="r7")
    assert world.store.facts.flush()
    world.define(ratio="spent / (amount + 1)", more="1")
    said = clary("skew", "risk", "--request", "r7", "--logged-only", "--json")
    assert said.json["added"] == ["more"]
    assert set(said.json["causes"]) <= {"code"}
    said = clary("skew", "risk", "--logged-only")
    assert said.code == 1
    assert "of cause code" in said.err
    assert "amount + 1" in said.out
    assert clary("skew", "risk/1", "--logged-only").code == 0


def test_what_is_too_large_to_log_is_served_and_counted(world):
    world.define()
    world.put(3, now_us() / 1e6 - 9, city="x" * 200_000)
    served = world.store.view_log.vector(RISK, {"id": 3}, {"amount": 2.0})
    assert served["place"] == "X" * 200_000
    assert world.store.facts.flush()
    world.store.facts.close()
    (lost,) = [one for one in world.platform.recorder.totals() if one.metric.name == LOST]
    assert lost.tally.total == 1
    assert list(world.store.fact_queries.each(RISK)) == []


def test_what_there_is_not_is_said(world, clary):
    assert "does not exist" in clary("skew", "nothing").err
    world.define()
    said = clary("skew", "risk")
    assert said.code == 1
    assert "a logged request of risk does not exist" in said.err
    assert "is no version" in clary("skew", "risk/x").err


def test_a_session_stores_what_was_logged_before_it_ends(home):
    kind = Ref(DEFAULT_ACCOUNT, DEFAULT_REGION, "facts", "clicks")
    with connect(home) as session:
        assert session.platform.feature_store.facts.log(kind, "7", {"page": "cart"})
    with connect(home) as session:
        (fact,) = session.platform.feature_store.fact_queries.each(kind)
    assert fact.facts == {"page": "cart"}
