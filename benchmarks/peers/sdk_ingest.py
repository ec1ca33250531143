"""Rows through the unmodified SDK, one worker, one connection; prints rows a second.

Run by the SDK's own interpreter, with a group and a number of rows; beginning with `nothing`, by
what is below the SDK's ingest alone: boto3, sending the same to whoever answers 200 at once.
"""

import random
import sys
import time

import boto3
import pandas as pd
from sagemaker.feature_store.feature_group import FeatureGroup
from sagemaker.session import Session

NAMES = [f"f{n}" for n in range(10)]


def frame(rows):
    """Make rows of floats."""
    columns = {"id": range(rows), "at": [time.time()] * rows}
    return pd.DataFrame(columns | {name: [random.random() for _ in range(rows)] for name in NAMES})


def by_sdk(group, rows):
    """Ingest."""
    made = FeatureGroup(group, sagemaker_session=Session())
    data = frame(rows)
    made.load_feature_definitions(data)
    begin = time.perf_counter()
    made.ingest(data, max_workers=1, max_processes=1, wait=True)
    return rows / (time.perf_counter() - begin)


def by_boto3(group, rows):
    """Put the same rows."""
    client = boto3.client("sagemaker-featurestore-runtime")
    found = frame(rows).to_dict("records")
    begin = time.perf_counter()
    for row in found:
        record = [{"FeatureName": name, "ValueAsString": str(row[name])} for name in row]
        client.put_record(FeatureGroupName=group, Record=record)
    return rows / (time.perf_counter() - begin)


if __name__ == "__main__":
    *nothing, name, count = sys.argv[1:]
    print((by_boto3 if nothing else by_sdk)(name, int(count)))
