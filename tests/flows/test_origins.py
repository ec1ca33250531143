"""Columns are traced back to the sources they are computed from."""

from __future__ import annotations

from clary.expressions import BIGINT, DOUBLE, VARCHAR, parse
from clary.flows.model import Node
from clary.flows.origins import origins
from clary.flows.plans import Planned
from clary.flows.steps import Filter, Program, Query, edit

SALES = {"city": VARCHAR, "price": DOUBLE, "amount": BIGINT}
CITIES = {"City": VARCHAR, "land": VARCHAR}


def planned(name, inputs, *steps, columns):
    return Planned(Node(name, "any.thing", {}, inputs), steps, columns)


def test_columns_are_traced_through_edits_queries_and_joins():
    total = edit(SALES, {"total": "price * amount", "price": None, "one": "1"})
    kept = Filter(parse("amount > 1", SALES))
    after = total.schema(SALES)
    sql = (
        "WITH a AS (SELECT city, sum(total) AS total, count(*) AS n FROM input0 GROUP BY city) "
        'SELECT a.*, input1.land AS "Land" FROM a LEFT JOIN input1 ON a.city = input1."City"'
    )
    joined = Query(sql, {"city": VARCHAR, "total": DOUBLE, "n": BIGINT, "Land": VARCHAR})
    found = origins(
        [
            Planned(Node("sales", "source"), (), SALES),
            Planned(Node("cities", "source"), (), CITIES),
            planned("edited", ("sales",), kept, total, columns=after),
            planned("joined", ("edited", "cities"), joined, columns=joined.columns),
        ]
    )
    price, amount = ("sales", "price"), ("sales", "amount")
    assert found["edited"]["total"] == {price, amount}
    assert found["edited"]["one"] == frozenset()
    assert found["joined"] == {
        "city": {("sales", "city")},
        "total": {price, amount},
        "n": frozenset(),
        "Land": {("cities", "land")},
    }


def test_what_cannot_be_told_comes_from_everything():
    code = Program("pandas", "df", {"x": DOUBLE})
    same = Query("SELECT * FROM input0 ORDER BY hash(amount)", SALES, record="same")
    found = origins(
        [
            Planned(Node("sales", "source"), (), SALES),
            planned("shuffled", ("sales",), same, columns=SALES),
            planned("coded", ("shuffled",), code, columns={"x": DOUBLE}),
        ]
    )
    assert found["shuffled"] == found["sales"]
    assert found["coded"]["x"] == {("sales", one) for one in SALES}
