from __future__ import annotations

import json
import subprocess
import sys

import pytest

from clary.flows import documents

FLOW = {
    "parameters": {"oldest": {"default": "99"}},
    "nodes": [
        {"id": "people", "operator": "source", "with": {"path": "people.csv"}},
        {
            "id": "known",
            "operator": "rows.filter",
            "with": {"condition": "age <= {{oldest}}"},
            "inputs": ["people"],
        },
        {
            "id": "scaled",
            "operator": "numeric.standard",
            "with": {"columns": ["age"]},
            "inputs": ["known"],
        },
        {
            "id": "out",
            "operator": "destination",
            "with": {"path": "out.parquet"},
            "inputs": ["scaled"],
        },
    ],
}


@pytest.fixture
def flow(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "people.csv").write_text("id,age\n1,20\n2,40\n3,\n4,120\n")
    path = tmp_path / "people.flow.json"
    path.write_text(documents.write(documents.read(FLOW)))
    return path


def test_a_flow_is_fitted_run_and_previewed(clary, flow, tmp_path):
    assert clary("flow", "fit", flow).out == f"{tmp_path / 'people.fitted.json'}\n"
    ran = clary("flow", "run", flow, "--to", tmp_path / "rows.csv", "--json")
    assert ran.code == 0, ran.err
    rows = str(tmp_path / "rows.csv")
    assert ran.json == [{"node": "written", "path": rows, "rows": 2}]
    assert clary("flow", "run", flow, "--json").json[0]["path"] == "out.parquet"
    assert (tmp_path / "rows.csv").read_text().splitlines()[0] == "id,age"
    assert ran.err == ""
    shown = clary("flow", "preview", flow, "--node", "known", "--set", "oldest=30", "--json")
    assert shown.json == [{"id": 1, "age": 20}]
    (tmp_path / "other.csv").write_text("id,age\n7,30\n")
    shown = clary("flow", "preview", flow, "--source", "people.csv=other.csv", "--json")
    assert shown.json == [{"id": 7, "age": 0.0}]
    again = clary("flow", "run", flow, "--source", "people=other.csv", "--refit")
    assert "what it has learned is in" in again.err


def test_a_flow_is_exported(clary, flow, tmp_path):
    assert clary("flow", "fit", flow).code == 0
    assert clary("flow", "export", flow, "--to", "columns").json == {
        "id": ["people.id"],
        "age": ["people.age"],
    }
    assert 'FROM "people"' in clary("flow", "export", flow, "--to", "sql").out
    assert "`age`" in clary("flow", "export", flow, "--to", "spark").out
    made = clary("flow", "export", flow, "--output", tmp_path / "people.py")
    assert made.code == 0, made.err
    argv = [sys.executable, "people.py"]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out.parquet").is_file()


def test_what_is_wrong_is_one_sentence(clary, flow, tmp_path):
    wrong = clary("flow", "export", flow, "--to", "perl")
    legal = "python, sql, spark, columns"
    assert (wrong.code, wrong.err) == (1, f"clary: --to: 'perl'; legal: {legal}\n")
    wrong = clary("flow", "preview", flow, "--set", "youngest=3")
    assert wrong.err == "clary: parameter: 'youngest' is none of the flow; legal: oldest\n"
    wrong = clary("flow", "preview", flow, "--node", "there")
    assert "the flow has no node 'there'; legal: people, known" in wrong.err
    (tmp_path / "people.csv").unlink()
    wrong = clary("flow", "run", flow)
    assert "there is nothing at people.csv" in wrong.err
    flow.write_text(json.dumps({"nodes": [{"id": "a", "operator": "x.y", "inputs": ["a"]}]}))
    assert "nodes wait for one another: a → a" in clary("flow", "run", flow).err


def test_two_flows_are_compared(clary, flow, tmp_path):
    clary("flow", "fit", flow)
    other = tmp_path / "other.flow.json"
    other.write_text(flow.read_text().replace("99", "199"))
    clary("flow", "fit", other)
    said = clary("flow", "diff", flow, other, "--json")
    assert said.code == 1
    moved = {one["what"]: (one["before"], one["after"]) for one in said.json}
    assert moved == {
        "parameters.oldest.default": ("99", "199"),
        "learned.age.mean": (30.0, 60.0),
        "learned.age.deviation": moved["learned.age.deviation"],
    }
    said = clary("flow", "diff", tmp_path / "people.fitted.json", other)
    assert said.code == 1
    assert "learned.age.mean" in said.out
    assert "+100.00%" in said.out
    assert "oldest" not in said.out
    said = clary("flow", "diff", flow, flow)
    assert (said.code, said.out) == (0, "")
    said = clary("flow", "diff", tmp_path / "none.fitted.json", other)
    assert said.code == 1
    assert "there is no flow at" in said.err
