"""Flows of several transforms: the same cells over a table and over each record."""

import datetime as dt
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from parity import run

SCHEMA = {"n": "bigint", "x": "double", "text": "varchar", "seen": "timestamp"}
STEPS = (
    ("strings.case", {"columns": ["text"], "to": "lower"}),
    ("strings.strip", {"columns": ["text"]}),
    ("strings.affix", {"columns": ["text"], "prefix": "é'", "suffix": '"'}),
    ("columns.duplicate", {"column": "x", "output": "copy"}),
    ("columns.formula", {"formula": "coalesce(x, 0.5) * 2", "output": "x"}),
    ("columns.formula", {"formula": "n % 7", "output": "rest"}),
    ("columns.formula", {"formula": "year(seen)", "output": "year"}),
    ("columns.move", {"columns": ["text"], "to": "start"}),
    ("rows.filter", {"condition": "n is null or n > -3"}),
    ("missing.impute", {"columns": ["x"]}),
    ("missing.indicator", {"columns": ["text"], "output": "gone"}),
    ("outliers.standard_deviation", {"columns": ["x"], "deviations": 1}),
    ("numeric.standard", {"columns": ["n"]}),
    ("encode.ordinal", {"column": "text", "output": "place"}),
)
TEXTS = st.sampled_from([None, "", " a ", "B", "straße", "ΑΣ", "東京", 'i\'m "x"\n'])
NUMBERS = st.one_of(st.none(), st.floats(-1e6, 1e6), st.sampled_from([float("nan"), -0.0]))
ROW = st.tuples(
    st.one_of(st.none(), st.integers(-5, 5)),
    NUMBERS,
    TEXTS,
    st.one_of(st.none(), st.datetimes()),
)
CHAINS = st.lists(st.sampled_from(STEPS), min_size=2, max_size=6, unique_by=repr)


def same_everywhere(chain, rows):
    nodes = [{"id": "rows", "operator": "source"}]
    for place, (operator, with_) in enumerate(chain):
        before = nodes[-1]["id"]
        nodes.append({"id": f"n{place}", "operator": operator, "with": with_, "inputs": [before]})
    run({"nodes": nodes}, {"rows": (SCHEMA, rows)})


@settings(max_examples=60, deadline=None)
@given(CHAINS, st.lists(ROW, min_size=1, max_size=8))
def test_flows_give_the_same_cells_over_tables_and_records(chain, rows):
    same_everywhere(chain, rows)


@pytest.mark.long
@settings(max_examples=600, deadline=None)
@given(CHAINS, st.integers(0, 2**32))
def test_a_million_cells(chain, seed):
    same_everywhere(chain, drawn(random.Random(seed)))


def drawn(lots):
    """Draw 300 rows: hypothesis would take its time over as many."""
    texts = [None, "", " a ", "B", "straße", "ΑΣ", "東京", 'i\'m "x"\n']
    begin = dt.datetime(1900, 1, 1)
    return [
        (
            lots.choice([None, lots.randint(-5, 5)]),
            lots.choice([None, float("nan"), -0.0, lots.uniform(-1e6, 1e6)]),
            lots.choice(texts),
            lots.choice([None, begin + dt.timedelta(seconds=lots.uniform(0, 7e9))]),
        )
        for _ in range(300)
    ]
