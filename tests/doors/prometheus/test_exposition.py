from __future__ import annotations

import pytest

from clary.doors.prometheus.exposition import BOUNDS_S, Family, expose, families
from clary.metrics.model import Metric, Tally
from clary.metrics.recorder import Total


def total(name, values, *, unit="Count", namespace="AWS/SageMaker", variant="all", latest=0.0):
    where = (("EndpointName", "abalone"), ("VariantName", variant))
    tally = Tally()
    for value in values:
        tally.add(value)
    return Total(Metric("123456789012", "us-east-1", namespace, name, where, unit), tally, latest)


LABELS = 'account="123456789012",region="us-east-1"'
WHERE = 'endpoint="abalone",variant="all"'


def page(*totals) -> str:
    return expose(families(totals)).decode()


def test_counts_are_counters_by_endpoint_and_variant() -> None:
    text = page(
        total("Invocations", [1.0] * 5),
        total("Invocation4XXErrors", [1.0, 0.0]),
        total("Invocation5XXErrors", [0.0]),
        total("InvocationsPerInstance", [0.5]),
        total("CaptureRecordsLost", [3.0]),
    )
    assert text.count("# TYPE clary_invocation_errors_total counter") == 1
    assert f"clary_invocations_total{{{LABELS},{WHERE}}} 5.0\n" in text
    assert f'clary_invocation_errors_total{{{LABELS},class="4xx",{WHERE}}} 1.0\n' in text
    assert f'clary_invocation_errors_total{{{LABELS},class="5xx",{WHERE}}} 0.0\n' in text
    assert f"clary_capture_records_lost_total{{{LABELS},{WHERE}}} 3.0\n" in text
    assert "per_instance" not in text


def test_latencies_are_histograms_in_seconds() -> None:
    text = page(total("ModelLatency", [200.0, 3_000.0, 3_000.0, 2e6], unit="Microseconds"))
    lines = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert len(lines) == len(BOUNDS_S) + 3

    def bucket(bound: str) -> float:
        labels = f'{LABELS},{WHERE},le="{bound}"'
        return float(lines[f"clary_model_latency_seconds_bucket{{{labels}}}"])

    assert [bucket(one) for one in ("0.0001", "0.00025", "0.005", "1", "2.5", "+Inf")] == [
        *(0, 1, 3, 3, 4, 4)
    ]
    assert float(lines[f"clary_model_latency_seconds_sum{{{LABELS},{WHERE}}}"]) == pytest.approx(
        2.0062
    )


def test_what_is_under_way_is_a_gauge() -> None:
    found = total("ConcurrentRequestsPerModel", [4.0, 2.0], latest=2.0)
    assert f"clary_concurrent_requests{{{LABELS},{WHERE}}} 2.0\n" in page(found)


def test_labels_cannot_break_out() -> None:
    family = Family("a", "gauge", "one\nline", [({"b": 'c"} 1\n\\'}, 2)])
    assert expose([family]) == b'# HELP a one line\n# TYPE a gauge\na{b="c\\"} 1\\n\\\\"} 2\n'
