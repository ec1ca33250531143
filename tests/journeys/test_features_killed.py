"""A killed server's records: every one that was acknowledged is in both stores, once."""

from __future__ import annotations

import os
import random
import signal
import threading
from collections import Counter

from botocore.exceptions import BotoCoreError, ClientError
from tests.journeys.conftest import serving

from clary.config import Config
from clary.features.model import FEATURE_GROUP
from clary.governance.presence import find
from clary.kernel.names import Ref
from clary.platform import open_platform

NAME = "killed"
KILLS, WRITERS = 2, 4
REQUEST = {
    "FeatureGroupName": NAME,
    "RecordIdentifierFeatureName": "id",
    "EventTimeFeatureName": "at",
    "FeatureDefinitions": [
        {"FeatureName": "id", "FeatureType": "String"},
        {"FeatureName": "at", "FeatureType": "Fractional"},
    ],
    "OnlineStoreConfig": {"EnableOnlineStore": True},
    "OfflineStoreConfig": {"S3StorageConfig": {"S3Uri": "s3://killed"}},
    "RoleArn": "arn:aws:iam::123456789012:role/features",
}


def test_acknowledged_records_are_in_both_stores_once(tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    path, chance = tmp_path / "home", random.Random(5)
    acknowledged: list[str] = []
    for life in range(KILLS):
        with serving(path) as home:
            if not life:
                home.client("s3").create_bucket(Bucket="killed")
                home.client("sagemaker").create_feature_group(**REQUEST)
            writers = [
                threading.Thread(target=write, args=(home, f"{life}-{number}", acknowledged))
                for number in range(WRITERS)
            ]
            target = len(acknowledged) + chance.randrange(5, 150)
            for writer in writers:
                writer.start()
            while len(acknowledged) < target:
                writers[0].join(0.001)
            os.kill(find(path).pid, signal.SIGKILL)
            for writer in writers:
                writer.join()
    online, offline = held(path)
    assert len(acknowledged) == len(set(acknowledged))
    assert online >= set(acknowledged)
    assert all(offline[key] == 1 for key in acknowledged)
    assert set(offline) >= online, "nothing was served that history does not know"
    assert max(offline.values()) == 1
    assert len(offline) <= len(acknowledged) + KILLS * WRITERS


def write(home, prefix, acknowledged):
    runtime = home.client("sagemaker-featurestore-runtime")
    number = 0
    try:
        while True:
            number += 1
            record = {"id": f"{prefix}-{number}", "at": str(number)}
            runtime.put_record(
                FeatureGroupName=NAME,
                Record=[{"FeatureName": name, "ValueAsString": record[name]} for name in record],
            )
            acknowledged.append(record["id"])
    except (BotoCoreError, ClientError):
        return


def held(path):
    """Give the keys that are online, and how often each is offline."""
    platform = open_platform(Config(home=path))
    stores = platform.feature_store
    group = platform.features.group(Ref("123456789012", "us-east-1", FEATURE_GROUP, NAME))
    online = {one.key for one in stores.online.list(group.online_table, limit=100_000)}
    rows = stores.offline.snapshot(group.offline_table)
    assert rows.files == ()
    offline = Counter(record.key for _, record in rows.unflushed)
    stores.close()
    return online, offline
