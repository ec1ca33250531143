from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clary.features.model import Feature, Schema
from clary.features.records import LATEST_US, Group
from clary.features.values import as_text, event_time_us
from clary.kernel.errors import InvalidInput
from clary.kernel.names import Ref

NOW_US = 1_700_000_000_000_000
REF = Ref("123456789012", "us-east-1", "feature-group", "customers")
FEATURES = (
    Feature("id", "Integral"),
    Feature("at", "String"),
    Feature("income", "Fractional"),
    Feature("city", "String"),
    Feature("visits", "Integral", "List"),
    Feature("tags", "String", "Set"),
    Feature("place", "Fractional", "Vector", 2),
)


def group(*features, identifier="id", event_time="at", ttl_us=None, version=1):
    schema = Schema(features or FEATURES, identifier, event_time, version)
    return Group(
        REF, "u1", schema, is_online=True, offline_table="b/t", ttl_us=ttl_us, catalog_table="t"
    )


BY_SECONDS = (Feature("id", "String"), Feature("at", "Fractional"))
WHOLE = {
    "id": "007",
    "at": "2023-11-14T22:13:20Z",
    "income": "1e3",
    "city": "",
    "visits": ["1", "-2"],
    "tags": ["b", "a", "b"],
    "place": ["0.5", "NaN"],
}


def test_text_is_read_into_the_order_of_the_schema():
    row = group().read(WHOLE, is_text=True)
    assert row[:6] == (7, "2023-11-14T22:13:20Z", 1000.0, "", [1, -2], ["a", "b"])
    assert row[6][0] == 0.5
    assert math.isnan(row[6][1])
    record = group().record(row, NOW_US)
    assert (record.key, record.event_us, record.write_us) == ("7", NOW_US, NOW_US)
    assert (record.schema, record.is_deleted, record.expires_us) == (1, False, None)


def test_python_values_are_read():
    values = {
        "id": np.int64(7),
        "at": datetime(2023, 11, 14, 23, 13, 20, tzinfo=timezone(timedelta(hours=1))),
        "income": np.float32(0.5),
        "visits": np.array([1, 2]),
        "tags": {"b", "a"},
        "place": (1, 2.5),
        "city": None,
    }
    row = group().read(values)
    assert row == (7, "2023-11-14T22:13:20.000000Z", 0.5, None, [1, 2], ["a", "b"], [1.0, 2.5])
    assert {type(one) for one in row[6]} == {float}
    moment = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
    seconds = group(*BY_SECONDS)
    assert seconds.record(seconds.read({"id": "7", "at": moment}), NOW_US).event_us == NOW_US


def test_numbers_of_a_pandas_column_with_missing_ones_are_whole():
    assert group().read({"id": 7.0, "at": "2023-11-14T22:13:20Z", "visits": [2.0**53]})[:1] == (7,)
    assert group().key(-7.0) == "-7"


def test_missing_values_are_none():
    row = group().read({"at": "2023-11-14T22:13:20Z", "id": "1", "income": None}, is_text=True)
    assert row == (1, "2023-11-14T22:13:20Z", None, None, None, None, None)


WRONG = [
    ({"id": "1.0"}, "id: '1.0'; legal: a whole number"),
    ({"id": "1_0"}, "id"),
    ({"id": ""}, "id"),
    ({"id": "9223372036854775808"}, "id"),
    ({"id": "-9223372036854775809"}, "id"),
    ({"id": "٣"}, "id"),
    ({"id": "9" * 5000}, "id"),
    ({"id": ["1"]}, "id"),
    ({"income": "1_0"}, "income: '1_0'; legal: a number"),
    ({"income": " 1"}, "income"),
    ({"income": "0x1"}, "income"),
    ({"income": ""}, "income"),
    ({"city": ["a"]}, "city: ['a']; legal: text"),
    ({"city": "\ud800"}, "city"),
    ({"visits": "1"}, "visits: '1'; legal: a list"),
    ({"visits": ["1", "x"]}, "visits: ['1', 'x']; legal: a whole number"),
    ({"place": ["1"]}, "place: ['1']; legal: a vector of 2 numbers"),
    ({"City": "x"}, "City: is no feature of customers; legal: id, at, income, city"),
]


@pytest.mark.parametrize(("values", "message"), WRONG)
def test_wrong_text_is_refused_with_the_feature_and_what_is_legal(values, message):
    with pytest.raises(InvalidInput) as error:
        group().read(values, is_text=True)
    assert error.value.message.startswith(message)
    assert len(error.value.message) < 400


@pytest.mark.parametrize(
    "values",
    [
        {"id": True},
        {"id": 1.5},
        {"id": 2.0**53 + 2},
        {"id": math.nan},
        {"id": math.inf},
        {"id": "1"},
        {"id": 2**63},
        {"income": "1"},
        {"income": True},
        {"income": 10**400},
        {"city": 1},
        {"city": b"x"},
        {"at": datetime(2023, 1, 1)},
        {"visits": 1},
        {"visits": b"12"},
        {"place": [1, None]},
    ],
)
def test_wrong_python_values_are_refused(values):
    (name,) = values
    with pytest.raises(InvalidInput) as error:
        group().read(values)
    assert error.value.field == name
    assert error.value.legal


