"""Requests to endpoints arrive at a collector as spans."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.endpoints.collector import collecting
from tests.endpoints.endpoint_world import ENDPOINT, opened

from clary.adapters import otlp
from clary.adapters.files import FileObjects
from clary.adapters.onnx_models import OnnxModels
from clary.adapters.otlp import OtlpSpans
from clary.adapters.sqlite_series import SqliteSeries
from clary.endpoints.captures import Captures
from clary.endpoints.clients import FleetClient
from clary.endpoints.invocations import Invocation
from clary.endpoints.live import Tools
from clary.endpoints.meters import Meters
from clary.endpoints.serving import Serving
from clary.endpoints.shadows import Shadows
from clary.endpoints.tracing import Traced, read_parent
from clary.kernel.errors import InvalidInput, ModelFailed
from clary.metrics.recorder import Recorder

PICKY = """
def model_fn(folder): return 1
def transform_fn(model, data, content_type, accept):
    if data == "bad": raise ValueError("bad")
    return data, "text/csv"
"""
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def traced(parent="", status=200):
    return Traced(ENDPOINT, "main", parent, 1_000, 2_000, 3_000, status)


def attributes(span):
    return {one["key"]: next(iter(one["value"].values())) for one in span["attributes"]}


def test_requests_become_two_spans_of_their_callers_trace(tmp_path):
    with collecting() as (url, spans), opened(tmp_path) as world:
        world.model("picky", PICKY)
        world.endpoint(world.config("picky", "picky").ref.name)
        assert world.settled() == "InService"
        recorder = Recorder(SqliteSeries(world.home / "series.db"))
        captures = Captures(world.home / "captures", FileObjects(world.home / "buckets"), recorder)
        serving = Serving(
            world.store,
            Tools(
                lambda fleet: FleetClient(fleet, world.fleets),
                OnnxModels(world.home / "compiled"),
                captures,
                Meters(recorder),
                Shadows(world.store),
                OtlpSpans(url),
            ),
        )
        parent = f"00-{TRACE}-{PARENT}-01"
        serving.invoke(Invocation(ENDPOINT, b"good", "text/csv", trace=parent))
        with pytest.raises(ModelFailed):
            serving.invoke(Invocation(ENDPOINT, b"bad", "text/csv", trace=parent))
        serving.invoke(Invocation(ENDPOINT, b"good", "text/csv", trace=parent[:-2] + "00"))
        serving.close()
        captures.close()
        recorder.close()
    whole, model, failed, _ = spans
    assert whole["name"] == f"invoke {ENDPOINT.name}"
    assert (whole["traceId"], whole["parentSpanId"]) == (TRACE, PARENT)
    assert (model["traceId"], model["parentSpanId"]) == (TRACE, whole["spanId"])
    assert (
        int(whole["startTimeUnixNano"])
        <= int(model["startTimeUnixNano"])
        <= int(model["endTimeUnixNano"])
    )
    assert attributes(whole)["clary.variant"] == "picky"
    assert attributes(whole)["http.response.status_code"] == "200"
    assert (whole["status"]["code"], failed["status"]["code"]) == (1, 2)
    assert attributes(failed)["http.response.status_code"] == "500"


def test_a_request_without_a_trace_begins_one():
    with collecting() as (url, spans):
        sender = OtlpSpans(url)
        for header in ("", "junk", "00-" + "0" * 32 + f"-{PARENT}-01"):
            sender.take(traced(header))
        sender.close()
    roots = [span for span in spans if "parentSpanId" not in span]
    assert len({span["traceId"] for span in roots}) == 3
    assert len({span["spanId"] for span in spans}) == 6


def test_what_nobody_takes_is_dropped_and_said(caplog, monkeypatch):
    monkeypatch.setattr(otlp, "MOST_WAITING", 10)
    sender = OtlpSpans("http://127.0.0.1:9/v1/traces")
    for _ in range(25):
        sender.take(traced())
    sender.close()
    assert "does not take them" in caplog.text
    assert "not traced" in caplog.text


@pytest.mark.parametrize("url", ["file:///tmp/x", "collector:4318", "http://", ""])
def test_other_urls_are_refused(url):
    with pytest.raises(InvalidInput, match="traces"):
        OtlpSpans(url)


@given(st.text(alphabet="0123456789abcdef-x", max_size=80))
def test_any_header_is_read(header):
    context = read_parent(header)
    assert context is None or len(context.trace) == 32
