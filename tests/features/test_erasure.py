from datetime import UTC, datetime

import pytest

from clary.adapters.delta_records import DeltaRecords
from clary.adapters.files import FileObjects
from clary.adapters.lmdb_records import LmdbRecords
from clary.adapters.sqlite import SqliteStore
from clary.features.erasure import Erasure
from clary.features.service import Features
from clary.kernel.errors import NotFound
from clary.kernel.names import DEFAULT_ACCOUNT, DEFAULT_REGION, Ref
from clary.kernel.resource import Bucket
from clary.testing.offline_store import rows

REF = Ref(DEFAULT_ACCOUNT, DEFAULT_REGION, "feature-group", "people")


def test_an_erased_entity_is_nowhere(tmp_path):
    store, objects = SqliteStore(tmp_path / "metadata.db"), FileObjects(tmp_path / "buckets")
    online = LmdbRecords(tmp_path / "online")
    offline = DeltaRecords(tmp_path / "buckets", tmp_path / "offline")
    features = Features(store, objects, online, offline)
    erasure = Erasure(store, features, online, offline)
    objects.create_bucket(Bucket("bucket", DEFAULT_ACCOUNT, DEFAULT_REGION, datetime.now(UTC)))
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
