from __future__ import annotations

import math
import uuid
from collections import defaultdict
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clary.kernel.clock import now
from clary.kernel.errors import InvalidInput, NotSupported
from clary.kernel.names import Ref
from clary.metrics.model import Metric
from clary.metrics.windows import window

NEAR = Ref("123456789012", "us-east-1", "alarm", "")
STATISTICS = ["Average", "Sum", "Minimum", "Maximum", "SampleCount"]


def put(world, *data, namespace="Mine"):
    world.metrics.put(namespace, [{"MetricName": "loss", **one} for one in data], near=NEAR)


def loss(unit="") -> Metric:
    return Metric(NEAR.account, NEAR.region, "Mine", "loss", (), unit)


def expected(values) -> dict[str, float]:
    ordered = sorted(values)
    return {
        "Average": sum(ordered) / len(ordered),
        "Sum": sum(ordered),
        "Minimum": ordered[0],
        "Maximum": ordered[-1],
        "SampleCount": len(ordered),
    }


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    points=st.lists(
        st.tuples(st.integers(0, 7_000), st.floats(-1e6, 1e6).map(lambda one: round(one, 3))),
        min_size=1,
        max_size=40,
    ),
    offset=st.integers(0, 4_000),
    length=st.integers(1, 6_000),
    period_s=st.sampled_from([10, 20, 30, 60, 120, 300, 3600]),
)
def test_statistics_are_those_of_the_values_of_each_period(
    world, points, offset, length, period_s
) -> None:
    namespace = f"Mine/{uuid.uuid4()}"
    base = int(now().timestamp()) - 9_000
    for start in range(0, len(points), 10):
        put(
            world,
            *(
                {"Timestamp": datetime.fromtimestamp(base + at, UTC), "Value": value}
                for at, value in points[start : start + 10]
            ),
            namespace=namespace,
        )
    start, end = base + offset, base + offset + length
    begins = start - start % min(period_s, 60)
    by_period = defaultdict(list)
    for at, value in points:
        slot = (base + at) // 10 * 10
        if period_s >= 60 and begins % 60 == 0:
            slot = (base + at) // 60 * 60  # minutes are not cut
        if period_s == 3600 and begins % 3600 == 0:
            slot = (base + at) // 3600 * 3600
        if begins <= slot < end:
            by_period[slot - (slot - begins) % period_s].append(value)
    found = world.metrics.statistics(
        {
            "Namespace": namespace,
            "MetricName": "loss",
            "StartTime": datetime.fromtimestamp(start, UTC),
            "EndTime": datetime.fromtimestamp(end, UTC),
            "Period": period_s,
            "Statistics": STATISTICS,
            "ExtendedStatistics": ["p90"],
        },
        near=NEAR,
    )
    assert {int(one["Timestamp"].timestamp()) for one in found} == set(by_period)
    for one in found:
        values = sorted(by_period[int(one["Timestamp"].timestamp())])
        assert {name: one[name] for name in STATISTICS} == pytest.approx(expected(values), abs=1e-3)
        exact = values[max(0, math.ceil(len(values) * 0.9 - 1e-9) - 1)]
        assert one["ExtendedStatistics"]["p90"] == pytest.approx(exact, rel=0.0101)


def test_what_is_measured_here_is_read_at_once(world) -> None:
    series = world.recorder.series("AWS/SageMaker", "Invocations", {"V": "a"}, "Count", near=NEAR)
    series.add(1.0, 5)
    found = world.metrics.values(
        series.metric, "Sum", start=now() - timedelta(minutes=1), end=now(), period_s=60
    )
    assert sum(found.values()) == 5


def test_queries_compute_with_each_other_and_may_return_nothing(world) -> None:
    at = now() - timedelta(minutes=3)
    put(world, {"Value": 1.0, "Timestamp": at}, {"Value": 3.0, "Timestamp": at})
    stat = {"Metric": {"Namespace": "Mine", "MetricName": "loss"}, "Period": 60}
    outcomes = world.metrics.data(
        [
            {"Id": "share", "Expression": "100 * top / total", "Label": "percent"},
            {"Id": "top", "MetricStat": {**stat, "Stat": "Maximum"}, "ReturnData": False},
            {"Id": "total", "MetricStat": {**stat, "Stat": "Sum"}},
            {"Id": "filled", "Expression": "FILL(total, 0)"},
        ],
        start=at - timedelta(minutes=1),
        end=at + timedelta(minutes=1),
        near=NEAR,
    )
    assert [one.query.id for one in outcomes] == ["share", "total", "filled"]
    assert list(outcomes[0].points.values()) == [75.0]
    assert list(outcomes[1].points.values()) == [4.0]
    assert sum(outcomes[2].points.values()) == 4.0
    assert len(outcomes[2].points) >= 2


