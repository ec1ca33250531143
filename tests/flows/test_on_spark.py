"""Every transform on a local Spark: the cells that DuckDB gives, or a refusal by name."""

import datetime as dt
import json
import os
import random
import subprocess
import sys

import duckdb
import local_spark
import on_spark
import parity
import pytest
import spark_cases
from test_engines import SCHEMA, STEPS, drawn

from clary.kernel.errors import NotSupported

pytestmark = [pytest.mark.long, pytest.mark.timeout(1700)]


@pytest.fixture(scope="module")
def session():
    found = local_spark.Spark(local_spark.python())
    yield found
    found.close()


@pytest.mark.parametrize(
    "operator", sorted({operator for operator, _ in spark_cases.CASES}), ids=str
)
def test_cells_are_the_same(session, operator):
    for one, with_ in spark_cases.CASES:
        if one != operator:
            continue
        try:
            on_spark.assert_same(
                session, spark_cases.document(one, with_), spark_cases.SOURCES, "made"
            )
        except NotSupported as error:
            assert "the node made" in error.message  # noqa: PT017 one of many cases


@pytest.mark.parametrize("seed", range(20))
def test_chains_of_transforms_are_the_same(session, seed):
    lots = random.Random(seed)
    nodes = [{"id": "rows", "operator": "source"}]
    for place, (operator, with_) in enumerate(lots.sample(STEPS, lots.randint(2, 6))):
        inputs = [nodes[-1]["id"]]
        nodes.append({"id": f"n{place}", "operator": operator, "with": with_, "inputs": inputs})
    tables = {"rows": (SCHEMA, drawn(lots))}
    on_spark.assert_same(session, {"nodes": nodes}, tables, nodes[-1]["id"])


ORDERS = {
    "id": "bigint", "name": "varchar", "city": "varchar", "amount": "double", "note": "varchar",
    "at": "timestamp",
}  # fmt: skip
CITIES = {"town": "varchar", "land": "varchar"}
PREPARATION = (
    ("strings.strip", {"columns": ["name"]}),
    ("strings.case", {"columns": ["city"], "to": "capitalize"}),
    ("search.replace_pattern", {"columns": ["note"], "pattern": r"\s+", "new": " "}),
    ("missing.impute", {"columns": ["amount"], "strategy": "median"}),
    ("rows.filter", {"condition": "amount > -50"}),
    ("combine.join", {"on": [["city", "town"]], "how": "left"}),
    ("dates.featurize", {"column": "at", "parts": ["year", "day_of_week"]}),
    ("encode.one_hot", {"column": "land"}),
    ("numeric.standard", {"columns": ["amount"], "output": "scaled"}),
    ("columns.formula", {"formula": "round(amount / (id + 1), 2)", "output": "each"}),
    ("rows.sort", {"columns": ["each", "id"]}),
)


def test_an_exported_flow_of_many_steps_runs_as_it_is(session, tmp_path):
    lots = random.Random(3)
    begin = dt.datetime(2024, 1, 1)
    orders = [
        (
            number,
            lots.choice((" Ann", "Bob ", "É")),
            lots.choice(("rome", "OSLO", "paris", None)),
            lots.choice((None, lots.uniform(-100, 100))),
            lots.choice((None, "a  b", "c\n\td")),
            begin + dt.timedelta(hours=lots.randrange(20_000)),
        )
        for number in range(200)
    ]
    cities = [("Rome", "Italy"), ("Oslo", "Norway")]
    tables = {"orders": (ORDERS, orders), "cities": (CITIES, cities)}
    nodes = [
        {"id": one, "operator": "source", "with": {"path": f"{one}.parquet"}} for one in tables
    ]
    before = "orders"
    for place, (operator, with_) in enumerate(PREPARATION):
        inputs = [before, "cities"] if operator == "combine.join" else [before]
        before = f"step {place}"
        nodes.append({"id": before, "operator": operator, "with": with_, "inputs": inputs})
    (tmp_path / "orders.flow.json").write_text(json.dumps({"version": 1, "nodes": nodes}))
    with duckdb.connect() as connection:
        for name, (schema, rows) in tables.items():
            parity._fill(connection, name, parity._schema(schema), rows)
            connection.execute(f"COPY {name} TO '{tmp_path / name}.parquet'")
    _clary(tmp_path, "fit", "orders.flow.json")
    _clary(tmp_path, "export", "orders.flow.json", "--to", "spark", "--output", "orders.sql")
    _clary(tmp_path, "run", "orders.flow.json", "--node", before, "--to", "rows.parquet")
    ours = duckdb.sql(f"FROM '{tmp_path / 'rows.parquet'}'").fetchall()
    used = {name: (parity._schema(schema), rows) for name, (schema, rows) in tables.items()}
    theirs = session.rows(used, (tmp_path / "orders.sql").read_text())
    assert len(ours) == len(theirs) > 100
    assert all(map(on_spark.alike, map(list, ours), map(list, theirs)))


def _clary(folder, *args):
    argv = [sys.executable, "-m", "clary", "flow", *args]
    env = os.environ | {"CLARY_HOME": str(folder / "home")}
    done = subprocess.run(argv, cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
