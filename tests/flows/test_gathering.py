# ruff: noqa: E501 - tables of cases read better as lines
"""Joins, groups, samples, splits and balance against plain Python."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from statistics import mean, median

import parity
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clary.flows.transforms.combine import renamed
from clary.kernel.errors import InvalidInput, NotSupported

few = settings(max_examples=15, deadline=None)
keys = st.none() | st.sampled_from(["a", "A", "é", ""])
numbers = st.none() | st.integers(-5, 5)
LEFT, RIGHT = {"k": "varchar", "x": "bigint"}, {"K": "varchar", "y": "double"}
pairs = st.lists(st.tuples(keys, numbers), max_size=6)


def two(operator, with_, left, right):
    nodes = [
        {"id": "left", "operator": "source"},
        {"id": "right", "operator": "source"},
        {"id": "made", "operator": operator, "with": with_, "inputs": ["left", "right"]},
    ]
    return parity.run({"nodes": nodes}, {"left": left, "right": right})


def joined(how, left, right):
    """Join as the words say."""
    matching = {
        at: [one for one in right if one[0] == row[0] is not None] for at, row in enumerate(left)
    }
    if how == "left_semi":
        return [row for at, row in enumerate(left) if matching[at]]
    if how == "left_anti":
        return [row for at, row in enumerate(left) if not matching[at]]
    rows = [(*row, *other) for at, row in enumerate(left) for other in matching[at]]
    if how in ("left", "full"):
        rows += [(*row, None, None) for at, row in enumerate(left) if not matching[at]]
    if how in ("right", "full"):
        known = {row[0] for row in left}
        rows += [(None, None, *row) for row in right if row[0] is None or row[0] not in known]
    return rows


@pytest.mark.parametrize("how", ["inner", "left", "right", "full", "left_semi", "left_anti"])
def test_joins(how):
    @few
    @given(pairs, pairs)
    def run(left, right):
        right = [(key, None if one is None else float(one)) for key, one in right]
        found = two("combine.join", {"on": ["k"], "how": how}, (LEFT, left), (RIGHT, right))
        assert Counter(found.rows) == Counter(joined(how, left, right))
        expected = ["k", "x"] if how.startswith("left_") else ["k_0", "x", "K_1", "y"]
        assert list(found.columns) == expected

    run()


def test_joins_by_several_keys_of_other_names_and_crosswise():
    left = ({"a": "bigint", "b": "varchar"}, [(1, "x"), (2, "y"), (2, None)])
    right = ({"c": "double", "d": "varchar"}, [(2.0, "y"), (2.0, None), (1.0, "y")])
    found = two("combine.join", {"on": [["a", "c"], ["b", "d"]]}, left, right)
    assert found.rows == [(2, "y", 2.0, "y")]
    assert len(two("combine.join", {"how": "cross"}, left, right).rows) == 9
    for wrong in ({"on": []}, {"on": ["a"]}, {"on": [["a", "d"]]}, {"on": ["a"] * 11}):
        with pytest.raises(InvalidInput):
            two("combine.join", wrong, left, right)


def test_columns_of_both_are_told_apart():
    left, right = renamed(dict.fromkeys(["id", "ID_0", "v"]), dict.fromkeys(["Id", "id_1", "w"]))
    assert left == {"id": "id_0_dup", "ID_0": "ID_0", "v": "v"}
    assert right == {"Id": "Id_1_dup", "id_1": "id_1", "w": "w"}


@few
@given(pairs, pairs)
def test_concatenation(left, right):
    given = {"distinct": True, "indicator": "from", "labels": ["it's", "two"]}
    schema = {"k": "varchar", "y": "double"}
    right = [(key, None if one is None else float(one)) for key, one in right]
    found = two("combine.concatenate", given, (LEFT, left), (schema, right))
    rows = [(*row, None, "it's") for row in left] + [(key, None, one, "two") for key, one in right]
    first = {}
    for row in rows:
        first.setdefault(row[:3], row)
    assert Counter(found.rows) == Counter(first.values())
    found = two("combine.concatenate", {}, (LEFT, left), (schema, right))
    assert [row[:3] for row in rows] == found.rows


def test_types_that_have_nothing_in_common_are_refused():
    with pytest.raises(InvalidInput, match="bigint, varchar"):
        two("combine.concatenate", {}, (LEFT, []), ({"x": "varchar"}, []))


@few
@given(st.lists(st.tuples(keys, numbers), min_size=1, max_size=12))
def test_groups(rows):
    functions = ["count", "count_distinct", "sum", "mean", "min", "max", "median", "std"]
    given = {"by": ["k"], "aggregates": {"*": ["count"], "x": functions}}
    found = parity.apply("group.aggregate", given, LEFT, rows)
    groups = defaultdict(list)
    for key, one in rows:
        groups[key].append(one)
    assert [row[0] for row in found.rows] == sorted(
        groups, key=lambda one: (one is None, one or "")
    )
    for key, count, *told in found.rows:
        values = [one for one in groups[key] if one is not None]
        assert count == len(groups[key])
        assert told[:2] == [len(values), len(set(values))]
        if not values:
            assert told[2:] == [None] * 6
            continue
        assert told[2:7] == [
            sum(values),
            pytest.approx(mean(values)),
            min(values),
            max(values),
            median(values),
        ]
        spread = sum((one - mean(values)) ** 2 for one in values)
        assert told[7] == (
            pytest.approx(math.sqrt(spread / (len(values) - 1))) if len(values) > 1 else None
        )


def test_all_rows_are_one_group_and_texts_have_no_mean():
    found = parity.apply(
        "group.aggregate", {"by": [], "aggregates": {"x": ["sum"]}}, LEFT, [("a", 1), ("b", 2)]
    )
    assert found.rows == [(3,)]
    with pytest.raises(InvalidInput, match="mean"):
        parity.apply("group.aggregate", {"by": [], "aggregates": {"k": ["mean"]}}, LEFT, [("a", 1)])


def test_pivot_keeps_the_categories_that_it_learned():
    schema = {"day": "bigint", "city": "varchar", "sold": "bigint"}
    rows = [(1, "it's", 2), (1, "é", 3), (1, "it's", 4), (2, None, 5), (None, "é", None)]
    given = {"by": ["day"], "column": "city", "value": "sold"}
    found = parity.apply("group.pivot", given, schema, rows)
    assert list(found.columns) == ["day", "city_it's", "city_é"]
    assert found.rows == [(1, 6, 3), (2, None, None), (None, None, None)]
    again = parity.apply("group.pivot", given, schema, [(7, "new", 1)], fit=rows)
    assert again.rows == [(7, None, None)]
    assert list(again.columns) == list(found.columns)


ROWS = [(at, "abc"[at % 3] if at % 10 else None) for at in range(300)]
NUMBERED = {"n": "bigint", "c": "varchar"}


@pytest.mark.parametrize("by", ["random", "ordered", "stratified", "key"])
def test_parts_of_a_split_are_all_rows_each_once(by):
    shares = {"train": 0.7, "valid": 0.2, "test": 0.1}
    columns = {"ordered": ["n"], "stratified": ["c"], "key": ["c"]}.get(by, [])
    parts = {
        part: parity.apply("sampling.split", {"part": part, "shares": shares, "by": by, "columns": columns}, NUMBERED, ROWS).rows
        for part in shares
    }  # fmt: skip
    assert Counter(row for rows in parts.values() for row in rows) == Counter(ROWS)
    assert all(rows == sorted(rows, key=lambda row: row[0]) for rows in parts.values())
    if by == "key":
        assert all(
            len([1 for rows in parts.values() if key in {row[1] for row in rows}]) == 1
            for key in ("a", "b", "c", None)
        )
        return
    assert [len(rows) for rows in parts.values()] == [210, 60, 30]
    if by == "ordered":
        assert parts["train"] == ROWS[:210]
    if by == "stratified":
        assert Counter(row[1] for row in parts["test"]) == Counter(
            {"a": 9, "b": 9, "c": 9, None: 3}
        )


def test_samples():
    assert parity.apply("sampling.limit", {"rows": 7}, NUMBERED, ROWS).rows == ROWS[:7]
    one = parity.apply("sampling.sample", {"rows": 50, "seed": 1}, NUMBERED, ROWS).rows
    other = parity.apply("sampling.sample", {"rows": 50, "seed": 2}, NUMBERED, ROWS).rows
    assert len(one) == len(other) == 50
    assert set(one) != set(other)
    assert one == [row for row in ROWS if row in set(one)]
    half = parity.apply("sampling.sample", {"fraction": 0.5}, NUMBERED, ROWS).rows
    assert 110 < len(half) < 190
    strata = parity.apply(
        "sampling.sample", {"fraction": 0.1, "stratify": ["c"]}, NUMBERED, ROWS
    ).rows
    assert Counter(row[1] for row in strata) == Counter({"a": 9, "b": 9, "c": 9, None: 3})
    for wrong in ({}, {"rows": 1, "fraction": 0.5}, {"fraction": 2.0}, {"rows": -1}):
        with pytest.raises(InvalidInput):
            parity.apply("sampling.sample", wrong, NUMBERED, ROWS)


CLASSED = {"id": "bigint", "x": "double", "n": "bigint", "label": "varchar"}
UNEVEN = [(at, at * 1.0, at % 7, "few" if at % 10 == 0 else "many") for at in range(100)] + [
    (100, None, None, None)
]


def test_balance_brings_classes_to_one_size():
    over = parity.apply("balance.oversample", {"column": "label"}, CLASSED, UNEVEN)
    assert Counter(over["label"]) == {"few": 90, "many": 90, None: 1}
    assert over.rows[:101] == UNEVEN
    assert set(over.rows) == set(UNEVEN)
    assert set(Counter(over.rows).values()) == {1, 9}
    under = parity.apply("balance.undersample", {"column": "label", "ratio": 0.5}, CLASSED, UNEVEN)
    assert Counter(under["label"]) == {"few": 10, "many": 20, None: 1}
    assert under.rows == [row for row in UNEVEN if row in set(under.rows)]
    with pytest.raises(InvalidInput, match="ratio"):
        parity.apply("balance.smote", {"column": "label", "ratio": 0}, CLASSED, UNEVEN)


def test_smote_makes_rows_between_neighbours():
    made = parity.apply("balance.smote", {"column": "label", "neighbours": 2}, CLASSED, UNEVEN)
    assert made.rows[:101] == UNEVEN
    new = made.rows[101:]
    assert Counter(row[3] for row in new) == {"few": 80}
    assert all(0 <= row[1] <= 90 for row in new)
    assert len({row[1] for row in new}) > 70
    for at, x, _, _ in new:
        assert abs(at - x) <= 1  # both were taken at the same share of the way
    again = parity.apply("balance.smote", {"column": "label", "neighbours": 2}, CLASSED, UNEVEN)
    assert again.rows == made.rows
    lonely = parity.apply("balance.smote", {"column": "label"}, CLASSED, [*UNEVEN[1:10], UNEVEN[0]])
    assert lonely.rows[10:] == [UNEVEN[0]] * 8


def test_smote_takes_the_category_that_most_neighbours_have():
    schema = {"near": "double", "one": "varchar", "label": "varchar", "b": "bigint"}
    few = [(0.0, "u", "few", 1), (1.0, "v", "few", 1), (2.0, "v", "few", 1), (50.0, "u", "few", 1)]
    rows = few + [(9.0, "w", "many", 1)] * 24
    given = {"column": "label", "neighbours": 2, "categories": ["one"]}
    made = parity.apply("balance.smote", given, schema, rows).rows[len(rows) :]
    assert len(made) == 20
    assert {row[2:] for row in made} == {("few", 1)}
    low = [row for row in made if row[0] < 2]
    assert {row[1] for row in made} <= {"u", "v"}
    assert {row[1] for row in low if row[0] not in (0.0, 1.0)} == {"v"}
    plain = parity.apply("balance.smote", {**given, "categories": []}, schema, rows)
    assert {row[1] for row in plain.rows[len(rows) :]} == {"u", "v"}
    for wrong in (["label"], ["nope"], ["one", "one"]):
        with pytest.raises(InvalidInput, match="categories"):
            parity.apply("balance.smote", {**given, "categories": wrong}, schema, rows)


def test_one_record_goes_through_samples_but_not_through_groups():
    parity.apply("balance.oversample", {"column": "label"}, CLASSED, UNEVEN)
    with pytest.raises(NotSupported, match=r"group\.aggregate"):
        alone("group.aggregate", {"by": ["label"], "aggregates": {"x": ["mean"]}})
    assert alone("balance.smote", {"column": "label"})(UNEVEN[3]) == UNEVEN[3]
    assert (
        alone("sampling.split", {"part": "a", "shares": {"a": 0.1, "b": 0.9}})(UNEVEN[3])
        == UNEVEN[3]
    )


def alone(operator, with_):
    nodes = [
        {"id": "rows", "operator": "source"},
        {"id": "made", "operator": operator, "with": with_, "inputs": ["rows"]},
    ]
    flow = parity.documents.read({"nodes": nodes})
    schema = {name: parity.type_named(kind) for name, kind in CLASSED.items()}
    return parity.compiled(parity.plan(flow, "made", parity.fitted.NOTHING, {"rows": schema}))


def test_a_table_is_joined_with_itself_and_may_be_called_as_inputs_are():
    nodes = [
        {"id": "rows", "operator": "source"},
        {
            "id": "made",
            "operator": "combine.join",
            "with": {"on": ["input1"]},
            "inputs": ["rows", "rows"],
        },
    ]
    found = parity.run(
        {"nodes": nodes}, {"rows": ({"input1": "bigint", "x{0}": "varchar"}, [(1, "a"), (2, "b")])}
    )
    assert sorted(found.rows) == [(1, "a", 1, "a"), (2, "b", 2, "b")]
    assert list(found.columns) == ["input1_0", "x{0}_0", "input1_1", "x{0}_1"]


def test_categories_that_differ_by_case_alone_have_columns_of_their_own():
    rows, schema = [(1, "a", 2), (1, "A", 3)], {"c_A": "bigint", "c": "varchar", "x": "bigint"}
    given = {"column": "c", "value": "x"}
    found = parity.apply("group.pivot", {**given, "by": []}, schema, rows)
    assert (list(found.columns), found.rows) == (["c_A", "c_a_1"], [(3, 2)])
    found = parity.apply("group.pivot", {**given, "by": ["c_A"]}, schema, rows)
    assert (list(found.columns), found.rows) == (["c_A", "c_A_1", "c_a_2"], [(1, 3, 2)])
