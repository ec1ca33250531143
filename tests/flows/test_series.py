# ruff: noqa: E501 - tables of cases read better as lines
"""Series against plain Python: missing values, NaN, equal times, clocks that are put back."""

from __future__ import annotations

import datetime as dt
import math
from collections import defaultdict
from statistics import mean

import numpy as np
import parity
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clary.kernel.errors import InvalidInput

few = settings(max_examples=15, deadline=None)
SCHEMA = {"k": "varchar", "t": "timestamp", "x": "double"}
START = dt.datetime(2024, 1, 1)
keys = st.none() | st.sampled_from("ab")
times = st.none() | st.integers(0, 6).map(lambda hours: START + dt.timedelta(hours=hours))
values = st.none() | st.sampled_from([math.nan, -1.0, 0.5, 2.0, 8.0])
series = st.lists(st.tuples(keys, times, values), min_size=1, max_size=10)
IN_SERIES = {"time": "t", "keys": ["k"]}


def ordered(rows):
    """Give the places of the rows of each series, in order."""
    found = defaultdict(list)
    for at, row in enumerate(rows):
        found[row[0]].append(at)
    for places in found.values():
        places.sort(key=lambda at: (rows[at][1] is None, rows[at][1] or START, at))
    return found


def known(value):
    return None if value is None or math.isnan(value) else value


def check(found, expected):
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        if one is not None and other is not None and not math.isnan(other):
            assert one == pytest.approx(other)
        else:
            assert parity.same(one, other)


@few
@given(series)
def test_lags(rows):
    found = parity.apply(
        "series.lag", {**IN_SERIES, "columns": ["x"], "lags": [1, -2]}, SCHEMA, rows
    )
    before, after = [None] * len(rows), [None] * len(rows)
    for places in ordered(rows).values():
        for at, place in enumerate(places):
            before[place] = rows[places[at - 1]][2] if at else None
            after[place] = rows[places[at + 2]][2] if at + 2 < len(places) else None
    assert [row[:3] for row in found.rows] == rows or any(row[2] != row[2] for row in rows)
    check(found["x_lag_1"], before)
    check(found["x_lag_-2"], after)


@few
@given(series)
def test_windows_of_rows(rows):
    given = {**IN_SERIES, "columns": ["x"], "functions": ["count", "max"], "size": 2}
    found = parity.apply("series.rolling", given, SCHEMA, rows)
    counts, most = [0] * len(rows), [None] * len(rows)
    for places in ordered(rows).values():
        for at, place in enumerate(places):
            window = [rows[one][2] for one in places[max(at - 1, 0) : at + 1]]
            window = [one for one in window if one is not None]
            counts[place] = len(window)
            most[place] = max(window, key=lambda one: (math.isnan(one), one)) if window else None
    assert found["x_count_2"] == counts
    check(found["x_max_2"], most)


@few
@given(series.map(lambda rows: [row for row in rows if row[1]] or [(None, START, 1.0)]))
def test_windows_of_time(rows):
    given = {**IN_SERIES, "columns": ["x"], "functions": ["count"], "size": 2, "unit": "hour"}
    found = parity.apply("series.rolling", given, SCHEMA, rows)
    expected = [
        sum(
            other[0] == row[0] and other[2] is not None
            and dt.timedelta(0) <= row[1] - other[1] < dt.timedelta(hours=2)
            for other in rows
        )
        for row in rows
    ]  # fmt: skip
    assert found["x_count_2_hour"] == expected


@pytest.mark.parametrize("how", ["forward", "backward", "interpolate"])
def test_gaps_are_filled(how):
    @few
    @given(series)
    def run(rows):
        expected = [None] * len(rows)
        for places in ordered(rows).values():
            for at, place in enumerate(places):
                expected[place] = filled(how, [rows[one] for one in places], at)
        found = parity.apply(
            "series.fill", {**IN_SERIES, "columns": ["x"], "how": how}, SCHEMA, rows
        )
        check(found["x"], expected)

    run()


def filled(how, rows, at):
    before = next((row for row in reversed(rows[: at + 1]) if known(row[2]) is not None), None)
    after = next((row for row in rows[at:] if known(row[2]) is not None), None)
    if known(rows[at][2]) is not None:
        return rows[at][2]
    if how != "interpolate":
        one = before if how == "forward" else after
        return one and one[2]
    if (
        before is None
        or after is None
        or None in (before[1], after[1], rows[at][1])
        or before[1] == after[1]
    ):
        return None
    share = (rows[at][1] - before[1]) / (after[1] - before[1])
    return before[2] + (after[2] - before[2]) * share


@few
@given(series)
def test_times_are_validated(rows):
    seen, valid = set(), []
    for key, time, _ in rows:
        valid.append(time is not None and (key, time) not in seen)
        seen.add((key, time))
    flagged = parity.apply("series.validate_times", {**IN_SERIES, "policy": "flag"}, SCHEMA, rows)
    assert flagged["t_is_valid"] == valid
    kept = parity.apply("series.validate_times", IN_SERIES, SCHEMA, rows)
    assert kept["t"] == [row[1] for row, is_valid in zip(rows, valid, strict=True) if is_valid]


