"""statistics.json: the examples come back, and what is computed is what the container wrote."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clary.analysis import statistics as documents
from clary.analysis.profiles import Profile
from clary.analysis.profiling import of_batches, profile
from clary.analysis.statistics import statistics
from clary.analysis.tables import open_table
from clary.kernel.errors import InvalidInput

FIXTURES = Path(__file__).parents[3] / "shared" / "examples" / "monitoring"
DATA_QUALITY = "pipeline__quality_check_step__data_quality__"
needs_fixtures = pytest.mark.skipif(
    not FIXTURES.is_dir(), reason="the shared examples are not here"
)


def of(*arrays: pa.Array, mode: str = "fast") -> dict:
    names = [f"c{at}" for at in range(len(arrays))]
    found = of_batches(names, [pa.record_batch(list(arrays), names=names)], mode=mode)
    return json.loads(documents.write(statistics(found)))


@needs_fixtures
@pytest.mark.parametrize("name", [f"{DATA_QUALITY}statistics.json", "monitor__statistics.json"])
def test_the_examples_come_back_as_they_were(name: str) -> None:
    text = (FIXTURES / name).read_text()
    written = documents.write(documents.read(text))
    assert json.loads(written) == json.loads(text)
    assert list_of_members(json.loads(written)) == list_of_members(json.loads(text))


def list_of_members(value: object) -> list:
    """The members in their order."""
    if isinstance(value, dict):
        return [(name, list_of_members(one)) for name, one in value.items()]
    return [list_of_members(one) for one in value] if isinstance(value, list) else []


@needs_fixtures
def test_what_is_computed_is_what_the_container_wrote() -> None:
    expected = json.loads((FIXTURES / f"{DATA_QUALITY}statistics.json").read_text())
    with open_table(FIXTURES / f"{DATA_QUALITY}baseline_dataset.csv", header=False) as table:
        found = json.loads(documents.write(statistics(profile(table, mode="deequ"))))
    assert found["dataset"] == expected["dataset"]
    for mine, theirs in zip(found["features"], expected["features"], strict=True):
        mine.pop("clary")
        spread = theirs["numerical_statistics"].pop("std_dev")
        assert mine["numerical_statistics"].pop("std_dev") == pytest.approx(spread, rel=1e-14)
        assert mine == theirs


def test_another_dialect_is_read() -> None:
    text = """{"version": 0, "dataset": {"itemCount": 3}, "features": [
        {"name": "x", "inferredType": "Fractional", "numericalStatistics": {
          "common": {"numPresent": 2, "numMissing": 1}, "mean": "NaN", "sum": 1,
          "stdDev": "Infinity", "min": "-Infinity", "max": 2.5, "distribution": {"kll": {
          "buckets": [
            {"lowerBound": 0, "upperBound": 1, "count": 2}], "unknown": 5}}}},
        {"name": "s", "inferredType": "String", "stringStatistics": {
          "common": {"numPresent": 3, "numMissing": 0}, "distinctCount": 2, "distribution": {
            "categorical": {"buckets": [{"value": "someValue", "count": 3}]}}}}]}"""
    document = documents.read(text)
    x, s = document.features
    assert x.numerical_statistics is not None
    assert math.isnan(x.numerical_statistics.mean or 0.0)
    assert (x.numerical_statistics.min, x.common.num_missing, x.sketch()) == (-math.inf, 1, None)
    assert (s.categories(), s.sketch()) == ({"someValue": 3}, None)
    written = json.loads(documents.write(document))
    assert written["features"][0]["numerical_statistics"]["mean"] == "NaN"
    assert written["features"][0]["numerical_statistics"]["min"] == "-Infinity"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "statistics: not valid JSON"),
        ("[]", "statistics: Expected `object`"),
        ('{"version": 0.0, "dataset": {"item_count": 1}}', "missing required field `features`"),
        (
            '{"version": 0.0, "dataset": {"item_count": 1}, "features": [{"name": 1}]}',
            r"statistics.features\[0\].name|statistics.features\[0\]",
        ),
    ],
)
def test_what_is_no_such_document_is_named(text: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        documents.read(text)


def test_columns_at_the_edges() -> None:
    found = of(
        pa.nulls(3),
        pa.array([5, 5, None]),
        pa.array([np.inf, -np.inf, 1.0]),
        pa.array([np.inf, np.inf, np.inf]),
        pa.array([-1.7e308, 1.7e308, 0.0]),
        pa.array(["1", "x", None]),
    )
    empty, constant, infinite, never, huge, mixed = found["features"]
    assert empty["inferred_type"] == "Unknown"
    assert empty["string_statistics"]["common"] == {"num_present": 0, "num_missing": 3}
    counts = [
        one["count"] for one in constant["numerical_statistics"]["distribution"]["kll"]["buckets"]
    ]
    assert counts == [0.0] * 9 + [2.0]
    assert infinite["clary"]["infinities"] == [1, 1]
    assert infinite["numerical_statistics"]["max"] == 1.0
    assert infinite["numerical_statistics"]["common"] == {"num_present": 3, "num_missing": 0}
    assert never["numerical_statistics"] == {"common": {"num_present": 3, "num_missing": 0}}
    buckets = huge["numerical_statistics"]["distribution"]["kll"]["buckets"]
    assert (len(buckets), sum(one["count"] for one in buckets)) == (10, 3.0)
    assert mixed["inferred_type"] == "String"
    assert mixed["string_statistics"]["distribution"]["categorical"]["buckets"] == [
        {"value": "1", "count": 1},
        {"value": "x", "count": 1},
    ]
    assert documents.write(documents.read(json.dumps(found))) == documents.write(
        documents.read(documents.write(documents.read(json.dumps(found))))
    )


def test_categories_are_listed_up_to_120() -> None:
    few, many = of(
        pa.array([f"v{at}" for at in range(120)] * 2), pa.array([f"v{at}" for at in range(240)])
    )["features"]
    assert len(few["string_statistics"]["distribution"]["categorical"]["buckets"]) == 120
    assert "distribution" not in many["string_statistics"]
    assert many["string_statistics"]["distinct_count"] == 240.0


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.floats(-1e6, 1e6) | st.sampled_from([0.0, 1.0, -2.5]), min_size=1, max_size=300),
    st.sampled_from(["fast", "deequ"]),
)
def test_buckets_count_as_a_loop_does(values: list[float], mode: str) -> None:
    numbers = of(pa.array(values), mode=mode)["features"][0]["numerical_statistics"]
    buckets = numbers["distribution"]["kll"]["buckets"]
    assert len(buckets) == 10
    assert buckets[0]["lower_bound"] == min(values)
    for at, one in enumerate(buckets):
        inside = [value for value in values if one["lower_bound"] <= value < one["upper_bound"]]
        if at == 9:
            inside = [value for value in values if one["lower_bound"] <= value]
        assert one["count"] == len(inside)
    sketch = documents.read(documents.write(statistics(Profile())))
    assert sketch.features == ()


def test_discrete_columns_are_counted_exactly_however_many() -> None:
    values = np.random.default_rng(0).integers(0, 3, 200_000).astype(float)
    numbers = of(pa.array(values))["features"][0]["numerical_statistics"]
    counts = [one["count"] for one in numbers["distribution"]["kll"]["buckets"]]
    exact = [float((values == one).sum()) for one in (0, 1, 2)]
    assert [counts[0], counts[5], counts[9]] == exact
