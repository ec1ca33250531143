"""What a report advises can be done as it stands, and does something about the fault."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest

import clary

ROWS = 2_000


@pytest.fixture(scope="module")
def spoiled():
    """A table with every fault that there is advice on, under names that need quotes."""
    random = np.random.default_rng(11)
    age = random.normal(40, 10, ROWS)
    gap = random.random(ROWS) < 0.2

    def holed(values, share=gap):
        return pa.array([None if out else one for one, out in zip(values, share, strict=True)])

    label = np.where(age + random.normal(0, 5, ROWS) > 42, "yes", "no").astype(object)
    label[:4] = "perhaps"
    day = dt.date(2026, 1, 1)
    label = holed(label, np.arange(ROWS) == 50)
    columns = {
        "number": np.arange(ROWS),
        'the "age"': age,
        "leak": [None if one is None else float(len(one)) for one in label.to_pylist()],
        "whole": holed(np.where(random.random(ROWS) < 0.05, -999, random.integers(0, 9, ROWS))),
        "income": np.where(random.random(ROWS) < 0.05, -999.0, random.normal(3e4, 2e3, ROWS)),
        "it's a city": random.choice(["Rome", "Oslo", "n/a", " ?"], ROWS),
        "code": [f"{at:05d}-x" for at in range(ROWS)],
        "size": np.where(random.random(ROWS) < 0.02, "large", random.integers(1, 90, ROWS)),
        "share": np.where(random.random(ROWS) < 0.02, "half", random.random(ROWS).round(3)),
        "words": np.where(random.random(ROWS) < 0.02, "7", random.choice(["a", "b"], ROWS)),
        "same": ["all"] * ROWS,
        "nothing": pa.nulls(ROWS, pa.float64()),
        "rarely": holed(age, random.random(ROWS) < 0.8),
        "real": holed(age),
        "kind": holed(random.choice(["a", "b"], ROWS)),
        "is_new": holed((age > 30).tolist()),
        "day": holed([day + dt.timedelta(int(one)) for one in random.integers(0, 99, ROWS)]),
        "list": holed([[int(one)] for one in random.integers(0, 9, ROWS)]),
        "wild": np.where(np.arange(ROWS) == 5, np.inf, random.normal(0, 1, ROWS)),
        "price": np.exp(random.normal(0, 1.5, ROWS)),
        "label": label,
    }
    table = pa.table({name: pa.array(values) for name, values in columns.items()})
    return clary.Flow(pa.concat_tables([table, table.slice(0, 25)]))


@pytest.fixture(scope="module")
def told(spoiled):
    return [*spoiled.report("label").warnings, *spoiled.report("price").warnings]


def test_whatever_is_advised_runs(spoiled, told):
    advised = [one for one in told if one.operator]
    assert {one.code for one in advised} == {
        "constant",
        "disguised_missing",
        "duplicate_rows",
        "high_cardinality",
        "identifier",
        "infinite",
        "missing",
        "missing_target",
        "mixed_types",
        "outliers",
        "rare_label",
        "skewed_target",
        "target_leakage",
    }
    for one in advised:
        made = spoiled.then(one.operator, one.parameters).fit()
        assert made.to_arrow().num_rows, one


def test_it_does_something_about_the_fault(spoiled, told):
    mended = spoiled
    for one in told:
        if one.code in {"disguised_missing", "mixed_types", "infinite", "skewed_target"}:
            mended = mended.then(one.operator, one.parameters) if one.operator else mended
    left = {(one.code, one.column) for one in mended.report("price").warnings}
    assert {one for one in left if one[0] in {"disguised_missing", "infinite"}} == set()
    assert {one for one in left if one[0] == "mixed_types"} == {("mixed_types", "words")}
    assert ("skewed_target", "price") not in left
    assert mended.to_arrow().schema.field("size").type == pa.int64()


def test_what_is_missing_is_completed_by_its_kind(spoiled, told):
    advice = {one.column: one for one in told if one.code == "missing"}
    assert advice["rarely"].operator == "columns.drop"
    assert advice["list"].operator == "missing.indicator"
    for name in ("whole", "real", "kind", "is_new", "day"):
        one = advice[name]
        assert one.operator == "missing.impute"
        made = spoiled.then(one.operator, one.parameters).fit().to_arrow()
        assert made.column(name).null_count == 0
