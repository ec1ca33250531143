"""A feature group's life by the unmodified SDK."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import sagemaker
from sagemaker.feature_store.feature_definition import (
    FeatureDefinition,
    FeatureTypeEnum,
    ListCollectionType,
    StringFeatureDefinition,
)
from sagemaker.feature_store.feature_group import FeatureGroup, IngestionError
from sagemaker.feature_store.feature_store import FeatureStore
from sagemaker.feature_store.inputs import (
    DeletionModeEnum,
    FeatureParameter,
    FeatureValue,
    Filter,
    Identifier,
    OnlineStoreConfigUpdate,
    ResourceEnum,
    TtlDuration,
)

ROWS = 120
session = sagemaker.Session()
role = sagemaker.get_execution_role()
began = round(time.time()) - 3600
frame = pd.DataFrame(
    {
        "customer": np.arange(ROWS),
        "at": np.full(ROWS, float(began)),
        "income": np.where(np.arange(ROWS) % 4 == 0, np.nan, np.arange(ROWS) / 8),
        "city": pd.Series(["Łódź", "Turin"] * (ROWS // 2), dtype="string"),
    }
)

group = FeatureGroup(name="customers", sagemaker_session=session)
group.load_feature_definitions(data_frame=frame)
group.feature_definitions.append(
    FeatureDefinition("visits", FeatureTypeEnum.INTEGRAL, ListCollectionType())
)
group.create(
    s3_uri=f"s3://{session.default_bucket()}/features",
    record_identifier_name="customer",
    event_time_feature_name="at",
    role_arn=role,
    enable_online_store=True,
    description="who buys",
    tags=[{"Key": "team", "Value": "sales"}],
    ttl_duration=TtlDuration(unit="Weeks", value=2),
)
while group.describe()["FeatureGroupStatus"] == "Creating":
    time.sleep(0.1)
print("BEGAN", began)
print("MADE", group.describe()["FeatureGroupStatus"], group.describe()["Description"])

frame["visits"] = [[n, n + 1] for n in range(ROWS)]
group.ingest(data_frame=frame, max_workers=1)
later = frame.assign(at=began + 60.0, income=1.0)
manager = group.ingest(data_frame=later[: ROWS // 2], max_workers=3, wait=True)
print("FAILED", manager.failed_rows)


def read(key, *names):
    found = group.get_record(str(key), list(names) or None) or []
    return {
        one["FeatureName"]: one.get("ValueAsString", one.get("ValueAsStringList")) for one in found
    }


print("ONE", read(1))
print("LATE", read(ROWS - 1, "income", "visits"), read(ROWS))
try:
    group.ingest(data_frame=pd.DataFrame({"customer": [1, 2], "at": [float(began), 4e12]}))
except IngestionError as error:
    print("REFUSED", error.failed_rows)

group.put_record(
    [
        FeatureValue("customer", "1"),
        FeatureValue("at", str(began + 90)),
        FeatureValue("city", "Ulm"),
    ]
)
print("PUT", read(1))
group.delete_record("1", str(began + 100))
group.delete_record("2", str(began + 100), DeletionModeEnum.HARD_DELETE)
print("DELETED", read(1), read(2))

group.update([StringFeatureDefinition("segment")])
group.update(online_store_config=OnlineStoreConfigUpdate(ttl_duration=TtlDuration("Hours", 9)))
while group.describe()["LastUpdateStatus"]["Status"] == "InProgress":
    time.sleep(0.1)
group.put_record(
    [
        FeatureValue("customer", "3"),
        FeatureValue("at", str(began + 90)),
        FeatureValue("segment", "b"),
    ]
)
print("UPDATED", read(3), group.describe()["OnlineStoreConfig"]["TtlDuration"])
group.update_feature_metadata(
    "segment", description="by value", parameter_additions=[FeatureParameter("owner", "ann")]
)
told = group.describe_feature_metadata("segment")
print("SAID", told["Description"], group.list_parameters_for_feature_metadata("segment"))
print("TAGS", group.list_tags())

store = FeatureStore(sagemaker_session=session)
names = [one["FeatureGroupName"] for one in store.list_feature_groups()["FeatureGroupSummaries"]]
(found,) = store.search(
    resource=ResourceEnum.FEATURE_GROUP, filters=[Filter(name="Tags.team", value="sales")]
)["Results"]
told = store.batch_get_record(
    [Identifier("customers", ["3", "nobody", "4"], feature_names=["segment", "city"])]
)
values = [[value["ValueAsString"] for value in one["Record"]] for one in told["Records"]]
print("BATCH", values, len(told["Errors"]))
print("FOUND", names, found["FeatureGroup"]["FeatureGroupName"])
print(group.as_hive_ddl().splitlines()[0])
group.delete()
while store.list_feature_groups(name_contains="customers")["FeatureGroupSummaries"]:
    time.sleep(0.1)
print("GONE")
