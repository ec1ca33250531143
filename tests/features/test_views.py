"""Views on real stores: one definition by request, in batch, as rows come, and written down."""

import random
import threading
from dataclasses import replace
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from clary.config import Config
from clary.features.model import FEATURE_GROUP
from clary.features.training_sets import TRAINING_SET, Wanted
from clary.features.views import VIEW
from clary.kernel.errors import Conflict, InvalidInput, NotFound, Unavailable
from clary.kernel.names import Ref
from clary.kernel.resource import Bucket, Link
from clary.platform import open_platform

NOW = datetime.now(UTC).timestamp()
HOUR = 3600.0
DEFINITION = {
    "sources": {"customers": ["age"]},
    "aggregates": {
        "spent_7d": {"group": "payments", "function": "sum", "of": "amount", "window": "7d"},
        "often": {"group": "payments", "function": "count", "window": "1d"},
        "mean_90d": {"group": "payments", "function": "mean", "of": "amount", "window": "90d"},
        "shops": {"group": "payments", "function": "distinct", "of": "shop", "window": "2h"},
    },
    "inputs": {"amount": "Fractional"},
    "features": {
        "age": "age",
        "share": "amount / spent_7d",
        "spent": "spent_7d",
        "is_keen": "often > 2",
        "mean": "mean_90d",
        "shops": "shops",
    },
}


def ref(kind, name, version=0):
    return Ref("123456789012", "us-east-1", kind, name, version)


class World:
    def __init__(self, home):
        self.platform = open_platform(Config(home=home))
        self.store = self.platform.feature_store
        self.views = self.store.views

    def make(self):
        self.platform.objects.create_bucket(
            Bucket("features", "123456789012", "us-east-1", datetime.now(UTC))
        )
        self.group("customers", "id", age="Integral")
        self.group("payments", "id", amount="Fractional", shop="String")
        return self

    def group(self, name, identifier, **features):
        kinds = {identifier: "Integral", "at": "Fractional", **features}
        request = {
            "FeatureGroupName": name,
            "RecordIdentifierFeatureName": identifier,
            "EventTimeFeatureName": "at",
            "FeatureDefinitions": [
                {"FeatureName": key, "FeatureType": kind} for key, kind in kinds.items()
            ],
            "OnlineStoreConfig": {"EnableOnlineStore": True},
            "OfflineStoreConfig": {"S3StorageConfig": {"S3Uri": "s3://features/here"}},
        }
        self.store.features.create(ref(FEATURE_GROUP, name), request, actor="me")

    def put(self, group, **values):
        self.store.features.put_record(ref(FEATURE_GROUP, group), values)

    def define(self, definition=DEFINITION, name="spending"):
        return self.views.define(ref(VIEW, name), definition, actor="me").ref

    def refresh(self, view):
        self.store.freshness.run(self.views.describe(view), threading.Event())

    def batch(self, view, name, rows, known_at=None):
        labels = pa.table({key: [row[key] for row in rows] for key in rows[0]})
        wanted = Wanted([], time="t", known_at=known_at)
        return self.views.training_set(
            view, ref(TRAINING_SET, name), labels, wanted, actor="me"
        ).table

    def materialize(self, view, **spans):
        work = self.store.materializations
        made = work.start(view, actor="me", **spans)
        work.run(made, threading.Event())
        return work.describe(made.ref)


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path / "home").make()
    yield made
    made.store.close()


def test_a_definition_made_again_is_the_same_version(world):
    one = world.define()
    assert (one.version, world.define()) == (1, one)
    other = world.define({**DEFINITION, "features": {"age": "age + 1"}})
    assert other.version == 2
    assert world.views.describe(ref(VIEW, "spending")).ref == other
    assert world.views.describe(one).body["definition"]["features"]["age"] == "age"


def windowed(**changes):
    return {"group": "payments", "function": "sum", "of": "amount", "window": "1d", **changes}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"features": {"x": "nobody + 1"}}, "features.x"),
        ({"features": {"x": "count(age)"}}, "features.x"),
        ({"features": {"id": "age"}}, "features.id"),
        ({"features": {"x": "DATE '2026-01-01'"}}, "features.x"),
        ({"sources": {"customers": ["nothing"]}}, "nothing"),
        ({"sources": {"customers": {"age": "amount"}}}, "amount"),
        ({"aggregates": {"a": windowed(of="shop")}}, "aggregates.a.of"),
        ({"aggregates": {"a": windowed(window="1s")}}, "aggregates.a.window"),
        ({"aggregates": {"a": windowed(function="median")}}, "aggregates"),
        ({"inputs": {"amount": "Double"}}, "inputs"),
        ({"unknown": 1}, "unknown"),
    ],
)
def test_what_makes_no_sense_is_refused(world, changes, said):
    with pytest.raises(InvalidInput, match=said):
        world.define({"features": {"x": "age"}, "sources": {"customers": ["age"]}, **changes})


