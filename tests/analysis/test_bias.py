"""Bias of tables: what counts as what, what is undefined, what chance explains, what has grown."""

from __future__ import annotations

import json
import math
from datetime import date
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clary.analysis import bias_report
from clary.analysis.bias import Facet, Question, analyze
from clary.analysis.bias_drift import drift, unchecked
from clary.analysis.bias_metrics import METRICS, names
from clary.analysis.bias_page import page
from clary.analysis.bias_report import Analysis, BiasMetrics, FacetValue, MetricValue
from clary.kernel.errors import InvalidInput, LimitExceeded

EXAMPLES = Path(__file__).parents[3] / "shared/examples/monitoring"


def measure(columns, *, facet="who", values=(), intervals=False, **more):
    asked = {"label": "y", "positive": [1], "before": names("pre_training"), **more}
    if "p" in columns:
        asked = {"prediction": "p", "after": names("post_training"), **asked}
    with duckdb.connect() as connection:
        connection.register("t", pa.table(columns))
        question = Question(facets=[Facet(facet, values)], **asked)
        return analyze(connection, "t", question, intervals=intervals)


def values(analysis, facet="who", place=0):
    return {
        one.name: one.number
        for stage in analysis.stages.values()
        for one in stage.facets[facet][place].metrics
    }


def errors(analysis):
    return {metric.name: metric.error for _, _, metric in analysis.metrics() if metric.error}


def naive(a, d):
    """Some of the metrics from rows of label and prediction."""

    def share(rows, test):
        return sum(map(test, rows)) / len(rows)

    def positive(row):
        return row[0] == 1

    def accepted(row):
        return row[1] == 1

    both = [*a, *d]
    benefit = [p - y + 1 for y, p in both]
    mean = sum(benefit) / len(benefit)
    gaps = [abs(share(a, positive) - share(d, positive))] * 2
    return {
        "CI": (len(a) - len(d)) / len(both),
        "DPL": share(a, positive) - share(d, positive),
        "LP": math.hypot(*gaps),
        "TVD": sum(gaps) / 2,
        "KS": max(gaps),
        "DPPL": share(a, accepted) - share(d, accepted),
        "AD": share(a, lambda row: row[0] == row[1]) - share(d, lambda row: row[0] == row[1]),
        "GE": sum((one / mean) ** 2 - 1 for one in benefit) / (2 * len(both)) if mean else None,
    }


ROWS = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=1, max_size=25)


@settings(max_examples=40, deadline=None)
@given(ROWS, ROWS)
def test_what_rows_say(a, d):
    columns = {
        "who": ["a"] * len(a) + ["d"] * len(d),
        "y": [y for y, _ in (*a, *d)],
        "p": [p for _, p in (*a, *d)],
    }
    found = values(measure(columns, values=["d"], positive=[1]))
    for name, value in naive(a, d).items():
        assert found[name] == (None if value is None else pytest.approx(value, abs=1e-12)), name


def test_nothing_by_nothing_is_nothing_and_something_infinite():
    columns = {"who": [0, 0, 1, 1], "y": [0, 1, 0, 1], "p": [0, 0, 1, 1]}
    analysis = measure(columns, values=[1])
    found = values(analysis)
    assert found["DI"] == math.inf
    assert found["DAR"] == -0.5  # nobody of the others is accepted: 0/0
    assert found["TE"] == -math.inf
    document = json.loads(bias_report.write(analysis))
    told = document["post_training_bias_metrics"]["facets"]["who"][0]["metrics"]
    assert {one["name"]: one["value"] for one in told}["TE"] == "-Infinity"


def test_what_has_no_value_says_why():
    columns = {"who": ["a", "b"], "y": [1, 1], "p": [1, 0], "g": ["x", "x"], "text": ["u", "v"]}
    said = errors(measure(columns, values=["b"], group="g"))
    assert said["CDDL"] == "is undefined: all labels are positive, or all are negative"
    assert said["FT"] == "needs columns of numbers without gaps: 'g'"
    assert errors(measure(columns, values=["b"]))["CDDL"] == "no group variable is given"
    nobody = measure(columns, values=["c"])
    assert set(errors(nobody).values()) == {"no row is of the facet's value"}
    assert set(values(nobody).values()) == {None}


