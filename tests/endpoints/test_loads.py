"""What variants have to do, read from metrics that were really stored."""

from __future__ import annotations

import pytest

from clary.adapters.sqlite_series import SqliteSeries
from clary.endpoints.loads import LONG_S, Loads
from clary.endpoints.scaling_requests import CONCURRENT, INVOCATIONS, tracking
from clary.kernel.clock import now
from clary.kernel.names import Ref
from clary.metrics.model import FINEST_S, Metric, Slot, Tally
from clary.metrics.recorder import Recorder
from clary.metrics.service import Metrics

ENDPOINT = Ref("123456789012", "us-east-1", "endpoint", "shop")
WHERE = ENDPOINT, "main"
DIMENSIONS = (("EndpointName", "shop"), ("VariantName", "main"))


@pytest.fixture
def series(tmp_path):
    return SqliteSeries(tmp_path / "series.db")


@pytest.fixture
def demand(series):
    """Ask what a policy measures now, with two instances."""
    loads = Loads(Metrics(series, Recorder(series)))

    def ask(at, count=2, **specification):
        policy = {
            "PolicyType": "TargetTrackingScaling",
            "TargetTrackingScalingPolicyConfiguration": {"TargetValue": 10.0, **specification},
        }
        return loads.demand("p", tracking(policy), count, WHERE, at)

    return ask


def known(name):
    return {"PredefinedMetricSpecification": {"PredefinedMetricType": name}}


def add(series, namespace, name, values, dimensions=DIMENSIONS):
    """Store a value for every ten seconds up to now, and give the moment."""
    at = now()
    end = int(at.timestamp() // FINEST_S) * FINEST_S
    metric = Metric(ENDPOINT.account, ENDPOINT.region, namespace, name, dimensions, "Count")
    slots = []
    for number, value in enumerate(reversed(values)):
        tally = Tally()
        tally.add(float(value))
        slots.append(Slot(metric, end - number * FINEST_S, tally))
    series.add(slots)
    return at


def test_requests_a_minute(series, demand):
    at = add(series, "AWS/SageMaker", "Invocations", [5] * (LONG_S // FINEST_S + 2))
    found = demand(at, **known(INVOCATIONS))
    assert (list(found.recent), list(found.long)) == ([30.0], [30.0] * 15)
    assert found.is_exact
    assert found.may_scale_in


def test_no_request_is_a_load_of_nothing(demand):
    found = demand(now(), **known(INVOCATIONS), DisableScaleIn=True)
    assert (list(found.recent), list(found.long)) == ([0.0], [0.0] * 15)
    assert not found.may_scale_in


def test_requests_under_way(series, demand):
    at = add(series, "/aws/sagemaker/Endpoints", "ConcurrentRequestsPerModel", [7] * 6)
    found = demand(at, **known(CONCURRENT))
    assert list(found.recent) == [7.0] * 3
    assert len(found.long) == LONG_S // FINEST_S
    assert found.long[0] == 0.0


def test_a_metric_of_ones_own(series, demand):
    own = {
        "Namespace": "shop",
        "MetricName": "busy",
        "Dimensions": [{"Name": "where", "Value": "here"}],
        "Statistic": "Maximum",
    }
    at = add(series, "shop", "busy", [3] * 120, (("where", "here"),))
    found = demand(at, CustomizedMetricSpecification=own, ScaleOutCooldown=60)
    assert list(found.recent) == [6.0] * 3
    assert list(found.long) == [6.0] * 15
    assert (found.is_exact, found.scale_out_cooldown_s) == (False, 60)
    assert list(demand(at, 0, CustomizedMetricSpecification=own).recent) == [3.0] * 3


def test_a_metric_without_values_decides_nothing(series, demand):
    own = {"Namespace": "shop", "MetricName": "busy", "Statistic": "Average"}
    found = demand(now(), CustomizedMetricSpecification=own)
    assert (list(found.recent), list(found.long)) == ([], [])
