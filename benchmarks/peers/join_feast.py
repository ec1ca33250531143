"""A point-in-time join by Feast; prints its CPU seconds, seconds and peak bytes as JSON.

Run by Feast's own interpreter with the labels' Parquet file, that of the rows, a folder, how many
features, and the name of an offline store: `dask` or `duckdb`.
"""

import json
import sys
import time
import warnings
from datetime import timedelta
from pathlib import Path

warnings.filterwarnings("ignore")

import pandas as pd  # noqa: E402 - its import warns
from feast import Entity, FeatureStore, FeatureView, Field, FileSource  # noqa: E402 - the same
from feast.types import Float64  # noqa: E402 - the same
from feast.value_type import ValueType  # noqa: E402 - the same

LABELS, ROWS, FOLDER, WIDTH, STORE = *sys.argv[1:4], int(sys.argv[4]), sys.argv[5]
SETTINGS = f"""project: join
registry: registry.db
provider: local
offline_store:
    type: {STORE}
entity_key_serialization_version: 3
"""


def main():
    folder = Path(FOLDER)
    folder.mkdir(exist_ok=True)
    (folder / "feature_store.yaml").write_text(SETTINGS)
    source = FileSource(
        path=ROWS, timestamp_field="event_timestamp", created_timestamp_column="created"
    )
    entity = Entity(name="entity", join_keys=["entity_id"], value_type=ValueType.INT64)
    names = [f"f{n}" for n in range(WIDTH)]
    view = FeatureView(
        name="numbers",
        entities=[entity],
        schema=[Field(name=name, dtype=Float64) for name in names],
        source=source,
        ttl=timedelta(0),
    )
    store = FeatureStore(repo_path=str(folder))
    store.apply([entity, view])
    labels = pd.read_parquet(LABELS)
    cpu, begin = time.process_time(), time.perf_counter()
    features = [f"numbers:{name}" for name in names]
    found = store.get_historical_features(entity_df=labels, features=features).to_df()
    took, cpu = time.perf_counter() - begin, time.process_time() - cpu
    assert 0 < len(found) <= len(labels)  # the dask store leaves some out
    status = Path("/proc/self/status").read_text()  # getrusage would count what started us, too
    peak = int(status.partition("VmHWM:")[2].split()[0]) * 1024
    print(json.dumps([cpu, took, peak]))


main()
