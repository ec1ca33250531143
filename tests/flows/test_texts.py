"""Texts, searches and dates against plain Python, over tables and records alike."""
# ruff: noqa: E501 - tables of cases read better as lines

from __future__ import annotations

import datetime as dt
import math
import re

import parity
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clary.expressions.functions.text import lower, upper
from clary.kernel.errors import InvalidInput

LETTERS = "aAbBzZ019 ,.-_()[]\\^é ßİ😀Ω\t\n"
texts = st.lists(st.none() | st.text(LETTERS, max_size=9), min_size=1, max_size=8)
few = settings(max_examples=12, deadline=None)


def made(operator, values, **given):
    """Run a transform over one column of texts; give what became of it."""
    rows = [(one,) for one in values]
    return parity.apply(operator, {"columns": ["s"], **given}, {"s": "varchar"}, rows)["s"]


def swapped(text):
    return "".join(lower(one) if one == upper(one) else upper(one) for one in text)


CASES = [
    ("strings.pad", {"width": 5, "fill": "é"}, lambda s: s.rjust(5, "é")),
    ("strings.pad", {"width": 5, "side": "right"}, lambda s: s.ljust(5)),
    ("strings.prepend_zeros", {"width": 4}, lambda s: s.rjust(4, "0")),
    ("strings.strip", {}, lambda s: s.strip(" \t\r\n")),
    ("strings.strip", {"characters": "aA]", "side": "left"}, lambda s: s.lstrip("aA]")),
    ("strings.strip", {"characters": "-^", "side": "right"}, lambda s: s.rstrip("-^")),
    ("strings.case", {"to": "upper"}, upper),
    ("strings.case", {"to": "lower"}, lower),
    ("strings.case", {"to": "swap"}, swapped),
    ("strings.case", {"to": "capitalize"}, lambda s: upper(s[:1]) + lower(s[1:])),
    ("strings.affix", {"prefix": "it's ", "suffix": "é"}, lambda s: f"it's {s}é"),
    ("strings.remove_symbols", {}, lambda s: re.sub(r"[!@#$%^&*()_+=\-/\\`~{}|<>?]", "", s)),
    ("strings.remove_symbols", {"symbols": "]a-^é"}, lambda s: re.sub(r"[\]a\-^é]", "", s)),
    ("search.find", {"text": "a"}, lambda s: s.find("a")),
    ("search.find", {"text": "A", "from_right": True}, lambda s: s.rfind("A")),
    ("search.find", {"text": "b", "start": 1, "end": 4}, lambda s: s.find("b", 1, 4)),
    ("search.matches", {"pattern": r"[a-z]\d"}, lambda s: bool(re.search(r"[a-z]\d", s, re.ASCII))),
    ("search.replace", {"old": "a", "new": "''"}, lambda s: s.replace("a", "''")),
    ("search.replace_pattern", {"pattern": r"(\d)a", "new": r"<\1>"}, lambda s: re.sub(r"(\d)a", r"<\1>", s, flags=re.ASCII)),
    ("search.pattern_to_missing", {"pattern": "^$|z"}, lambda s: None if not s or "z" in s else s),
    ("search.extract_position", {"start": 1, "end": 3}, lambda s: s[1:3]),
    ("search.extract_position", {"start": 2}, lambda s: s[2:]),
    ("search.extract_pattern", {"pattern": r"([a-z])(\d)", "group": 2}, lambda s: (m := re.search(r"[a-z](\d)", s, re.ASCII)) and m[1]),
    ("search.extract_between", {"left": "(", "right": ")"}, lambda s: (m := re.search(r"\((.*?)\)", s, re.DOTALL)) and m[1]),
]  # fmt: skip


@pytest.mark.parametrize(("operator", "parameters", "oracle"), CASES)
def test_texts_are_rewritten_as_python_does(operator, parameters, oracle):
    @few
    @given(texts)
    def run(values):
        expected = [None if one is None else oracle(one) for one in values]
        assert made(operator, values, **parameters) == expected

    run()


def test_a_new_column_and_digits():
    rows = [(7,), (None,), (12345,)]
    found = parity.apply(
        "strings.prepend_zeros", {"columns": ["n"], "output": "zip", "width": 5}, {"n": "bigint"}, rows
    )  # fmt: skip
    assert found.rows == [(7, "00007"), (None, None), (12345, "12345")]