def test_a_group_that_is_not_there(world):
    with pytest.raises(NotFound, match="nobody"):
        world.define({"features": {"x": "x"}, "sources": {"nobody": ["x"]}})


def test_requests_equal_batch_as_rows_come_late_corrected_deleted_and_flushed(world):
    random.seed(7)
    view = world.define()
    with pytest.raises(Unavailable):
        world.views.vector(view, {"id": 1})
    for turn in range(6):
        for _ in range(25):
            entity, hours = random.randint(1, 3), random.choice([0, 1, 2, 3, 30, 200, 2000])
            world.put(
                "payments",
                id=entity,
                at=NOW - hours * HOUR - random.choice([0, 5]),
                amount=random.choice([None, 0.1, 1e16, -1e16, 3.7]),
                shop=random.choice("abc"),
            )
        world.put("customers", id=turn % 3 + 1, at=NOW - 9 * HOUR, age=turn)
        if turn == 3:
            where = ref(FEATURE_GROUP, "payments")
            world.store.features.delete_record(where, 2, str(NOW - 25 * HOUR))
        if turn % 2:
            group = world.store.features.group(ref(FEATURE_GROUP, "payments"))
            world.store.offline.flush(group.offline_table)
        if turn == 4:
            world.store.offline.compact(group.offline_table)
        world.refresh(view)
        rows = [{"id": key, "t": datetime.now(UTC), "amount": 2.5} for key in (1, 2, 3, 4)]
        found = world.batch(view, f"set-{turn}", rows).to_pylist()
        for row, cells in zip(rows, found, strict=True):
            at_us = int(row["t"].timestamp() * 1e6)
            inputs = [{"amount": 2.5}]
            vector = world.views.compute(view, [{"id": row["id"]}], inputs, at_us=at_us)[0]
            assert {name: cells[name] for name in vector} == vector


def test_adding_rows_again_changes_nothing(world):
    view = world.define()
    world.put("payments", id=1, at=NOW - HOUR, amount=2.0, shop="a")
    world.refresh(view)
    store = world.platform.store
    found = world.views.describe(view)
    with store.begin() as change:  # as if killed before the position was kept
        held = change.get(found.ref)
        change.update(replace(held, body={**held.body, "seen": {}}))
    world.put("payments", id=1, at=NOW - 2 * HOUR, amount=3.0, shop="b")
    world.refresh(view)
    vector = world.views.vector(view, {"id": 1}, {"amount": 5})
    assert (vector["spent"], vector["share"], vector["mean"]) == (5.0, 1.0, 2.5)


def test_a_worker_keeps_a_view_fresh(world):
    view = world.define()
    world.platform.worker.start()
    try:
        world.put("payments", id=1, at=NOW - HOUR, amount=2.0, shop="a")
        deadline = datetime.now(UTC).timestamp() + 60
        spent = None
        while spent != 2.0 and datetime.now(UTC).timestamp() < deadline:
            try:
                spent = world.views.vector(view, {"id": 1})["spent"]
            except Unavailable:
                continue
        assert spent == 2.0
    finally:
        world.platform.worker.stop()


def test_known_at_and_made_again(world):
    view = world.define()
    world.put("payments", id=1, at=NOW - HOUR, amount=2.0, shop="a")
    before = datetime.now(UTC)
    world.put("payments", id=1, at=NOW - 2 * HOUR, amount=3.0, shop="b")
    rows = [{"id": 1, "t": datetime.now(UTC), "amount": 1.0, "y": 1}]
    assert world.batch(view, "late", rows).to_pylist()[0]["spent"] == 5.0
    known = world.batch(view, "known", rows, known_at=before)
    assert known.to_pylist()[0]["spent"] == 2.0
    assert known.column_names == ["id", "t", "amount", "y", *DEFINITION["features"]]
    world.put("payments", id=1, at=NOW - 3 * HOUR, amount=4.0, shop="b")
    again = world.views.reproduce(ref(TRAINING_SET, "late")).table
    assert again.to_pylist()[0]["spent"] == 5.0