def test_each_category_against_the_rest():
    columns = {"who": ["c", "a", "b", "a", None, "c"], "y": [1, 0, 1, 1, 1, 0]}
    (stage,) = measure(columns).stages.values()
    assert [one.value_or_threshold for one in stage.facets["who"]] == ["a", "b", "c"]
    notes = stage.facets["who"][0].clary
    assert (notes.rows, notes.rows_left_out) == (5, 1)


def test_categories_of_any_type():
    days = [date(2026, 1, 1), date(2026, 1, 2), date(2026, 1, 1), date(2026, 1, 2)]
    columns = {"who": days, "y": [0, 1, 0, 1], "g": [[1], [1], [2], [2]]}
    (stage,) = measure(columns, group="g").stages.values()
    titles = [one.value_or_threshold for one in stage.facets["who"]]
    assert titles == ["2026-01-01", "2026-01-02"]
    assert values(measure({**columns, "who": columns["g"]}, group="g"))["CI"] == 0


@pytest.mark.parametrize(
    ("column", "chosen", "title", "sensitive"),
    [
        ([1, 0, 1, 0], [1], "1", 2),
        (["F", "M", "X", "M"], ["F", "X"], "F,X", 2),
        (["1", "2", "2", "2"], [1], "1", 1),
        ([True, False, True, True], ["true"], "true", 3),
        ([0.5, 1.5, 2.5, float("nan")], [1.5], "(1.5, 2.5]", 1),
        ([10, 20, 30, 40], [15], "(15, 40]", 3),
        ([10, 20, 30, 40], [10, 20], "10,20", 2),
    ],
)
def test_who_is_meant(column, chosen, title, sensitive):
    (stage,) = measure({"who": column, "y": [0, 1, 0, 1]}, values=chosen).stages.values()
    (facet,) = stage.facets["who"]
    assert facet.value_or_threshold == title
    assert facet.clary.groups[1]["rows"] == sensitive


def test_scores_are_judged_by_the_threshold_and_whole_numbers_are_labels():
    columns = {"who": [0, 0, 1, 1], "y": [0, 1, 0, 1], "p": [0.4, 0.6, 0.2, 0.45]}
    found = values(measure(columns, values=[1], threshold=0.42))
    assert found["DPPL"] == 0
    labels = {"who": [0, 0, 1, 1], "y": [0, 1, 2, 2], "p": [2.0, 0.0, 2.0, 1.0]}
    assert values(measure(labels, values=[1], positive=[0, 2]))["DPPL"] == 0.5
    inverted = {**columns, "p": [0.9, 0.9, 0.1, 0.1]}
    assert values(measure(inverted, values=[1], positive=[0]))["DPPL"] == -1


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"facet": "whom"}, "the dataset has no column 'whom'; legal: who, y"),
        ({"before": ["DPI"]}, "'DPI' is no metric; legal: CDDL, CI"),
        ({"positive": []}, "holds amounts, and no threshold is given"),
        ({"label": "z", "positive": ["much"]}, "'much' is no number"),
        ({"after": ["DI"]}, "bias after training needs predictions"),
        ({"label": "who", "positive": []}, "names no value of the column 'who'"),
        (
            {"label": "z", "positive": [0.1], "prediction": "said", "after": ["DI"]},
            "the column 'said' holds no numbers",
        ),
    ],
)
def test_what_cannot_be_asked(asked, message):
    columns = {"who": [1, 0, 1], "y": [1.5, 2.5, 1.0], "z": [0.1, 0.2, 0.3], "said": list("abc")}
    with pytest.raises(InvalidInput) as raised:
        measure(columns, **{"positive": [2], **asked})
    assert message in str(raised.value)


def test_too_many_categories_are_refused():
    columns = {"who": [f"w{n}" for n in range(1001)], "y": [0, 1, *[1] * 999]}
    with pytest.raises(LimitExceeded, match="1001 categories"):
        measure(columns)


def test_intervals_hold_what_chance_does():
    draw = np.random.default_rng(11)
    missed = judged = 0
    for _ in range(40):
        columns = {name: draw.integers(0, 2, 500) for name in ("who", "y", "p")}
        found = measure(columns, values=[1], intervals=True, after=[*COUNTED])
        for _, _, metric in found.metrics():
            if metric.name in COUNTED or metric.name == "DPL":
                judged += 1
                low, high = metric.interval
                missed += not low <= METRICS[metric.name].ideal <= high
    assert 0.02 < missed / judged < 0.08