@few
@given(series)
def test_series_are_resampled_without_gaps(rows):
    given = {**IN_SERIES, "every": 2, "unit": "hour", "aggregates": {"x": "count"}}
    found = parity.apply("series.resample", given, SCHEMA, rows)
    counts = defaultdict(dict)
    for key, time, value in rows:
        if time is not None:
            start = time.replace(hour=time.hour // 2 * 2)
            counts[key][start] = counts[key].get(start, 0) + (value is not None)
    expected = []
    for key in sorted(counts, key=lambda one: (one is None, one or "")):
        at = min(counts[key])
        while at <= max(counts[key]):
            expected.append((key, at, counts[key].get(at)))
            at += dt.timedelta(hours=2)
    assert found.rows == expected


def test_days_are_those_of_a_clock_that_is_put_back():
    first = dt.datetime(2024, 10, 26, 22, tzinfo=dt.UTC)  # midnight in Berlin, before 25 hours
    rows = [(first + dt.timedelta(hours=at), 1.0) for at in range(26)]
    given = {"time": "z", "unit": "day", "aggregates": {"x": "sum"}, "zone": "Europe/Berlin"}
    schema = {"z": "timestamptz", "x": "double"}
    found = parity.apply("series.resample", given, schema, rows)
    assert found.rows == [(first, 25.0), (first + dt.timedelta(hours=25), 1.0)]
    hourly = parity.apply("series.resample", {**given, "unit": "hour"}, schema, rows)
    assert found.columns["z"].name == "timestamptz"
    assert hourly["x"] == [1.0] * 26
    with pytest.raises(InvalidInput):
        parity.apply("series.resample", {**given, "zone": "Mars"}, schema, rows)


def test_series_become_lists_of_one_length():
    rows = [("b", START, 2.0), ("a", START, 1.0), ("b", None, math.nan), ("b", START, None)]
    nodes = [
        {"id": "rows", "operator": "source"},
        {"id": "lists", "operator": "series.gather", "with": IN_SERIES, "inputs": ["rows"]},
        {"id": "even", "operator": "series.standardize_length", "with": {"columns": ["x"], "fill": -1}, "inputs": ["lists"]},
    ]  # fmt: skip
    lists = parity.run({"nodes": nodes}, {"rows": (SCHEMA, rows)}, node="lists")
    assert lists["k"] == ["a", "b"]
    check(lists["x"][1], [2.0, None, math.nan])
    even = parity.run({"nodes": nodes}, {"rows": (SCHEMA, rows)})
    assert even["x"][0] == [1.0, -1.0, -1.0]
    check(even["x"][1], [2.0, None, math.nan])


def test_lengths_are_learned():
    schema, rows = {"v": "bigint[]"}, [([1, 2, 3],), ([4],), (None,), ([],)]
    for length, expected in (
        ("shortest", None), ("longest", [[1, 2, 3], [4, 7, 7], None, [7, 7, 7]]),
        ("mean", [[1, 2], [4, 7], None, [7, 7]]), (1, [[1], [4], None, [7]]),
    ):  # fmt: skip
        given = {"columns": ["v"], "length": length, "fill": 7.0}
        if expected is None:
            with pytest.raises(InvalidInput, match="length"):
                parity.apply("series.standardize_length", given, schema, rows)
        else:
            found = parity.apply("series.standardize_length", given, schema, rows)
            assert found["v"] == expected


@few
@given(
    st.lists(
        st.tuples(st.just("a"), times.filter(bool), values),
        min_size=1,
        max_size=10,
        unique_by=lambda row: row[1],
    )
)
def test_features_of_series(rows):
    found = parity.apply("series.extract_features", {**IN_SERIES, "columns": ["x"]}, SCHEMA, rows)
    told = sorted((row for row in rows if known(row[2]) is not None), key=lambda row: row[1])
    [row] = found.rows
    got = dict(zip(found.columns, row, strict=True))
    assert got["x_count"] == len(told)
    if not told:
        assert got["x_mean"] is None
        return
    numbers = [one[2] for one in told]
    assert got["x_mean"] == pytest.approx(mean(numbers))
    assert (got["x_first"], got["x_last"]) == (numbers[0], numbers[-1])
    if len(told) > 1:
        seconds = [(one[1] - START).total_seconds() for one in told]
        assert got["x_slope"] == pytest.approx(np.polyfit(seconds, numbers, 1)[0], abs=1e-9)
        assert got["x_mean_change"] == pytest.approx(np.diff(numbers).mean())


def test_ranges_of_times():
    rows = [("a", None, 1.0), ("b", None, 2.0), ("a", None, 3.0)]
    given = {"output": "day", "start": "2024-01-31", "unit": "month", "keys": ["k"]}
    found = parity.apply("series.range", given, SCHEMA, rows)
    assert found["day"] == [
        dt.datetime(2024, 1, 31),
        dt.datetime(2024, 1, 31),
        dt.datetime(2024, 2, 29),
    ]
    with pytest.raises(InvalidInput):
        parity.apply("series.range", {**given, "start": "soon"}, SCHEMA, rows)
