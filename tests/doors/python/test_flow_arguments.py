"""What people give to flows by mistake, or as pandas would take it."""

from __future__ import annotations

import pandas as pd
import pytest

import clary

PEOPLE = [{"id": 1, "age": 20.0, "city": "Rome"}, {"id": 2, "age": None, "city": "Oslo"}]
FRAME = pd.DataFrame(PEOPLE)


@pytest.fixture
def people():
    return clary.Flow(PEOPLE, name="people")


def test_names_may_stand_alone_or_in_a_list(people):
    assert people.drop(["id", "age"]).document == people.drop("id", "age").document
    assert people.concatenate_columns("id", "city", output="both").operators
    ages = people.drop("city")
    assert people.join(ages, on="id").document == people.join(ages, on=["id"]).document
    pairs = people.join(ages, on=(["id", "id"],))
    assert pairs.document.node("join").with_["on"] == [["id", "id"]]


def test_what_is_as_by_default_is_not_written_down(people):
    flow = people.strip("city").impute("age", strategy="mean").one_hot("city", unseen="error")
    program = flow.to_python()
    for call in ('.strip("city")', '.impute("age")', '.one_hot("city", unseen="error")'):
        assert call in program
    assert flow.document.node("strip").with_ == {"columns": ["city"]}


@pytest.mark.parametrize(
    ("mistake", "said"),
    [
        (lambda flow: flow.fit(FRAME), r"sources: is a DataFrame; legal: .*\{'people': rows\}"),
        (lambda flow: flow.to_arrow(PEOPLE), r"sources: is a list; legal: .*\{'people': rows\}"),
        (lambda flow: flow.join(FRAME, on="id"), r"a DataFrame is no flow; legal: .*clary\.Flow"),
        (lambda _: clary.Flow({"a": [1]}).fit(), "is a dict; legal: a list of records, a frame"),
        (lambda _: clary.Flow([]).fit(), "has no records, so no columns"),
        (lambda flow: flow.analyse("histogram", col="age"), "legal: column, color, facet, bins"),
        (lambda flow: flow.one_hot("city", unseen="x"), "legal: error, keep, skip"),
        (lambda flow: flow.filter("age >"), "rows.filter: .*missing after '>'"),
        (lambda flow: flow.formula("(age", "x"), "columns.formula: .*column 4"),
        (
            lambda flow: flow.fit().inference(absent=["ag"]),
            "there is no column 'ag'; legal",
        ),
    ],
)
def test_what_does_not_fit_is_named_with_what_does(people, mistake, said):
    with pytest.raises(clary.InvalidInput, match=said):
        mistake(people)


def test_a_name_that_looks_like_a_file_is_told_how_to_be_read():
    with pytest.raises(clary.InvalidInput) as refused:
        clary.Flow("people.csv").preview()
    assert "Flow.read(" in refused.value.hint


def test_an_analysis_has_its_name_with_or_without_its_group(people):
    counted = people.analyse("duplicates").document
    assert people.analyse("analysis.duplicates").document == counted
