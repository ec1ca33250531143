"""The report on data for people."""

from __future__ import annotations

import html.parser
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clary.analysis import comparison, drift, drift_page
from clary.analysis.distribution_charts import chart, spark
from clary.analysis.drift_page import Findings, Past
from clary.analysis.frames import profile
from clary.analysis.samples import Categories, of_values
from clary.analysis.violation_words import subject, words
from clary.analysis.violations import Violation
from clary.kernel.errors import InvalidInput

AT = datetime(2026, 1, 31, 9, tzinfo=UTC)
EVIL = "<script>alert(1)</script>&'\""


class Read(html.parser.HTMLParser):
    """Reads a page: its elements, and whether they are closed in order."""

    VOID = frozenset({"meta", "line", "rect", "path", "polyline", "circle"})
    OPTIONAL = frozenset({"html"})

    def __init__(self, text):
        super().__init__()
        self.tags, self.open = [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def compared(before, now):
    usual = comparison.of_profile(profile(pa.table(before)))
    return comparison.compare(profile(pa.table(now)), usual)


def test_what_is_wrong_comes_first_and_nothing_of_data_is_markup():
    before = {"fine": [1.5, 2.5] * 500, EVIL: ["a", "b"] * 500, "gone": [1] * 1000}
    now = {"fine": [1.5, 2.5] * 500, EVIL: ["a", EVIL] * 500, "new": [2] * 1000}
    found = drift_page.of_comparison(compared(before, now))
    text = drift_page.page(found, title=EVIL, about=[EVIL])
    read = Read(text)
    assert read.open == []
    assert "script" not in read.tags
    assert text.count("&lt;script&gt;") >= 5
    assert "only 50 % of values are known from the baseline" in text
    assert "columns of the baseline are missing: gone" in text
    assert text.index("What is wrong") < text.index("<div class='card off'>")
    assert text.index("<h3>&lt;script&gt;") < text.index("<h3>fine</h3>")
    assert "not in the baseline" in text
    assert "http" not in text.replace("http-equiv", "")


def test_nothing_wrong_is_said_and_no_rows_too():
    rows = {"x": [float(one) for one in range(1000)]}
    assert "Nothing is wrong in 1,000 rows" in drift_page.page(
        drift_page.of_comparison(compared(rows, rows)), title="t"
    )
    assert "nothing to look at" in drift_page.page(Findings(0, ()), title="t")


def test_trends_are_drawn_of_several_looks():
    rows = {"x": [float(one) for one in range(1000)]}
    moved = {"x": [one + 500.0 for one in rows["x"]]}
    found = compared(rows, moved)
    far = drift_page.distances(found.drifts)
    assert far == {"x": pytest.approx(0.5, abs=0.01)}
    trend = [
        Past(AT, "Completed", 0, {"x": 0.01}),
        Past(AT + timedelta(hours=1), "Failed"),
        Past(AT + timedelta(hours=2), "CompletedWithViolations", 1, far),
    ]
    shown = Findings(
        found.rows, found.violations, found.drifts, found.before, found.now, tuple(trend)
    )
    text = drift_page.page(shown, title="t")
    assert "The last 3 times" in text
    assert "2026-01-31 10:00: Failed, ?" in text
    assert "0.01 → 0.5" in text
    assert Read(text).tags.count("polyline") == 1
    only = Findings(found.rows, found.violations, trend=trend[:1])
    assert "The last" not in drift_page.page(only, title="t")


def test_many_columns_are_cut_off_and_counted():
    many = {f"c{n}": of_values([1.0, 2.0]) for n in range(drift_page.MOST_COLUMNS + 3)}
    text = drift_page.page(Findings(2, (), before=many, now=many), title="t")
    assert "3 more columns are not drawn" in text


NUMBERS = st.lists(st.floats(allow_nan=False), max_size=60).map(of_values)
COUNTS = st.dictionaries(st.text(max_size=40), st.integers(1, 99), max_size=20).map(Categories)


@given(before=st.none() | NUMBERS | COUNTS, now=st.none() | NUMBERS | COUNTS)
def test_any_two_distributions_make_a_picture_or_none(before, now):
    text = chart(before, now)
    assert Read(text).open == []
    assert "nan" not in "".join(text.split("'")[1::2])


def test_a_trend_of_nothing_is_flat():
    assert "24.0" in spark([0.0, 0.0])
    assert Read(spark([])).open == []


def test_drift_is_read_back_as_it_was_written():
    rows = {"x": [1.0, 2.0, 3.0] * 300, "y": ["a", "b", "c"] * 300}
    for one in compared(rows, rows).drifts:
        assert drift.read(one.to_document()) == one
    with pytest.raises(InvalidInput, match="p_value"):
        drift.read({"feature_name": "x", "test": "chi_squared"})


@pytest.mark.parametrize(
    ("check", "known", "said"),
    [
        ("data_type_check", {"observed": 0.5, "required": 1.0}, "only 50 % of values have"),
        ("non_negative_check", {"observed": 0.9999, "required": 1.0}, "only > 99.9 %"),
        ("baseline_drift_check", {"observed": 0.3, "required": 0.1}, "moved by 0.3"),
        ("baseline_drift_check", {"observed": 0.001, "required": 0.05}, "probability of 0.001"),
        ("baseline_drift_check", {"metric": "psi", "observed": 1, "required": 0}, "as it was"),
        ("baseline_drift_check", {"observed": "much"}, "as it was"),
        ("extra_column_check", {"columns": list("abcdefghijkl")}, "i, j and 2 more"),
        ("extra_column_check", {}, "as it was"),
        ("a check of one's own", {"observed": 1}, "as it was"),
    ],
)
def test_violations_are_said_in_plain_words(check, known, said):
    one = Violation(
        feature_name="f", constraint_check_type=check, description="as it was", clary=known
    )
    assert said in words(one)


def test_what_a_violation_is_about_is_named():
    one = Violation(
        metric_name="DPL", facet="sex", facet_value="f", constraint_check_type="", description=""
    )
    assert subject(one) == "DPL sex f"
