"""Flows over one record: one function, and words for what it cannot compute."""

import pytest

from clary.expressions import type_named
from clary.flows import documents
from clary.flows.fitted import NOTHING
from clary.flows.plans import plan
from clary.flows.records import compiled
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
