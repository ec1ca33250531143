"""Flows over one record: one function, and words for what it cannot compute."""

import datetime as dt

import pandas as pd
import pytest

import clary
from clary.expressions import type_named
from clary.flows import documents
from clary.flows.fitted import NOTHING, Fitted, Learned, digest
from clary.flows.plans import plan
from clary.flows.records import compiled, fits
from clary.kernel.errors import InvalidInput, NotSupported


def chain(*operators):
    nodes = [{"id": "rows", "operator": "source"}]
    for place, (operator, with_) in enumerate(operators):
        before = nodes[-1]["id"]
        nodes.append({"id": f"n{place}", "operator": operator, "with": with_, "inputs": [before]})
    return documents.read({"nodes": nodes})


def function(schema, *operators):
    flow = chain(*operators)
    schema = {name: type_named(kind) for name, kind in schema.items()}
    return compiled(plan(flow, flow.nodes[-1].id, NOTHING, {"rows": schema}))


def test_steps_become_one_function():
    run = function(
        {"a": "bigint", "b": "varchar"},
        ("strings.case", {"columns": ["b"], "to": "upper"}),
        ("rows.filter", {"condition": "a > 1"}),
        ("strings.case", {"columns": ["b"], "to": "lower"}),
        ("columns.drop", {"columns": ["a"]}),
    )
    assert [run(row) for row in [(1, "X"), (2, "Y"), (None, "Z"), (3, None)]] == [
        None,
        ("y",),
        None,
        (None,),
    ]


def test_what_a_record_cannot_be_names_its_column():
    run = function({"a": "bigint"}, ("rows.filter", {"condition": "a + 1 > 1"}))
    assert run((1,)) == (1,)
    with pytest.raises(InvalidInput, match="record, column a: 'x' is a str"):
        run(("x",))
    with pytest.raises(InvalidInput, match="record: has 2 values"):
        run((1, 2))


def test_what_fails_names_its_node():
    run = function(
        {"a": "bigint"},
        ("rows.filter", {"condition": "a > 0"}),
        ("rows.filter", {"condition": "a + 1 > 1"}),
    )
    with pytest.raises(InvalidInput, match=r"node n1 \(rows.filter\), column condition"):
        run((2**63 - 1,))


def test_what_needs_many_rows_is_named():
    with pytest.raises(NotSupported, match="the node n0 "):
        function({"a": "bigint"}, ("group.aggregate", {"by": ["a"], "aggregates": {"a": ["max"]}}))


ZONED = dt.datetime(2024, 5, 6, 7, tzinfo=dt.UTC)
NAIVE = dt.datetime(2024, 5, 6, 7)


@pytest.mark.parametrize(
    ("kind", "value", "said"),
    [
        ("timestamptz", NAIVE, "2024-05-06 07:00:00 is a datetime without a time zone"),
        ("timestamp", ZONED, r"2024-05-06 07:00:00\+00:00 is a datetime with a time zone"),
        ("date", NAIVE, "2024-05-06 07:00:00 is a datetime without a time zone"),
        ("timestamp", dt.date(2024, 5, 6), r"datetime.date\(2024, 5, 6\) is a date"),
        ("timestamp", pd.NaT, "NaT is a NaTType"),
        ("varchar", 3, "3 is a int"),
    ],
)
def test_values_of_another_kind_are_told(kind, value, said):
    assert not fits(type_named(kind), value)
    flow = clary.Flow("rows").filter("a is not null")
    source = Learned(digest(flow.document.node("rows")), (("a", kind),))
    flow.fitted = Fitted({"rows": source})
    with pytest.raises(InvalidInput, match=f"^a: {said}; legal: {kind}$"):
        flow.record({"a": value})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (None, r"record: is a NoneType; legal: values by column, as series.to_dict\(\) has"),
        ([1], r"record: is a list; legal: values by column, as series.to_dict\(\) has"),
        ({2: 1, "b": 1, None: 1}, "record: there is no column 2; legal: a"),
    ],
)
def test_what_is_no_record_is_told(given, said):
    flow = clary.Flow([{"a": 1}]).filter("a > 0").fit()
    with pytest.raises(InvalidInput, match=f"^{said}$"):
        flow.record(given)


def test_times_with_and_without_a_zone_are_taken_by_their_columns():
    rows = [{"z": ZONED, "n": NAIVE, "d": dt.date(2024, 1, 2)}]
    flow = clary.Flow(rows).formula("hour(n) + day(d)", "h").fit()
    assert flow.record(rows[0]) == flow.to_arrow().to_pylist()[0]
