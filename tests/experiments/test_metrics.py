from __future__ import annotations

import statistics
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clary.experiments import metrics
from clary.experiments.metrics import CurveQuery
from clary.experiments.ports import Point
from clary.kernel.errors import InvalidInput, NotFound

AT = datetime(2026, 1, 2, tzinfo=UTC)
ZERO = int(AT.timestamp())


def point(value, step=None, s=0.0, name="loss"):
    return Point(name, value, AT + timedelta(seconds=s), step)


NAIVE = {
    "Min": min,
    "Max": max,
    "Avg": statistics.fmean,
    "Count": len,
    "StdDev": statistics.pstdev,
    "Last": lambda values: values[-1],
}
POINTS = st.lists(
    st.tuples(st.floats(-100, 100), st.none() | st.integers(0, 4), st.integers(0, 300)),
    max_size=12,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    POINTS,
    st.tuples(
        st.sampled_from(sorted(NAIVE)),
        st.sampled_from([None, 60, 300]),
        st.booleans(),
        st.none() | st.integers(0, 4),
    ),
)
def test_a_curve_is_what_the_points_say(experiments, component, points, asked):
    statistic, period, by_step, start = asked
    given_points = [point(value, step, s) for value, step, s in points]
    experiments.metrics.replace(
        experiments.get(component).body["uid"], given_points or [point(0, name="other")]
    )
    if not given_points:
        return
    bound = start if start is None or by_step else ZERO + start
    query = CurveQuery(statistic, period, by_step, start=bound)
    curve = experiments.metrics.curve(component, "loss", query)
    place = (lambda one: one[1]) if by_step else (lambda one: ZERO + one[2])
    kept = [one for one in points if place(one) is not None]
    kept = [one for one in kept if bound is None or place(one) >= bound]
    if period is None:
        kept = [one for one in kept if one[1] is not None]
    bucket = (lambda one: one[1]) if period is None else (lambda one: (ZERO + one[2]) // period)
    order = (lambda one: one[1]) if period is None else (lambda one: one[2])
    kept.sort(key=order)
    buckets = {}
    for one in kept:
        buckets.setdefault(bucket(one), []).append(one)
    assert list(curve.values) == pytest.approx(
        [NAIVE[statistic]([one[0] for one in group]) for group in buckets.values()], abs=1e-6
    )
    if period is not None and not by_step:
        assert list(curve.axis) == [number * period for number in buckets]
    else:
        assert list(curve.axis) == [place(group[-1]) for group in buckets.values()]


def test_an_answer_is_bounded(experiments, component, monkeypatch):
    monkeypatch.setattr(metrics, "MOST_VALUES", 2)
    experiments.metrics.log(component, [point(1.0, n) for n in range(3)])
    curve = experiments.metrics.curve(component, "loss", CurveQuery("Last"))
    assert (curve.axis, curve.truncated) == ([0, 1], True)
    exactly = experiments.metrics.curve(component, "loss", CurveQuery("Last", end=1))
    assert not exactly.truncated


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (point(1.0, name=""), "has 0; legal: 1 to 255 characters"),
        (point(1.0, name="x" * 256), "has 256"),
        (point(1.0, 2**63), "Step: 9223372036854775808 is out of bounds"),
    ],
)
def test_a_point_that_cannot_be_kept_is_refused(experiments, component, bad, words):
    with pytest.raises(InvalidInput, match=words):
        experiments.metrics.log(component, [point(1.0), bad])
    assert list(experiments.metrics.history(component, "loss")) == []


def test_metrics_of_nothing_are_not_found(experiments, component, trial):
    for ref in (component.sibling(component.kind, "none"), trial):
        with pytest.raises(NotFound):
            experiments.metrics.log(ref, [point(1.0)])
        with pytest.raises(NotFound):
            experiments.metrics.history(ref, "loss")
