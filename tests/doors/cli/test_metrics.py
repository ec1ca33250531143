from __future__ import annotations

from datetime import timedelta

import pytest

from clary.config import Config
from clary.kernel.clock import now
from clary.kernel.names import Ref
from clary.platform import open_platform

NEAR = Ref("123456789012", "us-east-1", "alarm", "")


@pytest.fixture
def measured(home):
    platform = open_platform(Config(home=home))
    at = now() - timedelta(minutes=5)
    platform.metrics.put(
        "Mine",
        [
            {
                "MetricName": "loss",
                "Value": float(n),
                "Timestamp": at + timedelta(minutes=n),
                "Dimensions": [{"Name": "Model", "Value": model}],
            }
            for n in range(4)
            for model in ("abalone", "iris")
        ],
        near=NEAR,
    )


def test_metrics_are_listed(clary, measured):
    assert "Mine" in clary("metrics", "list").out
    (one, other) = clary("metrics", "list", "Mine", "--json").json
    assert one == {
        "namespace": "Mine",
        "metric": "loss",
        "dimensions": "Model=abalone",
        "unit": "None",
    }
    assert other["dimensions"] == "Model=iris"
    assert clary("metrics", "list", "Other").err == "no metrics yet\n"


def test_a_metric_is_drawn(clary, measured):
    said = clary("metrics", "show", "loss", "--stat", "Sum")
    assert said.code == 0
    assert said.out.count("▁▃▆█") == 2
    (one, _) = clary("metrics", "show", "loss", "--stat", "p50", "--json").json
    assert (one["count"], one["min"], one["max"]) == (4, 0, 3)
    assert list(one["points"].values()) == pytest.approx([0, 1, 2, 3], rel=0.01)


def test_what_is_not_there_is_said(clary, measured):
    assert "clary metrics list" in clary("metrics", "show", "gain").err
    assert "no values in the last 1 minutes" in clary("metrics", "show", "loss", "--minutes", 1).err
    assert clary("metrics", "show", "loss", "--stat", "Median").code == 1
    assert clary("metrics", "show", "loss", "--period", 7).code == 1
