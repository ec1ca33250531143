# ruff: noqa: E501, Q003 - tables of cases read better as lines
"""JSON, structs and lists made flat, over tables and records alike."""

from __future__ import annotations

import json

import parity
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clary.expressions import BIGINT, DOUBLE, VARCHAR, Type, type_named
from clary.kernel.errors import InvalidInput

few = settings(max_examples=25, deadline=None)
keys = st.sampled_from(["a", "b c", "é/~", '"', "0"])
leaves = (
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text("ab\"\\é😀\n\x00", max_size=4)
)  # fmt: skip
objects = st.recursive(
    leaves,
    lambda inner: st.dictionaries(keys, inner, max_size=3) | st.lists(inner, max_size=2),
    max_leaves=6,
)
BROKEN = [
    None, "", "{", "[1]", "3", '"a"', '{"a": 1,}', '{"a": [1, ]}', '{"a": NaN}', '{"a": -Infinity}',
    '{"a": 01}', '{"a": "\\ud800"}', '{"a": "\\ud83d\\ude00"}', '{"a": 1, "a": 2}', '{"a": -0}',
    '{"a": 1e400}', '{"a": "x, ]"}', '{"a": "NaN"}', '\ufeff{"a": 1}', '{"a": nan}', '{"a": inf}',
    '{"a": 18446744073709551616}', '{"a": 1.10}', '{"a": 1E2}', " { \"a\" : true }\n", '{"a":1} x',
]  # fmt: skip


@few
@given(st.lists(st.dictionaries(keys, objects, min_size=1), min_size=1, max_size=5))
def test_values_of_json_are_the_same_everywhere(documents):
    rows = [(json.dumps(one),) for one in documents] + [(one,) for one in BROKEN]
    found = parity.apply("nested.flatten", {"column": "s"}, {"s": "varchar"}, rows)
    for place, kind in found.learned.nodes["made"].state["places"]:
        name = "_".join(["s", *place])
        for document, cell in zip(
            documents, found[name] if name in found.columns else [], strict=False
        ):
            value = document
            for key in place:
                value = value.get(key) if isinstance(value, dict) else None
            if kind == "double" and type(value) in (int, float):
                assert cell == float(value)
            elif kind == "varchar" and isinstance(value, str):
                assert cell == value
            elif kind == "boolean" and value is not None:
                assert cell is (value if isinstance(value, bool) else None)


def test_keys_and_types_are_learned():
    texts = ['{"n": 1, "in": {"x": 1.5, "t": "é"}, "l": [1]}', '{"n": 2, "new": true}', None, "?"]
    rows = [(one,) for one in texts]
    found = parity.apply("nested.flatten", {"column": "s", "drops": False}, {"s": "varchar"}, rows)
    assert {name: str(kind) for name, kind in found.columns.items()} == {
        "s": "varchar", "s_n": "bigint", "s_in_x": "double", "s_in_t": "varchar", "s_new": "boolean",
    }  # fmt: skip
    assert [row[1:] for row in found.rows] == [
        (1, 1.5, "é", None), (2, None, None, True), (None,) * 4, (None,) * 4,
    ]  # fmt: skip
    with pytest.raises(InvalidInput, match="no objects"):
        parity.apply("nested.flatten", {"column": "s"}, {"s": "varchar"}, [("[1]",), (None,)])


def test_structs():
    kind = type_named('STRUCT(n BIGINT, "b, c" STRUCT(t VARCHAR, l DOUBLE[]))')
    inner = Type("struct", fields=(("t", VARCHAR), ("l", Type("list", DOUBLE))))
    assert kind == Type("struct", fields=(("n", BIGINT), ("b, c", inner)))
    assert type_named(str(kind)) == type_named(kind.duckdb) == kind
    rows = [({"n": 1, "b, c": {"t": "x", "l": [0.5]}},), ({"n": None, "b, c": None},), (None,)]
    found = parity.apply("nested.flatten", {"column": "s"}, {"s": kind}, rows)
    assert list(found.columns) == ["s_n", "s_b, c_t", "s_b, c_l"]
    assert found.rows == [(1, "x", [0.5]), (None, None, None), (None, None, None)]
    with pytest.raises(InvalidInput, match="0 values inside"):
        parity.apply("nested.flatten", {"column": "n"}, {"n": "bigint"}, [(1,)])
    for wrong in ("struct(n)", "struct(a bigint,)", "struct()"):
        with pytest.raises(InvalidInput):
            type_named(wrong)


def test_lists_become_rows():
    rows = [(1, ["a", None]), (2, []), (3, None), (4, ["b"])]
    given = {"column": "l", "output": "one", "place": "at"}
    found = parity.apply("nested.explode", given, {"n": "bigint", "l": "varchar[]"}, rows)
    assert [(row[0], *row[2:]) for row in found.rows] == [(1, "a", 0), (1, None, 1), (4, "b", 0)]
    found = parity.apply("nested.explode", {"column": "l"}, {"n": "bigint", "l": "varchar[]"}, rows)
    assert found.rows == [(1, "a"), (1, None), (4, "b")]
    with pytest.raises(InvalidInput, match="bigint"):
        parity.apply("nested.explode", {"column": "n"}, {"n": "bigint"}, [(1,)])


@few
@given(
    st.lists(st.lists(leaves | st.lists(leaves, max_size=2), max_size=3), min_size=1, max_size=4)
)
def test_items_of_arrays_are_columns(lists):
    rows = [(json.dumps({"l": one, "o": [{"k": one}]}),) for one in lists] + [(x,) for x in BROKEN]
    found = parity.apply("nested.flatten", {"column": "s", "items": 2}, {"s": "varchar"}, rows)
    for place, kind in found.learned.nodes["made"].state["places"]:
        cells = found["_".join(["s", *place])]
        for one, cell in zip(lists, cells, strict=False):
            if kind == "varchar" and place == ["l", "1"]:
                assert cell == (one[1] if len(one) > 1 and isinstance(one[1], str) else None)


def test_arrays_of_objects():
    rows = [('{"l": [{"k": 1}, {"k": 2}, {"k": 3}], "e": []}',), ('{"l": [{"k": 4}]}',)]
    found = parity.apply("nested.flatten", {"column": "s", "items": 2}, {"s": "varchar"}, rows)
    assert list(found.columns) == ["s_l_0_k", "s_l_1_k", "s_e_0", "s_e_1"]
    assert [row[:2] for row in found.rows] == [(1, 2), (4, None)]
    for wrong in (-1, 101):
        with pytest.raises(InvalidInput, match="items"):
            parity.apply("nested.flatten", {"column": "s", "items": wrong}, {"s": "varchar"}, rows)
