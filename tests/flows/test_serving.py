"""A fitted flow answers requests, record by record."""

from __future__ import annotations

import json

import duckdb
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import clary
from clary.flows.exports import sql
from clary.flows.plans import ready
from clary.flows.serving import CSV, FRAME, JSON, LINES, Served
from clary.kernel.errors import InvalidInput, NotSupported

PEOPLE = [
    {"age": 20.5, "city": "Rome", "born": "2001-02-03", "label": True},
    {"age": None, "city": None, "born": "1999-12-31", "label": False},
]


def flow():
    people = clary.Flow(PEOPLE, name="people").cast("born", to="date")
    return people.filter("city IS DISTINCT FROM 'Atlantis'").formula("year(born)", "year")


def server(absent=("label",)):
    made = flow().fit()
    return made._served(absent).open()


ROWS = [[20.5, "Rome", "2001-02-03", 2001], [None, None, "1999-12-31", 1999]]


def test_every_kind_of_payload_is_the_same_records():
    made = server()
    records = [{name: one for name, one in row.items() if name != "label"} for row in PEOPLE]
    frame = {FRAME: {"columns": list(records[0]), "data": [list(x.values()) for x in records]}}
    payloads = [
        ("20.5,Rome,2001-02-03\n,,1999-12-31\n", CSV),
        (json.dumps(records), JSON),
        (json.dumps(frame), JSON),
        ("\n".join(map(json.dumps, records)), LINES),
    ]
    for body, kind in payloads:
        said, written = made.answer(body, kind, JSON)
        assert json.loads(said)[FRAME] == {
            "columns": ["age", "city", "born", "year"],
            "data": ROWS,
        }
        assert written == JSON
    assert made.answer(payloads[1][0], JSON, CSV) == (
        "20.5,Rome,2001-02-03,2001\n,,1999-12-31,1999\n",
        CSV,
    )


@pytest.mark.parametrize(
    ("body", "kind", "told"),
    [
        ("1,2\n", CSV, "record 0: has 2 values; legal: 3: age, city, born"),
        ("x,Rome,2001-02-03\n", CSV, "record 0: age: 'x' is not a double"),
        (b"\xff", CSV, "body: is no UTF-8"),
        ("x", "image/png", "content type: 'image/png' is not read here; legal: text/csv"),
        ("[" * 100_000, JSON, "body: is no JSON"),
        ('{"dataframe_split": {}}', JSON, "dataframe_split: .*required field `columns`"),
        ('{"dataframe_split": {"columns": ["age"], "data": [[1, 2]]}}', JSON, "has 2 values"),
        ("{", JSON, "body: is no JSON"),
        ("3", JSON, "body: holds no records"),
        ('[{"aeg": 3}]', JSON, "record 0: record: there is no column 'aeg'; legal: age"),
        ('[{"age": "old"}]', JSON, "record 0: age: 'old' is a str; legal: double"),
        ('[{"age": 1}, {"city": "Atlantis"}]', JSON, "record 1: the flow drops it"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(body, kind, told):
    with pytest.raises(InvalidInput, match=told):
        server().answer(body, kind, JSON)


def nested():
    rows = [{"n": 1, "tags": ["a"], "at": {"x": 1.5}, "ok": True}]
    return clary.Flow(rows, name="rows").formula("n + 1", "more").fit()._served().open()


@pytest.mark.parametrize(
    ("record", "told"),
    [
        ({"n": 2**63}, "n: 9223372036854775808 is a int; legal: -9223372036854775808 to"),
        ({"tags": "["}, "tags: is no JSON"),
        ({"tags": [1]}, r"tags: \[1\] is a list; legal: list\(varchar\)"),
        ({"at": {"x": "far"}}, "at: {'x': 'far'} is a dict; legal: struct"),
        ({"ok": 1}, "ok: 1 is a int; legal: boolean"),
    ],
)
def test_values_of_no_type_of_their_column_are_refused_with_its_name(record, told):
    with pytest.raises(InvalidInput, match=f"^record 0: {told}"):
        nested().answer(json.dumps(record), JSON, JSON)


@given(st.text(max_size=40), st.sampled_from([CSV, JSON, LINES]))
def test_no_payload_but_a_right_one_is_answered(body, kind):
    try:
        said, _ = SERVER.answer(body, kind, CSV)
    except InvalidInput:
        return
    assert said.count("\n") >= 0


SERVER = server()


def test_what_needs_many_rows_and_what_is_not_fitted_is_refused():
    made = flow()
    with pytest.raises(InvalidInput, match="the source people has not been read yet"):
        made._served().open()
    many = made.aggregate("city", aggregates={"*": ["count"]}).fit()
    with pytest.raises(NotSupported, match="needs more than one record"):
        many._served().open()
    assert isinstance(made.fit()._served(), Served)


def test_the_query_of_a_flow_gives_its_rows():
    made = flow().sort("age", descending=True).drop_duplicates("city").head(1)
    rows = made.to_arrow()
    query = sql.query(ready(made.document, made.name, made.fitted))
    source = clary.Flow(PEOPLE, name="people").to_arrow()
    with duckdb.connect() as connection:
        connection.register("people", source)
        assert connection.sql(query).to_arrow_table().to_pylist() == rows.to_pylist()


def test_scalars_of_numpy_are_values():
    rows = {"count": [1, 2], "share": [0.5, 1.5], "is_new": [True, False], "name": ["a", "b"]}
    made = clary.Flow(pd.DataFrame(rows), name="rows").formula("count + 1", "more").fit()
    for one in pd.DataFrame(rows).to_dict("index").values():
        given = {"count": np.int32(one["count"]), "share": np.float32(one["share"])}
        given |= {"is_new": np.bool_(one["is_new"]), "name": np.str_(one["name"])}
        assert made.record(given) == {**one, "more": one["count"] + 1}
    for wrong in (np.array([1, 2]), np.datetime64("2020-01-01"), np.float64(1.5)):
        with pytest.raises(InvalidInput, match="count"):
            made.record({"count": wrong})