@few
@given(texts)
def test_texts_are_split(values):
    rows = [(one,) for one in values]
    schema = {"s": "varchar"}
    found = parity.apply("search.split", {"column": "s", "delimiter": "a"}, schema, rows)
    assert found["s"] == [None if one is None else one.split("a") for one in values]
    given = {"column": "s", "delimiter": r"[ab]+", "is_pattern": True, "parts": 2}
    found = parity.apply("search.split", given, schema, rows)
    parts = [[] if one is None else re.split("[ab]+", one) for one in values]
    assert found["s_0"] == [one[0] if one else None for one in parts]
    assert found["s_1"] == [one[1] if len(one) > 1 else None for one in parts]


FORMATS = [
    "%Y/%m/%d %H:%M:%S", "%d.%m.%Y", "%m/%d/%Y %I:%M %p", "%d-%b-%Y", "%B %d, %Y", "%Y%m%d",
    "%d/%m/%y", "%Y-%m-%d %H:%M:%S.%f", "%F T%T", "(%Y) %m [%d]",
]  # fmt: skip
moments = st.datetimes(dt.datetime(1000, 1, 1), dt.datetime(9999, 1, 1))


@pytest.mark.parametrize("form", FORMATS)
def test_dates_are_read_as_strptime_does(form):
    @few
    @given(st.lists(moments, min_size=1, max_size=6))
    def run(values):
        written = [one.strftime(form) for one in values]
        spelled = form.replace("%F", "%Y-%m-%d").replace("%T", "%H:%M:%S")
        expected = [dt.datetime.strptime(one, spelled) for one in written]
        rows = [
            (one,) for one in (*written, None, "never", "", "31.02.2024", "2024/13/01 10:00:00")
        ]
        found = parity.apply("dates.parse", {"column": "s", "format": form}, {"s": "varchar"}, rows)
        assert found["s"] == expected + [None] * 5

    run()


@pytest.mark.parametrize("form", ["iso", "%m/%d/%Y", "%d %B %Y", "%d.%m.%Y %H:%M"])
def test_formats_are_inferred(form):
    written = "%Y-%m-%d %H:%M:%S" if form == "iso" else form
    days = [dt.datetime(2024, month, day) for month, day in ((1, 31), (2, 29), (12, 24))]
    rows = [(one.strftime(written),) for one in days] + [("?",), (None,)]
    found = parity.apply("dates.parse", {"column": "s", "to": "date"}, {"s": "varchar"}, rows)
    assert found["s"] == [*(one.date() for one in days), None, None]
    assert found.learned.nodes["made"].state == {"format": form}


def test_what_is_no_date_or_format_is_refused():
    with pytest.raises(InvalidInput, match="no format that is known"):
        parity.apply("dates.parse", {"column": "s"}, {"s": "varchar"}, [("x",), ("y",)])
    for form in ("%Y-%m", "%Q", "%Y %Y %m %d", "%Y-%m-%d %I"):
        with pytest.raises(InvalidInput, match="format"):
            parity.apply("dates.parse", {"column": "s", "format": form}, {"s": "varchar"}, [("x",)])


@few
@given(st.lists(moments, min_size=1, max_size=5))
def test_dates_are_taken_apart(values):
    parts = [
        "year",
        "quarter",
        "month",
        "week_of_year",
        "day_of_year",
        "day_of_week",
        "day",
        "hour",
    ]
    rows = [(one,) for one in values] + [(None,)]
    found = parity.apply(
        "dates.featurize", {"column": "m", "parts": parts}, {"m": "timestamp"}, rows
    )
    for one, row in zip(values, found.rows, strict=False):
        iso = one.isocalendar()
        days = one.timetuple().tm_yday
        quarter = (one.month + 2) // 3
        assert row[1:] == (
            one.year,
            quarter,
            one.month,
            iso.week,
            days,
            iso.weekday,
            one.day,
            one.hour,
        )
    assert found.rows[-1] == (None,) * 9


def test_cycles_are_told_in_the_clock_of_a_zone():
    noon = dt.datetime(2024, 3, 31, 1, 30, tzinfo=dt.UTC)
    given = {"column": "z", "parts": ["hour"], "zone": "Europe/Berlin", "embedding": "cyclic"}
    found = parity.apply("dates.featurize", given, {"z": "timestamptz"}, [(noon,), (None,)])
    angle = 2 * math.pi * 3 / 24
    assert found.rows[0][1:] == pytest.approx((math.sin(angle), math.cos(angle)))
    vector = parity.apply(
        "dates.featurize", {**given, "style": "vector"}, {"z": "timestamptz"}, [(noon,)]
    )
    assert vector["z_features"][0] == list(found.rows[0][1:])