def test_a_model_goes_back_to_the_version_it_was_trained_on(world):
    view = world.define()
    rows = [{"id": 1, "t": datetime.now(UTC), "amount": 1.0}]
    world.batch(view, "data", rows)
    model, job = ref("model", "m"), ref("training-job", "j")
    with world.platform.store.begin() as change:
        change.link(Link(ref(TRAINING_SET, "data"), "ContributedTo", job))
        change.link(Link(job, "Produced", model))
    assert world.views.trained_on(model) == view
    with pytest.raises(NotFound):
        world.views.trained_on(ref("model", "other"))
    world.batch(world.define(name="other"), "more", rows)
    with world.platform.store.begin() as change:
        change.link(Link(ref(TRAINING_SET, "more"), "ContributedTo", job))
    with pytest.raises(Conflict):
        world.views.trained_on(model)


def test_what_is_written_down_is_a_group_and_is_there_once(world):
    for key in (1, 2):
        world.put("customers", id=key, at=NOW - HOUR, age=key * 10)
        world.put("payments", id=key, at=NOW - HOUR, amount=float(key), shop="a")
    view = world.define()
    until = datetime.now(UTC)
    done = world.materialize(view, until=until)
    assert (done.status, done.body["count"]) == ("Completed", 2)
    group = ref(FEATURE_GROUP, "spending-v1")
    found = world.store.features.get_record(group, 2)
    assert (found["age"], found["spent"], found["is_keen"], found["shops"]) == (20, 2.0, 0, 1)
    assert "share" not in found
    again = world.materialize(view, until=until)  # as if killed before anything was noted
    table = world.store.features.group(group).offline_table
    assert again.status == "Completed"
    assert len(world.store.offline.snapshot(table).unflushed) == 0
    world.store.offline.flush(table)
    files = world.store.offline.files(table)
    assert sum(pq.read_table(file).num_rows for file in files) == 2


def test_a_part_of_the_entities_since_a_time(world):
    plain = {"sources": {"customers": ["age"]}, "features": {"age": "age"}}
    view = world.define(plain, "ages")
    world.put("customers", id=1, at=NOW - 5 * HOUR, age=1)
    since = datetime.now(UTC)
    world.put("customers", id=2, at=NOW - HOUR, age=2)
    done = world.materialize(view, since=since)
    assert (done.status, done.body["count"]) == ("Completed", 1)
    world.put("customers", id=1, at=NOW - 4 * HOUR, age=3)  # late
    assert world.materialize(view, since=since).body["count"] == 2


def test_what_cannot_be_written_down_is_refused(world):
    only = {
        "features": {"x": "amount"},
        "inputs": {"amount": "Fractional"},
        "sources": {"customers": ["age"]},
    }
    with pytest.raises(InvalidInput, match="needs a request"):
        world.materialize(world.define(only))
    world.group("shops", "shop_id", size="Integral")
    both = {"sources": {"customers": ["age"], "shops": ["size"]}, "features": {"x": "age + size"}}
    view = world.define(both, "both")
    with pytest.raises(InvalidInput, match="one identifier"):
        world.materialize(view)
    world.put("customers", id=1, at=NOW, age=1)
    world.put("shops", shop_id=7, at=NOW, size=2)
    assert world.views.vector(view, {"id": 1, "shop_id": 7}) == {"x": 3}
    with pytest.raises(InvalidInput, match="shop_id"):
        world.views.vector(view, {"id": 1})


def test_a_failing_expression_ends_a_materialization_with_its_reason(world):
    world.put("customers", id=1, at=NOW - HOUR, age=2**62)
    view = world.define({"sources": {"customers": ["age"]}, "features": {"x": "age * 4"}})
    done = world.materialize(view)
    assert done.status == "Failed"
    assert "features" in done.body["reason"]
    with pytest.raises(InvalidInput):
        world.views.vector(view, {"id": 1})


def test_inputs_are_checked(world):
    ages = {"sources": {"customers": ["age"]}}
    view = world.define({**ages, "inputs": {"n": "Integral"}, "features": {"x": "n + age"}})
    for inputs in ({"n": "many"}, {"m": 1}, {"n": 2**63}):
        with pytest.raises(InvalidInput, match="inputs"):
            world.views.vector(view, {"id": 1}, inputs)
    assert world.views.vector(view, {"id": 1}, {}) == {"x": None}


def test_a_version_that_is_deleted_leaves_the_others(world):
    one = world.define()
    two = world.define({**DEFINITION, "features": {"age": "age"}})
    world.views.delete(one, actor="me")
    with pytest.raises(NotFound):
        world.views.describe(one)
    assert world.views.describe(ref(VIEW, "spending")).ref == two
    assert world.define().version == 3


def test_a_view_whose_group_is_deleted_rests(world):
    view = world.define()
    world.store.features.delete(ref(FEATURE_GROUP, "payments"), actor="me")
    world.refresh(view)
    with pytest.raises(NotFound, match="payments"):
        world.views.vector(view, {"id": 1})
