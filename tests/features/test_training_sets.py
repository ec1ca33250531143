"""Training sets on a real home: made, made again, and asked in SQL."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa
import pytest

from clary.config import Config
from clary.features.model import FEATURE_GROUP
from clary.features.training_sets import TRAINING_SET, Wanted, new_name
from clary.kernel.clock import now
from clary.kernel.errors import (
    AlreadyExists,
    Conflict,
    InvalidInput,
    LimitExceeded,
    NotFound,
)
from clary.kernel.names import Ref
from clary.kernel.resource import Bucket, Query
from clary.platform import open_platform

NEAR = Ref("123456789012", "us-east-1", TRAINING_SET, "-")
WHERE = {"account": NEAR.account, "region": NEAR.region}
LABELS = pa.table({"id": [1, 2, 1], "who": ["x", "y", "x"], "event_time": [25.0, 25.0, 15.0]})
WANTED = Wanted(("people.*", "visits.page"), keys={"visits": "who"})


@pytest.fixture
def store(tmp_path):
    """The feature store of a home with two groups."""
    opened = open_platform(Config(home=tmp_path))
    opened.objects.create_bucket(bucket())
    found = opened.feature_store
    make(found, "people", {"id": "Integral", "at": "Fractional", "income": "Fractional"})
    make(found, "visits", {"user": "String", "at": "Fractional", "page": "String"}, "user")
    for values in ({"id": 1, "at": 10.0, "income": 1.5}, {"id": 1, "at": 20.0, "income": 2.5}):
        put(found, "people", values)
    put(found, "visits", {"user": "x", "at": 1.0, "page": "home"})
    yield found
    opened.recorder.close()
    found.close()


def bucket():
    return Bucket("groups", NEAR.account, NEAR.region, now())


def make(store, name, kinds, identifier="id"):
    request = {
        "FeatureGroupName": name,
        "RecordIdentifierFeatureName": identifier,
        "EventTimeFeatureName": "at",
        "FeatureDefinitions": [
            {"FeatureName": one, "FeatureType": kind} for one, kind in kinds.items()
        ],
        "RoleArn": "arn:aws:iam::123456789012:role/features",
        "OfflineStoreConfig": {"S3StorageConfig": {"S3Uri": "s3://groups/here"}},
    }
    store.features.create(NEAR.sibling(FEATURE_GROUP, name), request, actor="ann")


def put(store, group, values):
    store.features.put_record(NEAR.sibling(FEATURE_GROUP, group), values)


def test_a_set_is_made_again_after_the_tables_went_on(store):
    ref = NEAR.sibling(TRAINING_SET, new_name())
    made = store.training_sets.make(ref, LABELS, WANTED, actor="ann")
    assert made.to("polars")["people.income"].to_list() == [2.5, None, 1.5]
    assert made.to("pandas")["visits.page"].isna().tolist() == [False, True, False]
    put(store, "people", {"id": 1, "at": 14.0, "income": 9.0})
    for group in ("people", "visits"):
        of = store.features.group(NEAR.sibling(FEATURE_GROUP, group))
        store.offline.compact(of.offline_table)
    again = store.training_sets.reproduce(ref)
    assert again.digest == made.digest
    assert again.table.equals(made.table)
    anew = store.training_sets.make(
        NEAR.sibling(TRAINING_SET, "anew"), LABELS.to_pandas(), WANTED, actor="ann"
    )
    assert anew.table["people.income"].to_pylist() == [2.5, None, 9.0]
    assert anew.digest != made.digest


def test_only_what_was_known_counts(store):
    early = Wanted(("people.income",), known_at=datetime(2020, 1, 1, tzinfo=UTC))
    late = Wanted(("people.income",), known_at=datetime(2200, 1, 1))
    own = Wanted(("people.income",), known_at="event_time")
    results = [
        store.training_sets.make(NEAR.sibling(TRAINING_SET, name), LABELS, one, actor="ann")
        .table["people.income"]
        .to_pylist()
        for name, one in (("early", early), ("late", late), ("own", own))
    ]
    assert results == [[None] * 3, [2.5, None, 1.5], [None] * 3]


def test_a_set_is_described_listed_and_forgotten(store):
    ref = NEAR.sibling(TRAINING_SET, "one")
    made = store.training_sets.make(ref, LABELS, WANTED, actor="ann")
    body = store.training_sets.describe(ref).body
    assert body["result"]["sha256"] == made.digest
    assert [one["source"]["name"] for one in body["question"]["sources"]] == ["people", "visits"]
    assert [one.ref for one in store.training_sets.list(Query(TRAINING_SET)).items] == [ref]
    with pytest.raises(AlreadyExists):
        store.training_sets.make(ref, LABELS, WANTED, actor="ann")
    store.training_sets.delete(ref, actor="ann")
    with pytest.raises(NotFound):
        store.training_sets.reproduce(ref)


def test_erased_rows_are_told(store):
    ref = NEAR.sibling(TRAINING_SET, "one")
    store.training_sets.make(ref, LABELS, WANTED, actor="ann")
    people = store.features.group(NEAR.sibling(FEATURE_GROUP, "people"))
    store.offline.erase(people.offline_table, ["1"])
    with pytest.raises(Conflict, match="came out as"):
        store.training_sets.reproduce(ref)


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        (Wanted(()), "features: there are none"),
        (Wanted(("people",)), "features: 'people' names none; legal: group.feature"),
        (Wanted(("people.income", "people.income")), "named twice"),
        (Wanted(("people.weight",)), "weight"),
        (Wanted(("people.income",), keys={"visits": "who"}), "keys: 'visits' is not asked for"),
        (Wanted(("people.income",), time="when"), "labels: has no column 'when'"),
    ],
)
def test_what_is_not_there_is_refused(store, wanted, says):
    with pytest.raises(InvalidInput) as refused:
        store.training_sets.make(NEAR.sibling(TRAINING_SET, "one"), LABELS, wanted, actor="ann")
    assert says in str(refused.value)


def ask(store, text, **more):
    return store.queries.run(text, **WHERE, **more).to_pylist()


def test_groups_are_tables_of_latest_records_and_of_all(store):
    put(store, "people", {"id": 2, "at": 5.0, "income": 7.0})
    store.features.delete_record(NEAR.sibling(FEATURE_GROUP, "people"), 2, "6.0")
    assert ask(store, "SELECT id, income FROM people") == [{"id": 1, "income": 2.5}]
    columns = "id, is_deleted, write_time > '2020-01-01' AS w"
    history = f"SELECT {columns} FROM history.people ORDER BY 1 DESC, 2"
    assert [(one["id"], one["is_deleted"], one["w"]) for one in ask(store, history)] == [
        (2, False, True),
        (2, True, True),
        (1, False, True),
        (1, False, True),
    ]
    joined = "WITH v AS (FROM visits) SELECT count(*) AS n FROM v, People p"
    assert ask(store, joined) == [{"n": 1}]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("SELECT * FROM nobody", "nobody"),
        ("SELECT * FROM '/etc/passwd'", "passwd"),
        ("SELECT * FROM read_text('/etc/passwd')", "disabled by configuration"),
        ("SELECT * FROM glob('/etc/*')", "disabled by configuration"),
        ("SELECT * FROM people; SELECT 1", "2 statements"),
        ("DROP VIEW people", "not offered"),
        ("COPY (SELECT 1) TO '/tmp/x'", "not offered"),
        ("SET memory_limit = '1TB'", "not offered"),
        ("SELECT", "query"),
    ],
)
def test_sql_reads_groups_and_nothing_else(store, text, says):
    with pytest.raises(Exception, match="") as refused:
        ask(store, text)
    assert says in str(refused.value)


def test_sql_that_takes_too_long_is_given_up(store):
    text = "SELECT count(*) FROM range(10000000) a, range(10000000) b WHERE a.range * b.range = 7"
    with pytest.raises(LimitExceeded, match=r"longer than 0\.2 s"):
        ask(store, text, timeout_s=0.2)
    with pytest.raises(LimitExceeded, match="262144"):
        ask(store, "SELECT 1 --" + " " * 300_000)