@pytest.mark.parametrize("name", ["id", "at"])
def test_identifier_and_event_time_are_needed(name):
    values = {key: value for key, value in WHOLE.items() if key != name}
    with pytest.raises(InvalidInput, match=f"{name}: is missing"):
        group().record(group().read(values, is_text=True), NOW_US)


def test_an_empty_identifier_is_missing():
    seconds = group(*BY_SECONDS)
    row = seconds.read({"id": "", "at": "1"}, is_text=True)
    with pytest.raises(InvalidInput, match="id: is missing"):
        seconds.record(row, NOW_US)


@pytest.mark.parametrize(
    "text",
    [
        "2023-11-14",
        "2023-11-14T22:13:20",
        "2023-11-14 22:13:20Z",
        "2023-13-14T22:13:20Z",
        "2023-11-14T24:13:20Z",
        "2023-02-30T00:00:00Z",
        "2023-11-14T22:13:20.Z",
        "2023-11-14T22:13:20Zx",
        "now",
        "",
        "1700000000",
        "2023-11-14T22:13:20+99:00",
        "0001-01-01T00:00:00+23:59x",
    ],
)
def test_other_event_times_are_refused(text):
    row = group().read({"id": "1", "at": text}, is_text=True)
    with pytest.raises(InvalidInput, match=r"^at: ") as error:
        group().record(row, NOW_US)
    assert "yyyy-MM-dd'T'HH:mm:ssZ" in error.value.legal


@pytest.mark.parametrize("text", ["NaN", "inf", "-1e12", "1e12"])
def test_seconds_that_are_no_moment_are_refused(text):
    seconds = group(*BY_SECONDS)
    with pytest.raises(InvalidInput, match=r"^at: .*seconds since 1970"):
        seconds.record(seconds.read({"id": "1", "at": text}, is_text=True), NOW_US)


def test_the_future_is_refused_beyond_what_clocks_differ():
    seconds = group(*BY_SECONDS)
    edge = (NOW_US + LATEST_US) // 1_000_000
    row = seconds.read({"id": "1", "at": str(edge)}, is_text=True)
    assert seconds.record(row, NOW_US).event_us == edge * 1_000_000
    row = seconds.read({"id": "1", "at": str(edge + 1)}, is_text=True)
    with pytest.raises(InvalidInput, match=r"at: .* lies in the future; legal: at most 300 s"):
        seconds.record(row, NOW_US)


def test_a_record_is_at_most_350_000_bytes():
    fits = {"id": "1", "at": "2023-11-14T22:13:20Z", "city": "x" * 349_900}
    group().read(fits, is_text=True)
    for city in ("x" * 350_000, "é" * 175_000):
        with pytest.raises(InvalidInput, match=r"Record: .* legal: at most 350000"):
            group().read({**fits, "city": city}, is_text=True)


def test_records_expire_after_their_event_time():
    row = group().read(WHOLE, is_text=True)
    assert group(ttl_us=5).record(row, NOW_US).expires_us == NOW_US + 5
    assert group(ttl_us=5).record(row, NOW_US, 7).expires_us == NOW_US + 7


def test_tombstones_hold_nothing_but_their_key_and_time():
    gone = group(ttl_us=5).tombstone("7", "2023-11-14T22:13:20Z", NOW_US)
    assert gone.values == (7, "2023-11-14T22:13:20Z", None, None, None, None, None)
    assert (gone.key, gone.is_deleted, gone.expires_us) == ("7", True, None)


def test_keys_are_written_in_one_way():
    assert [group().key(one) for one in ("7", "+7", "007", 7, np.int32(7))] == ["7"] * 5
    with pytest.raises(InvalidInput, match="id: 'x'"):
        group().key("x")


def test_older_records_lack_what_was_added_later():
    old, new = group(*FEATURES[:3]), group(*FEATURES, version=2)
    record = old.record(old.read({"id": 1, "at": "2023-11-14T22:13:20Z"}), NOW_US)
    assert new.picked(record) == {"id": 1, "at": "2023-11-14T22:13:20Z"}
    assert new.picked(record, ["tags", "id"]) == {"id": 1}
    with pytest.raises(InvalidInput, match="other: is no feature"):
        new.picked(record, ["other"])


@given(st.datetimes(timezones=st.timezones()))
def test_moments_are_read_exactly(moment):
    utc = (moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    offset = moment.utcoffset()
    if offset.total_seconds() % 60 == 0:
        assert event_time_us(moment.isoformat().replace("+00:00", "Z")) == utc


@given(st.floats() | st.integers(-(2**63), 2**63 - 1) | st.text())
def test_text_of_a_value_reads_back_as_the_same(value):
    kind = {float: "Fractional", int: "Integral", str: "String"}[type(value)]
    schema = group(Feature("id", "String"), Feature("at", "String"), Feature("v", kind))
    try:
        row = schema.read({"v": as_text(value)}, is_text=True)
    except InvalidInput:
        assert kind == "String"
        assert any("\ud800" <= c <= "\udfff" for c in value)
        return
    assert repr(row[2]) == repr(value)
