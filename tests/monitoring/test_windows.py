"""Windows of time, and what the names of objects say of theirs."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clary.endpoints.captures import Place
from clary.kernel.errors import InvalidInput
from clary.kernel.names import Ref
from clary.monitoring.windows import SPAN, Window, covered, moment, offset, text, window

PLACE = Place(Ref("1" * 12, "us-east-1", "endpoint", "e"), "AllTraffic", "bucket", "p")
MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC))


@given(answered=MOMENTS, late_ms=st.integers(0, 2000))
def test_every_captured_request_lies_in_what_its_objects_name_says(answered, late_ms):
    opened = answered + timedelta(milliseconds=late_ms)
    key = PLACE.header(int(answered.timestamp()) // 3600, opened.timestamp()).key
    said = covered(key)
    assert said is not None
    assert said.start - timedelta(seconds=3) <= answered < said.end
    assert said.end - said.start == SPAN


@given(at=MOMENTS, length=st.timedeltas(timedelta(seconds=1), timedelta(days=300)))
def test_windows_that_follow_each_other_meet_in_nothing(at, length):
    first = window(at, at + length, field="x")
    second = window(at + length, at + 2 * length, field="x")
    assert not first.meets(second)
    assert first.meets(Window(first.end - timedelta(microseconds=1), second.end))


@given(at=MOMENTS)
def test_what_is_written_is_read_again(at):
    again = moment(text(at), at, field="x")
    assert abs(again - at) < timedelta(milliseconds=1)


@pytest.mark.parametrize(
    "key", ["a.jsonl", "2026/13/01/00/x", "p/2026/01/01/24/x", "p/2026/01/01/00/99-00-1.jsonl"]
)
def test_a_key_that_names_no_time_says_nothing(key):
    assert covered(key) is None


@pytest.mark.parametrize("given", ["", "PT", "-1H", "P99999999999D", "--", "-P9000Y"])
def test_what_is_no_offset_is_refused(given):
    with pytest.raises(InvalidInput, match="no offset"):
        offset(given, field="StartTimeOffset")


@pytest.mark.parametrize(
    "given", ["", "now", "0001-01-01", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"]
)
def test_what_is_no_moment_is_refused(given):
    with pytest.raises(InvalidInput, match="no moment"):
        moment(given, datetime(2026, 1, 31, tzinfo=UTC), field="x")


def test_a_moment_is_an_offset_or_a_date():
    at = datetime(2026, 1, 31, 12, tzinfo=UTC)
    assert moment("-PT5H", at, field="x").hour == 7
    assert moment("2026-01-31T09:00:00", at, field="x") == at.replace(hour=9)
