"""Texts converted, their types learned, and tested."""

import datetime as dt

import parity
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clary.kernel.errors import InvalidInput

TEXTS = [
    "12",
    " 7 ",
    "1.5",
    "x",
    None,
    "",
    "2024-02-30",
    "2024-02-29",
    "2024-02-29 10:00:00",
    "yes",
]
ROWS = [(one,) for one in TEXTS]
SCHEMA = {"t": "varchar"}


def _cast(to, rows=ROWS, **with_):
    return parity.apply("parse.cast", {"columns": ["t"], "to": to, **with_}, SCHEMA, rows)["t"]


def test_texts_become_what_they_hold():
    assert _cast("float")[:4] == [12.0, 7.0, 1.5, None]
    assert _cast("long")[:2] == [12, 7]
    assert _cast("boolean")[9] is True
    assert _cast("date")[6:9] == [None, dt.date(2024, 2, 29), dt.date(2024, 2, 29)]
    assert _cast("timestamp")[8] == dt.datetime(2024, 2, 29, 10)
    assert _cast("float", invalid="drop") == [12.0, 7.0, 1.5, None]
    assert _cast("float", invalid="fill", fill="-1")[2:6] == [1.5, -1.0, None, -1.0]
    with pytest.raises(InvalidInput, match="'x' is not a double"):
        _cast("float", invalid="error")


def test_types_of_columns_are_learned():
    columns = {
        "whole": ["1", " -2 ", None, "N/A"],
        "number": ["1", "2.5", "", "1e3"],
        "code": ["00123", "1", "2", "3"],
        "truth": ["yes", "no", "True", None],
        "day": ["2024-01-31", "2023-02-28", None, "-"],
        "moment": ["2024-01-31 10:00:00", "2023-02-28", None, "?"],
        "text": ["1", "x", "2", "3"],
        "nothing": [None, "", "NA", "null"],
    }
    schema = dict.fromkeys(columns, "varchar")
    rows = list(zip(*columns.values(), strict=True))
    made = parity.apply("parse.infer", {}, schema, rows)
    assert {name: str(kind) for name, kind in made.columns.items()} == {
        "whole": "bigint",
        "number": "double",
        "code": "varchar",
        "truth": "boolean",
        "day": "date",
        "moment": "timestamp",
        "text": "varchar",
        "nothing": "varchar",
    }
    assert made["whole"] == [1, -2, None, None]
    later = parity.apply("parse.infer", {}, schema, [("x",) * 8], fit=rows)
    assert later.rows == [(None, None, "x", None, None, None, "x", "x")]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.one_of(st.none(), st.text("01-.eE+ :naTyif/", max_size=8)), max_size=20))
def test_whatever_is_inferred_is_the_same_for_records(texts):
    parity.apply("parse.infer", {}, SCHEMA, [(one,) for one in texts])
    for to in ("long", "float", "boolean", "date", "timestamp"):
        _cast(to, [(one,) for one in texts])


PASSES = {
    "alphabetic": ("ab", "a1"),
    "alphanumeric": ("a1", "a_1"),
    "ascii": ("a!", "é"),
    "digits": ("012", "-1"),
    "whole_number": ("-1", "1.0"),
    "number": ("1e5", "x"),
    "date": ("2024-01-31", "2024-13-01"),
    "lower": ("é1", "éA"),
    "upper": ("É1", "12"),
    "blank": ("  ", "a"),
    "email": ("a.b+c@d-e.org", "a@b"),
    "url": ("https://a.org/x?y", "a.org"),
}


@pytest.mark.parametrize("test", PASSES)
def test_texts_are_tested(test):
    rows = [(one,) for one in (*PASSES[test], None, "")]
    with_ = {"columns": ["t"], "test": test, "output": "ok"}
    found = parity.apply("validate.string", with_, SCHEMA, rows)["ok"]
    assert found[:3] == [True, False, None]
