"""Offline records asked by the unmodified SDK: in SQL, and as datasets."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pandas as pd
import sagemaker
from sagemaker.feature_store.feature_group import FeatureGroup
from sagemaker.feature_store.feature_store import FeatureStore

session = sagemaker.Session()
role = sagemaker.get_execution_role()
place = f"s3://{session.default_bucket()}/datasets"
BEGAN = 1_700_000_000.0


def made(name, frame, event_time):
    """Make a group of a frame's columns and fill it."""
    group = FeatureGroup(name=name, sagemaker_session=session)
    group.load_feature_definitions(data_frame=frame)
    group.create(place, "customer", event_time, role, enable_online_store=False)
    while group.describe()["FeatureGroupStatus"] == "Creating":
        time.sleep(0.1)
    group.ingest(data_frame=frame, max_workers=1)
    return group


def shown(frame):
    """Write rows in an order of their own."""
    return sorted(frame.astype(str).itertuples(index=False, name=None))


people = made(
    "people",
    pd.DataFrame(
        {
            "customer": [1, 1, 2, 2, 3],
            "at": [BEGAN, BEGAN + 20, BEGAN, BEGAN + 40, BEGAN],
            "income": [10.0, 11.0, 20.0, 21.0, 30.0],
        }
    ),
    "at",
)
days = [f"{datetime.fromtimestamp(BEGAN + n, UTC):%Y-%m-%dT%H:%M:%SZ}" for n in (5, 35)]
visits = made(
    "visits",
    pd.DataFrame({"customer": [1, 2], "seen": days, "page": ["a", "b"]}).astype(
        {"seen": "string", "page": "string"}
    ),
    "seen",
)

query = people.athena_query()
query.run(f'SELECT count(*) AS n, max(income) AS top FROM "{query.table_name}"', place)
query.wait()
print("SQL", query.as_dataframe().to_dict("records"))

store = FeatureStore(sagemaker_session=session)
labels = pd.DataFrame(
    {"customer": [1, 2, 3], "moment": [BEGAN + 30, BEGAN + 30, BEGAN - 30], "bought": [1, 0, 1]}
)
exact = store.create_dataset(
    base=labels,
    output_path=place,
    record_identifier_feature_name="customer",
    event_time_identifier_feature_name="moment",
).with_feature_group(people, included_feature_names=["income"])
frame, text = exact.point_in_time_accurate_join().to_dataframe()
print("EXACT", list(frame.columns), shown(frame.drop(columns=["moment"])))

file, text = (
    store.create_dataset(base=people, output_path=place)
    .with_feature_group(visits, included_feature_names=["page"])
    .point_in_time_accurate_join()
    .with_number_of_recent_records_by_record_identifier(1)
    .to_csv_file()
)
print("FILE", file.startswith(place), file.endswith(".csv"), text.startswith("WITH fg_base"))

people.delete_record("3", str(BEGAN + 1))
frame, _ = store.create_dataset(base=people, output_path=place).to_dataframe()
print("KEPT", sorted(frame["customer"]))
frame, _ = (
    store.create_dataset(base=people, output_path=place).as_of(datetime(2020, 1, 1)).to_dataframe()
)
print("BEFORE", len(frame))
frame, _ = (
    store.create_dataset(base=people, output_path=place)
    .as_of(datetime(2100, 1, 1))
    .with_event_time_range(ending_timestamp=datetime.fromtimestamp(BEGAN + 20, UTC))
    .to_dataframe()
)
print("SINCE", shown(frame))
