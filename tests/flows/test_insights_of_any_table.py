"""Reports and analyses of tables drawn at random: found, or refused in a sentence."""

import json
import random
import warnings

import duckdb
import parity
import pyarrow as pa
import pytest
from drawing import Drawn
from msgspec import structs
from sklearn.exceptions import ConvergenceWarning

import clary
from clary.flows.insights.analyses import ANALYSES, analyse
from clary.flows.insights.report import report
from clary.flows.sessions import SETTINGS
from clary.kernel.errors import ClaryError

OF_COLUMNS = ("x", "y", "column", "target", "time", "color", "facet")


def asked(operator, drawn, schema):
    """Draw the parameters of an analysis."""
    given = {
        one.encode_name: drawn._parameter(operator, one, [schema])
        for one in structs.fields(ANALYSES[operator])
        if one.required or drawn.often(0.3)
    }
    return {key: drawn.one(schema) if key in OF_COLUMNS else x for key, x in given.items()}


def look(seed):
    drawn = Drawn(random.Random(seed))
    schema, rows = drawn.table()
    rows = rows * drawn.one((1, 3, 20))
    with duckdb.connect() as connection, warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", ConvergenceWarning)
        connection.execute(f"{SETTINGS}; SET threads = 1")
        parity._fill(connection, "seen", schema, rows)
        seen = connection.table("seen")
        works = [lambda one=one: analyse(one, seen, asked(one, drawn, schema)) for one in ANALYSES]
        works.append(lambda: report(seen, target=drawn.one(["", *schema])))
        for work in works:
            try:
                found = work()
            except ClaryError as error:
                assert "\n" not in error.message.replace("n\nl", "")  # noqa: PT017 - either is right
                continue
            json.loads(found.to_json(), parse_constant=int)  # NaN is no JSON
            page = found.to_html("t") if hasattr(found, "body") else found.to_html()
            assert page.count("<svg") == page.count("</svg>")
    return len(works)


@pytest.mark.parametrize("block", range(2))
def test_any_table_is_looked_at(block):
    for seed in range(block * 6 + 92, block * 6 + 98):
        assert look(seed)


@pytest.mark.long
@pytest.mark.parametrize("block", range(20))
def test_many_tables_are_looked_at(block):
    for seed in range(20_000 + block * 25, 20_000 + block * 25 + 25):
        assert look(seed)


def test_large_whole_numbers_are_looked_at():
    ids = [2**62 + at for at in range(40)]
    flow = clary.Flow(pa.table({"id": ids, "same": [2**62] * 40, "y": [0, 1] * 20}))
    found = json.loads(flow.report("y").to_json())
    assert [one["name"] for one in found["columns"]] == ["id", "same", "y"]
    assert flow.analyse("histogram", column="same").document["column"] == "same"


def test_points_of_groups_without_any_are_drawn():
    rows = [{"x": None, "y": 1.0, "c": "a"}, {"x": 2.0, "y": None, "c": "b"}]
    assert clary.Flow(rows).analyse("scatter", x="x", y="y", color="c").to_html("none")
