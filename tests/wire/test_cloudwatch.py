from __future__ import annotations

from datetime import timedelta

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from clary.kernel.clock import now


@pytest.fixture
def cloudwatch(server):
    return server.client("cloudwatch")


def test_values_come_back(cloudwatch):
    at = now().replace(second=0, microsecond=0) - timedelta(minutes=5)
    where = [{"Name": "Model", "Value": "abalone"}, {"Name": "Stage", "Value": "prod"}]
    cloudwatch.put_metric_data(
        Namespace="Mine",
        MetricData=[
            {
                "MetricName": "error",
                "Dimensions": where,
                "Timestamp": at,
                "Values": [1.0, 2.0, 4.0],
                "Counts": [1.0, 2.0, 1.0],
                "Unit": "Percent",
            },
            {
                "MetricName": "error",
                "Dimensions": where[::-1],
                "Timestamp": at + timedelta(seconds=59),
                "Value": 11.0,
                "Unit": "Percent",
            },
        ],
    )
    found = cloudwatch.get_metric_statistics(
        Namespace="Mine",
        MetricName="error",
        Dimensions=where,
        StartTime=at,
        EndTime=at + timedelta(minutes=5),
        Period=60,
        Statistics=["Average", "Sum", "Minimum", "Maximum", "SampleCount"],
        ExtendedStatistics=["p50", "p99.9"],
    )
    (point,) = found["Datapoints"]
    assert found["Label"] == "error"
    assert point["Timestamp"] == at
    assert point["Unit"] == "Percent"
    assert (point["Sum"], point["SampleCount"], point["Average"]) == (20.0, 5.0, 4.0)
    assert (point["Minimum"], point["Maximum"]) == (1.0, 11.0)
    assert point["ExtendedStatistics"]["p50"] == pytest.approx(2.0, rel=0.01)
    assert point["ExtendedStatistics"]["p99.9"] == pytest.approx(11.0, rel=0.01)
