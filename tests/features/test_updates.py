"""Changes of one record by several processes at once: all of them are in it."""

import subprocess
import sys

import pytest

from clary.config import Config
from clary.features.model import FEATURE_GROUP
from clary.kernel.clock import now
from clary.kernel.errors import Conflict
from clary.kernel.names import DEFAULT_ACCOUNT, DEFAULT_REGION, Ref
from clary.kernel.resource import Bucket
from clary.platform import open_platform

REF = Ref(DEFAULT_ACCOUNT, DEFAULT_REGION, FEATURE_GROUP, "changed")
CHANGES = 40
PROGRAM = """
import sys
from pathlib import Path
from clary.config import Config
from clary.kernel.names import DEFAULT_ACCOUNT, DEFAULT_REGION, Ref
from clary.platform import open_platform
home, mine, count = sys.argv[1:]
ref = Ref(DEFAULT_ACCOUNT, DEFAULT_REGION, "feature-group", "changed")
platform = open_platform(Config(home=Path(home)))
print("ready", flush=True)
sys.stdin.readline()
for number in range(1, int(count) + 1):
    platform.feature_store.updates.update(ref, "k", {mine: str(number)})
    found = platform.features.get_record(ref, "k")
    assert found[mine] == number, (mine, number, found)
"""


@pytest.fixture
def platform(tmp_path):
    opened = open_platform(Config(home=tmp_path))
    bucket = Bucket("bucket", DEFAULT_ACCOUNT, DEFAULT_REGION, now())
    opened.objects.create_bucket(bucket)
    kinds = {"id": "String", "at": "Fractional", "a": "Integral", "b": "Integral"}
    request = {
        "FeatureGroupName": REF.name,
        "RecordIdentifierFeatureName": "id",
        "EventTimeFeatureName": "at",
        "FeatureDefinitions": [
            {"FeatureName": name, "FeatureType": kind} for name, kind in kinds.items()
        ],
        "OnlineStoreConfig": {"EnableOnlineStore": True},
        "OfflineStoreConfig": {"S3StorageConfig": {"S3Uri": "s3://bucket/prefix"}},
    }
    opened.features.create(REF, request, actor="me")
    opened.features.put_record(REF, {"id": "k", "at": 1.0, "a": 0, "b": 0})
    yield opened
    opened.feature_store.close()


def test_two_processes_lose_no_change(platform, tmp_path):
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(tmp_path), name, str(CHANGES)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in ("a", "b")
    ]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        process.communicate(timeout=60)
        assert process.returncode == 0
    found = platform.features.get_record(REF, "k")
    assert (found["a"], found["b"]) == (CHANGES, CHANGES)
    table = platform.features.group(REF).offline_table
    rows = [record for _, record in platform.feature_store.offline.snapshot(table).unflushed]
    latest = max(rows, key=lambda one: (one.event_us, one.write_us))
    assert latest.values == ("k", 1.0, CHANGES, CHANGES)


def test_a_record_that_is_put_meanwhile_is_what_is_changed(platform, monkeypatch):
    features = platform.features
    read, left = features.get_records, [2]

    def interrupted(asked):
        found = read(asked)
        if left[0]:
            left[0] -= 1
            features.put_record(REF, {"id": "k", "at": 2.0, "a": left[0], "b": 7})
        return found

    monkeypatch.setattr(features, "get_records", interrupted)
    platform.feature_store.updates.update(REF, "k", {"at": "2.0", "a": "5"})
    monkeypatch.undo()
    found = features.get_record(REF, "k")
    assert (found["a"], found["b"]) == (5, 7)


def test_a_record_that_changes_all_the_time_is_a_conflict(platform, monkeypatch):
    features = platform.features
    read = features.get_records

    def interrupted(asked):
        found = read(asked)
        features.put_record(REF, {"id": "k", "at": 1.0, "a": 1, "b": 1})
        return found

    monkeypatch.setattr(features, "get_records", interrupted)
    with pytest.raises(Conflict, match="all the time"):
        platform.feature_store.updates.update(REF, "k", {"a": "5"})
