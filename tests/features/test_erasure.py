from datetime import UTC, datetime

import pytest

from clary.config import Config
from clary.kernel.errors import NotFound
from clary.kernel.names import DEFAULT_ACCOUNT, DEFAULT_REGION, Ref
from clary.kernel.resource import Bucket
from clary.platform import open_platform
from clary.testing.offline_store import rows

REF = Ref(DEFAULT_ACCOUNT, DEFAULT_REGION, "feature-group", "people")


def test_an_erased_entity_is_nowhere(tmp_path):
    platform = open_platform(Config(home=tmp_path))
    store, features = platform.store, platform.features
    erasure, offline = platform.feature_store.erasure, platform.feature_store.offline
    platform.objects.create_bucket(
        Bucket("bucket", DEFAULT_ACCOUNT, DEFAULT_REGION, datetime.now(UTC))
    )
    with pytest.raises(NotFound):
        erasure.erase(REF, ["Ada"], actor="test")
    request = {
        "FeatureGroupName": "people",
        "RecordIdentifierFeatureName": "name",
        "EventTimeFeatureName": "at",
        "FeatureDefinitions": [
            {"FeatureName": "name", "FeatureType": "String"},
            {"FeatureName": "at", "FeatureType": "Fractional"},
        ],
        "OnlineStoreConfig": {"EnableOnlineStore": True},
        "OfflineStoreConfig": {"S3StorageConfig": {"S3Uri": "s3://bucket/prefix"}},
    }
    features.create(REF, request, actor="test")
    table = features.group(REF).offline_table
    for at in range(3):
        features.put_records(REF, [{"name": name, "at": float(at)} for name in ("Ada", "Kurt")])
        offline.flush(table)
    erasure.erase(REF, ["Ada"], actor="test")
    assert features.get_record(REF, "Ada") is None
    assert features.get_record(REF, "Kurt") is not None
    assert [row["name"] for row in rows(offline, table)] == ["Kurt"] * 3
    content = b"".join(path.read_bytes() for path in tmp_path.rglob("*.parquet"))
    assert b"Kurt" in content
    assert b"Ada" not in content
    (event,) = [one for one in store.events(ref=REF) if one.action == "feature-group.erased"]
    assert event.detail == {"entities": 1}
    platform.feature_store.close()
