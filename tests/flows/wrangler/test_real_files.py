"""The flows of a published demo, over its data: the tables that its later steps expect."""

from __future__ import annotations

import csv
import itertools
import json
import re
from pathlib import Path

import duckdb
import pytest

from clary.adapters.process.runner import ProcessRunner
from clary.flows.batch import Batch
from clary.flows.fitted import NOTHING
from clary.flows.sandboxed import Sandbox
from clary.flows.wrangler import documents
from clary.kernel.errors import InvalidInput

DATA = Path(__file__).resolve().parents[4] / "shared/data"
FLOWS = sorted((DATA / "flows").glob("*.flow"))
pytestmark = pytest.mark.skipif(not FLOWS, reason="the published files are not beside this project")
SYMBOLS = re.compile(r"[!@#$%^&*()_+=\-/\\`~{}|<>?]")
EDUCATION = ("below high school", "high school", "associate", "bachelor", "advanced degree")
LIABILITY = ("15/30", "25/50", "30/60", "100/200")


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    return Sandbox(ProcessRunner(tmp_path_factory.mktemp("processes"))).run


def ran(name: str, node: str, programs, *, keep: bool, rows: int = 400):
    """Run a flow over the first rows of its data; gives its rows as dicts, and its columns."""
    found = documents.read((DATA / "flows" / f"{name}.flow").read_bytes())
    place = DATA / "fraud" / f"{name}.csv"
    with duckdb.connect() as connection:
        [source] = [one.id for one in found.flow.nodes if one.operator == "source"]
        connection.execute(
            f'CREATE TABLE "{source}" AS FROM read_csv($1, all_varchar=true) LIMIT {rows}',
            [str(place)],
        )
        batch = Batch(connection, found.flow, found.fitted if keep else NOTHING, programs=programs)
        table = batch.rows(node or found.flow.nodes[-1].id).to_arrow_table()
    return table.to_pylist(), dict(
        zip(table.column_names, map(str, table.schema.types), strict=True)
    )


def raw(name: str, rows: int = 400) -> list[dict[str, str]]:
    with (DATA / "fraud" / f"{name}.csv").open() as file:
        return list(itertools.islice(csv.DictReader(file), rows))


def hot(rows: list[dict], column: str, *, symbols: bool = True) -> dict[str, list[int]]:
    values = [one[column].lower() for one in rows]
    values = [SYMBOLS.sub("", one) for one in values] if symbols else values
    return {f"{column}_{one}": [int(x == one) for x in values] for one in sorted(set(values))}


def ordinal(rows: list[dict], labels: list[str], column: str) -> list[int]:
    return [labels.index(one[column].lower()) for one in rows]


@pytest.mark.parametrize("path", FLOWS, ids=lambda one: one.stem)
def test_every_real_file_is_known_and_comes_back_as_it_was(path):
    text = path.read_text()
    found = documents.read(text)
    assert not found.unknown
    assert json.loads(documents.write(found.flow, found.fitted, document=found.document)) == (
        json.loads(text)
    )
    again = documents.read(documents.write(found.flow, found.fitted))
    assert (again.flow, again.fitted) == (found.flow, found.fitted)


@pytest.mark.parametrize("keep", [True, False], ids=["kept", "refitted"])
def test_claims(programs, keep):
    made, types = ran("claims", "", programs, keep=keep)
    rows = raw("claims")
    expected = {}
    for column in ("driver_relationship", "incident_type", "collision_type"):
        expected |= hot(rows, column)
    expected |= hot(rows, "authorities_contacted", symbols=False)
    expected["incident_severity"] = ordinal(
        rows, ["minor", "major", "totaled"], "incident_severity"
    )
    expected["police_report_available"] = ordinal(rows, ["no", "yes"], "police_report_available")
    for column in ("policy_id", "num_injuries", "incident_hour", "fraud"):
        expected[column] = [int(one[column]) for one in rows]
    to = int if keep else float
    expected["vehicle_claim"] = [to(float(one["vehicle_claim"])) for one in rows]
    made = sorted(made, key=lambda one: one["policy_id"])
    for name, values in expected.items():
        assert [one[name] for one in made] == values, name
    kinds = dict.fromkeys(expected, "int64") | {"vehicle_claim": "double", "injury_claim": "double"}
    assert {name: types[name] for name in kinds} == kinds
    assert all(one["event_time"] > 1.6e9 for one in made)
    given = {*rows[0], "event_time"} - {"driver_relationship", "incident_type", "collision_type"}
    assert set(types) == {*given, *expected} - {"authorities_contacted"}


def test_customers(programs):
    made, types = ran("customers", "", programs, keep=False)
    rows = raw("customers")
    expected = hot(rows, "customer_gender", symbols=False)
    expected |= hot(rows, "policy_state", symbols=False)
    del expected["customer_gender_unkown"], expected["customer_gender_other"]
    expected["customer_education"] = [
        EDUCATION.index(one["customer_education"].lower()) for one in rows
    ]
    expected["policy_liability"] = [LIABILITY.index(one["policy_liability"]) for one in rows]
    expected["auto_year"] = [int(one["auto_year"]) for one in rows]
    made = sorted(made, key=lambda one: one["policy_id"])
    for name, values in expected.items():
        assert [one[name] for one in made] == values, name
        assert types[name] == "int64", name
    assert not {"customer_zip", "customer_gender_unkown", "policy_state"} & set(types)


def test_trained_parameters_older_than_their_flow_are_told_by_the_node_they_fail(programs):
    with pytest.raises(InvalidInput, match=r"a38c7be6-.*customer_gender_unkown"):
        ran("customers", "", programs, keep=True)