@pytest.mark.parametrize(
    ("documents", "problem"),
    [
        ([{"Id": "a", "Expression": "b"}, {"Id": "b", "Expression": "a"}], "refers to"),
        ([{"Id": "a", "Expression": "c + 1"}], "refers to c"),
        ([{"Id": "A", "Expression": "1"}], "no Id"),
        ([{"Id": "a"}], "either"),
        ([{"Id": "a", "Expression": "1"}] * 2, "twice"),
        ([], "0 queries"),
    ],
)
def test_queries_that_are_refused(world, documents, problem) -> None:
    with pytest.raises(InvalidInput, match=problem):
        world.metrics.data(documents, start=now() - timedelta(hours=1), end=now(), near=NEAR)


def test_queries_that_ask_for_too_much_are_refused(world) -> None:
    stat = {"Metric": {"Namespace": "Mine", "MetricName": "loss"}, "Period": 60, "Stat": "Sum"}
    queries = [{"Id": f"m{n}", "MetricStat": stat} for n in range(500)]
    with pytest.raises(InvalidInput, match="at most 100800"):
        world.metrics.data(queries, start=now() - timedelta(days=1), end=now(), near=NEAR)


@pytest.mark.parametrize(
    "datum",
    [
        {},
        {"Value": 1.0, "Values": [1.0]},
        {"Value": float("nan")},
        {"Value": float("inf")},
        {"Value": 2.0**361},
        {"Values": [1.0, 2.0], "Counts": [1.0]},
        {"Values": [1.0], "Counts": [0.0]},
        {"Values": [1.0] * 151},
        {"Value": 1.0, "Timestamp": datetime(2020, 1, 1, tzinfo=UTC)},
        {"Value": 1.0, "Timestamp": datetime(2120, 1, 1, tzinfo=UTC)},
        {"Value": 1.0, "StorageResolution": 5},
        {"Value": 1.0, "Dimensions": [{"Name": "a", "Value": "b"}] * 2},
        {"StatisticValues": {"SampleCount": 0, "Sum": 1, "Minimum": 1, "Maximum": 1}},
        {"StatisticValues": {"SampleCount": 2, "Sum": 1, "Minimum": 2, "Maximum": 1}},
    ],
)
def test_values_that_are_refused(world, datum) -> None:
    with pytest.raises(InvalidInput, match="MetricData"):
        put(world, {"Value": 1.0}, datum)
    assert not world.series.read(loss(), length_s=3600, start=0, end=1 << 40)


def test_what_is_clarys_own_cannot_be_put(world) -> None:
    with pytest.raises(InvalidInput, match="reserved"):
        put(world, {"Value": 1.0}, namespace="AWS/SageMaker")


def test_statistic_sets_have_no_percentiles(world) -> None:
    put(world, {"StatisticValues": {"SampleCount": 4, "Sum": 10, "Minimum": 1, "Maximum": 5}})
    around = {"start": now() - timedelta(minutes=2), "end": now(), "period_s": 60}
    assert list(world.metrics.values(loss(), "Average", **around).values()) == [2.5]
    assert world.metrics.values(loss(), "p50", **around) == {}
    put(world, {"StatisticValues": {"SampleCount": 2, "Sum": 6, "Minimum": 3, "Maximum": 3}})
    with pytest.raises(NotSupported):
        world.metrics.values(loss(), "TM(10%:90%)", **around)
    with pytest.raises(InvalidInput, match="Stat"):
        world.metrics.values(loss(), "Median", **around)


@pytest.mark.parametrize("period_s", [0, -60, 1, 5, 15, 61, 59])
def test_periods_that_are_refused(period_s) -> None:
    with pytest.raises(InvalidInput, match="multiple of 60"):
        window(0, 60, period_s, at=60)


def test_old_times_are_read_by_the_hour() -> None:
    day = 86_400
    old = window(1_800_000_300, 1_800_007_500, 3600, at=1_800_000_000 + 20 * day)
    assert (old.length_s, old.start % 3600) == (3600, 0)
    new = window(1_800_000_300, 1_800_007_500, 3600, at=1_800_000_000 + day)
    assert (new.length_s, new.start) == (60, 1_800_000_300)
    with pytest.raises(InvalidInput, match="data points"):
        window(0, 1 << 40, 60, at=0)
    with pytest.raises(InvalidInput, match="EndTime"):
        window(60, 60, 60, at=0)
