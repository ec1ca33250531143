"""Groups and records in this process, on real stores."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest

from clary.config import Config
from clary.features.model import FEATURE_GROUP
from clary.kernel.errors import InvalidInput, NotFound
from clary.kernel.names import Ref
from clary.kernel.resource import Bucket
from clary.platform import open_platform

REF = Ref("123456789012", "us-east-1", FEATURE_GROUP, "customers")
AT = datetime(2024, 1, 1, tzinfo=UTC)
REQUEST = {
    "FeatureGroupName": "customers",
    "RecordIdentifierFeatureName": "id",
    "EventTimeFeatureName": "at",
    "FeatureDefinitions": [
        {"FeatureName": "id", "FeatureType": "Integral"},
        {"FeatureName": "at", "FeatureType": "Fractional"},
        {"FeatureName": "city", "FeatureType": "String"},
    ],
    "OnlineStoreConfig": {"EnableOnlineStore": True},
    "OfflineStoreConfig": {"S3StorageConfig": {"S3Uri": "s3://features"}},
}


def opened(home):
    platform = open_platform(Config(home=home))
    if not platform.objects.buckets():
        platform.objects.create_bucket(Bucket("features", REF.account, REF.region, AT))
    return platform


@pytest.fixture
def platform(tmp_path):
    made = opened(tmp_path)
    yield made
    made.feature_store.close()


@pytest.fixture
def features(platform):
    platform.features.create(REF, REQUEST, actor="ann")
    return platform.features


def kept(platform):
    group = platform.features.group(REF)
    return list(platform.feature_store.offline.snapshot(group.offline_table).unflushed)


def test_records_are_in_both_stores(features, platform):
    features.put_record(REF, {"id": 1, "at": AT, "city": "Ulm"})
    features.put_record(REF, {"id": 1, "at": AT, "city": "Bonn"})
    assert features.get_record(REF, 1) == {"id": 1, "at": AT.timestamp(), "city": "Bonn"}
    assert features.get_record(REF, "1", ["city", "at"]) == {"city": "Bonn", "at": AT.timestamp()}
    assert [record.values[2] for _, record in kept(platform)] == ["Ulm", "Bonn"]
    times = [record.write_us for _, record in kept(platform)]
    assert times == sorted(set(times))


def test_a_store_may_be_chosen(features, platform):
    features.put_record(REF, {"id": 1, "at": AT}, stores=["offline"])
    assert features.get_record(REF, 1) is None
    features.put_record(REF, {"id": 1, "at": AT}, stores=["online"])
    assert features.get_record(REF, 1) is not None
    features.delete_record(REF, 1, str(AT.timestamp()), stores=["online"])
    assert features.get_record(REF, 1) is None
    assert [record.is_deleted for _, record in kept(platform)] == [False]


def test_a_batch_with_a_wrong_row_is_refused_or_written_without_it(features):
    rows = [{"id": 1, "at": AT}, {"id": 2, "at": AT, "city": 7}, {"id": 3, "at": AT}]
    with pytest.raises(InvalidInput, match="row 1: city: 7; legal: text"):
        features.put_records(REF, rows)
    assert features.get_record(REF, 1) is None
    wrong = features.put_records(REF, rows, partial=True)
    assert {at: error.field for at, error in wrong.items()} == {1: "city"}
    assert [features.get_record(REF, key) is None for key in (1, 2, 3)] == [False, True, False]
    assert features.put_records(REF, []) == {}


def test_many_threads_write_one_entity(features, platform):
    start = threading.Barrier(8)

    def write(number):
        start.wait()
        for turn in range(10):
            at = AT + timedelta(seconds=turn)
            features.put_record(REF, {"id": 1, "at": at, "city": f"{number}-{turn}"})

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    history = [record for _, record in kept(platform)]
    assert len(history) == 80
    latest = max(history, key=lambda record: (record.event_us, record.write_us))
    assert features.get_record(REF, 1)["city"] == latest.values[2]


def test_what_another_process_adds_is_known_when_it_is_asked_for(features, platform):
    other = opened(platform.config.home)
    city = {"id": 1, "at": AT, "city": "Ulm"}
    other.features.put_record(REF, city)
    added = {"FeatureAdditions": [{"FeatureName": "age", "FeatureType": "Integral"}]}
    features.update(REF, added, actor="ann")
    other.features.put_record(REF, {**city, "age": 7})
    assert features.get_record(REF, 1)["age"] == 7
    with pytest.raises(InvalidInput, match="name: is no feature"):
        other.features.put_record(REF, {**city, "name": "x"})
    other.feature_store.close()


def test_a_deletion_begun_by_a_process_that_died_is_finished(features, platform):
    features.put_record(REF, {"id": 1, "at": AT})
    table = features.group(REF).online_table
    features.delete(REF, actor="ann")
    with pytest.raises(NotFound):
        features.group(REF)
    found = platform.store.get(REF)
    assert found.status == "Deleting"
    platform.feature_store.online.drop(table)  # as far as it came
    features.run(found, threading.Event())
    assert platform.store.get(REF) is None
    assert platform.feature_store.online.count(table) == 0
    features.create(REF, REQUEST, actor="ann")
    assert features.get_record(REF, 1) is None
    assert features.group(REF).online_table != table


def test_groups_of_an_account_are_yielded_by_name(features):
    for name in ("b", "a"):
        ref = REF.sibling(FEATURE_GROUP, name)
        features.create(ref, {**REQUEST, "FeatureGroupName": name}, actor="ann")
    assert [group.ref.name for group in features.groups(REF.account, REF.region)] == [
        "a",
        "b",
        "customers",
    ]
    assert list(features.groups("999999999999", REF.region)) == []


@pytest.mark.parametrize(
    ("uri", "problem"),
    [
        ("s3://nowhere/x", "no bucket 'nowhere'"),
        ("s3://features/../x", "no table can lie below"),
        ("s3://features//x", "no table can lie below"),
        ("s3://", "no table can lie below"),
        ("https://features/x", "no table can lie below"),
    ],
)
def test_tables_lie_in_a_bucket_of_the_account(platform, uri, problem):
    request = {**REQUEST, "OfflineStoreConfig": {"S3StorageConfig": {"S3Uri": uri}}}
    with pytest.raises(InvalidInput, match=problem):
        platform.features.create(REF, request, actor="ann")