COUNTED = ["AD", "DAR", "DCA", "DCR", "DI", "DPPL", "DRR", "RD", "SD", "TE"]


def drawn(draw, rows, gap):
    """Measure people of whom those who are sensitive are accepted less often by ``gap``."""
    who = draw.integers(0, 2, rows)
    truth = draw.random(rows) < 0.5 - gap * who
    guess = draw.random(rows) < np.where(truth, 0.7, 0.25) - gap * who / 2
    columns = {"who": who, "y": truth.astype(int), "p": guess.astype(int)}
    return measure(columns, values=[1], intervals=True, after=[*COUNTED, "GE"])


def test_one_in_a_hundred_analyses_of_unchanged_data_alarms():
    draw = np.random.default_rng(5)
    alarms = by_value = 0
    for _ in range(25):
        before, after = drawn(draw, 3000, 0.1), drawn(draw, 400, 0.1)
        alarms += bool(drift(before, after, needs_certainty=True))
        by_value += bool(drift(before, after))
    assert alarms <= 1
    assert by_value == 25
    found = [drift(drawn(draw, 3000, 0.1), drawn(draw, 400, 0.35), needs_certainty=True)]
    assert {"DPL", "DPPL"} <= {one.metric_name for one in found[0]}


def test_recorded_documents_round_trip():
    found = sorted(EXAMPLES.glob("*clarify*bias*.json")) + sorted(EXAMPLES.glob("*analysis.json"))
    if not found:
        pytest.skip("needs the recorded examples")
    for file in found:
        if "translated" not in file.name:
            text = file.read_text("utf-8")
            assert json.loads(bias_report.write(bias_report.read(text))) == json.loads(text)


def stage(title="1", **metrics):
    told = tuple(MetricValue(name, value=value) for name, value in metrics.items())
    return Analysis(
        post_training_bias_metrics=BiasMetrics("y", {"who": (FacetValue(title, told),)}, "1")
    )


def test_farther_from_even_is_a_violation():
    before = stage(DPPL=-0.2, DI=0.9, AD=0.1, TE="Infinity", RD=None, SD=0.3)
    after = stage(DPPL=0.21, DI=1.09, AD=-0.1, TE=4.0, RD=0.5, SD=None)
    assert [one.metric_name for one in drift(before, after)] == ["DPPL"]
    assert unchecked(before, after) == [
        "RD of who 1: has no value in the baseline",
        "SD of who 1: has no value",
    ]
    (violation,) = drift(stage(DI=1.0), stage(DI="Infinity"))
    said = "Metric value Infinity doesn't meet the baseline constraint requirement 1.0"
    assert violation.description == said


def test_thresholds_are_the_same_whatever_the_largest_value():
    before, after = stage("(40, 80]", DPPL=0.1), stage("(40.0, 71.5]", DPPL=0.2)
    (violation,) = drift(before, after)
    assert violation.facet_value == "40"


def test_a_baseline_of_another_label_is_refused():
    other = stage(DPPL=0.1)
    metrics = other.post_training_bias_metrics
    changed = BiasMetrics(metrics.label, metrics.facets, "0")
    with pytest.raises(InvalidInput, match="calls the label '0' positive, and the analysis '1'"):
        drift(Analysis(post_training_bias_metrics=changed), other)


def test_examples_of_checks():
    good, bad = (
        EXAMPLES / f"pipeline__clarify_check_step__data_bias__{kind}_cases__analysis.json"
        for kind in ("good", "bad")
    )
    if not good.exists():
        pytest.skip("needs the recorded examples")
    current = bias_report.read(good.read_bytes())
    assert drift(current, current) == ()
    found = drift(bias_report.read(bad.read_bytes()), current)
    assert [one.metric_name for one in found] == ["KS"]


def test_the_page_needs_nothing_and_trusts_nothing():
    columns = {"who": ["<b>a", "c", "c", "<b>a"], "y": [0, 1, 0, 1], "p": [1, 1, 0, 1]}
    analysis = measure(columns, intervals=True)
    text = page(analysis, title="A & B", violations=drift(stage(DPPL=0.0), stage(DPPL=0.5)))
    assert "<title>A &amp; B</title>" in text
    assert "&lt;b&gt;a" in text
    assert "<b>a" not in text
    assert "http" not in text
    assert "Metric value 0.5 doesn&#x27;t meet" in text
    assert "no group variable is given" in text
