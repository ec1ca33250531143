"""Clarify's program: every format of dataset, and refusals that name the place."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from clary.kernel.errors import ClaryError
from clary.monitoring.programs import clarify

ROWS = [(0, "F", 1.5, 1), (1, "M", 2.5, 0), (1, "F", 0.5, 1), (0, "M", 1.0, 0), (1, "M", 3.5, 1)]
HEADERS = ["y", "sex", "x", "p"]
CONFIG = {
    "dataset_type": "text/csv",
    "headers": HEADERS,
    "label": "y",
    "predicted_label": "p",
    "label_values_or_threshold": [1],
    "facet": [{"name_or_index": "sex", "value_or_threshold": ["F"]}],
    "methods": {
        "pre_training_bias": {"methods": "all"},
        "post_training_bias": {"methods": ["DPPL", "AD"]},
        "report": {"name": "../report", "title": "Fair?"},
    },
}
WANTED = {"CI": 0.2, "DPL": 2 / 3 - 0.5, "DPPL": 1 / 3 - 1, "AD": 2 / 3 - 0.5}


@pytest.fixture
def ml(tmp_path):
    for name in ("config", "data"):
        (tmp_path / "processing/input" / name).mkdir(parents=True)
    return tmp_path


def write(ml, files, **config):
    document = {name: one for name, one in {**CONFIG, **config}.items() if one is not None}
    (ml / "processing/input/config/analysis_config.json").write_text(json.dumps(document))
    for name, content in files.items():
        file = ml / "processing/input/data" / name
        if isinstance(content, pa.Table):
            pq.write_table(content, file)
        else:
            file.write_text(content)


def values(ml, files, **config):
    write(ml, files, **config)
    clarify.run({}, ml)
    found = json.loads((ml / "processing/output/analysis.json").read_text())
    return {
        metric["name"]: metric["value"]
        for stage in ("pre_training_bias_metrics", "post_training_bias_metrics")
        for facets in found.get(stage, {"facets": {}})["facets"].values()
        for metric in facets[0]["metrics"]
    }


def lines(rows):
    return "".join(",".join(map(str, row)) + "\n" for row in rows)


def test_csv_in_files_of_rows(ml):
    found = values(ml, {"a.csv": lines(ROWS[:2]), "b.csv": lines(ROWS[2:]), "_skipped": "1"})
    assert {name: found[name] for name in WANTED} == pytest.approx(WANTED)
    page = (ml / "processing/output/_report.html").read_text()
    assert "<title>Fair?</title>" in page


@pytest.mark.parametrize("headers", [HEADERS, None])
def test_csv_with_a_header(ml, headers):
    found = values(ml, {"a.csv": lines([HEADERS, *ROWS])}, headers=headers)
    assert {name: found[name] for name in WANTED} == pytest.approx(WANTED)


def test_csv_without_names(ml):
    facet = [{"name_or_index": 1, "value_or_threshold": ["F"]}]
    more = {"headers": None, "label": 0, "predicted_label": "column_3", "facet": facet}
    found = values(ml, {"a.csv": lines(ROWS)}, **more)
    assert {name: found[name] for name in WANTED} == pytest.approx(WANTED)


def test_parquet(ml):
    table = pa.table(dict(zip(HEADERS, map(list, zip(*ROWS, strict=True)), strict=True)))
    found = values(ml, {"a": table}, dataset_type="application/x-parquet", headers=None)
    assert {name: found[name] for name in WANTED} == pytest.approx(WANTED)


def test_json_lines_with_paths_and_without(ml):
    kind = "application/jsonlines"
    asked = {"headers": ["sex", "x", "y", "p"], "features": "data.row", "label": "truth"}
    documents = [
        {"data": {"row": [sex, x]}, "truth": y, "guess": {"label": p}} for y, sex, x, p in ROWS
    ]
    text = "\n".join(map(json.dumps, documents))
    found = values(ml, {"a": text}, dataset_type=kind, predicted_label="guess.label", **asked)
    assert {name: found[name] for name in WANTED} == pytest.approx(WANTED)
    objects = "\n".join(json.dumps(dict(zip(HEADERS, row, strict=True))) for row in ROWS)
    found = values(ml, {"a": objects}, dataset_type=kind, headers=None)
    assert {name: found[name] for name in WANTED} == pytest.approx(WANTED)


def test_json(ml):
    document = {
        "rows": [{"f": [sex, x], "p": p} for _, sex, x, p in ROWS],
        "labels": [row[0] for row in ROWS],
    }
    asked = {"features": "rows[*].f", "label": "labels", "predicted_label": "rows[*].p"}
    headers = ["sex", "x", "y", "p"]
    kind = "application/json"
    found = values(ml, {"a": json.dumps(document)}, dataset_type=kind, headers=headers, **asked)
    assert {name: found[name] for name in WANTED} == pytest.approx(WANTED)


@pytest.mark.parametrize(
    ("files", "config", "message"),
    [
        ({}, {}, "a file of the dataset in"),
        ({"a.csv": "1,F,1\n"}, {}, "headers: names 4 columns, and"),
        (
            {"a.csv": lines(ROWS) + "1,F\n"},
            {},
            "a.csv, line 6: Expected Number of Columns: 4",
        ),
        ({"a.csv": lines(ROWS)}, {"label": "z"}, "label: the dataset has no column 'z'"),
        ({"a.csv": lines(ROWS)}, {"label": None}, "label: is missing"),
        ({"a.csv": lines(ROWS)}, {"facet": []}, "facet: is missing"),
        ({"a.csv": lines(ROWS)}, {"predicted_label": None}, "predictor: bias after training"),
        ({"a.csv": lines(ROWS)}, {"dataset_type": "text/xml"}, "'text/xml' cannot be read"),
        ({"a.csv": lines(ROWS)}, {"headers": ["y", "y", "x", "p"]}, "names repeat: y, y, x, p"),
        (
            {"a": '{"y": 1, "sex": "F", "x": 1, "p": 1}\n{"y": 1'},
            {"dataset_type": "application/jsonlines"},
            "a line 2: not valid JSON",
        ),
        (
            {"a": '{"f": [1, 2]}\n{"f": 3}'},
            {"dataset_type": "application/jsonlines", "features": "f"},
            "a line 2: 'f' finds no list",
        ),
        (
            {"a": "{}"},
            {"dataset_type": "application/jsonlines", "features": "f["},
            "features, label or predicted_label:",
        ),
        (
            {"a.csv": lines(ROWS)},
            {"methods": {"pre_training_bias": {"methods": ["XX"]}}},
            "'XX' is no metric; legal: CDDL",
        ),
        (
            {"a.csv": lines(ROWS)},
            {"segment_config": [{"name_or_index": "x", "segments": [["[1,2]"]]}]},
            "segment_config: clary does not offer it",
        ),
        ({"a": "not parquet"}, {"dataset_type": "application/x-parquet"}, "Parquet"),
    ],
)
def test_what_is_refused(ml, files, config, message):
    write(ml, files, **config)
    with pytest.raises(ClaryError) as raised:
        clarify.run({}, ml)
    assert message in str(raised.value)


def test_a_broken_parquet_file_is_refused_wherever_it_breaks(ml):
    draw = np.random.default_rng(1)
    table = pa.table({name: draw.integers(0, 2, 50_000) for name in HEADERS})
    facet = [{"name_or_index": "sex", "value_or_threshold": [1]}]
    kind = "application/x-parquet"
    write(ml, {"a": table}, dataset_type=kind, headers=None, facet=facet)
    file = ml / "processing/input/data/a"
    content = bytearray(file.read_bytes())
    content[100:2000] = bytes(1900)
    file.write_bytes(content)
    with pytest.raises(ClaryError, match="dataset: "):
        clarify.run({}, ml)


def test_last_words(ml):
    write(ml, {"a.csv": lines(ROWS)}, label="z")
    environment = {**os.environ, "SAGEMAKER_BASE_DIR": str(ml)}
    argv = [sys.executable, "-m", "clary.monitoring.programs.clarify"]
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
    said = "ClientError: label: the dataset has no column 'z'; legal: y, sex, x, p"
    assert (done.returncode, done.stdout, done.stderr) == (1, f"{said}\n", "")
    assert (ml / "output/message").read_text() == said


def test_a_check_against_its_own_baseline(ml):
    write(ml, {"a.csv": lines(ROWS)})
    assert clarify.run({}, ml) == "Completed: Job completed successfully with no violations."
    output = ml / "processing/output"
    made = json.loads((output / "analysis.json").read_text())
    constraints = ml / "processing/baseline/constraints/analysis.json"
    constraints.parent.mkdir(parents=True)
    told = {"baseline_constraints": "/opt/ml/processing/baseline/constraints/analysis.json"}
    constraints.write_text(json.dumps(made))
    assert clarify.run(told, ml) == "Completed: Job completed successfully with no violations."
    metrics = made["pre_training_bias_metrics"]["facets"]["sex"][0]["metrics"]
    next(one for one in metrics if one["name"] == "CI")["value"] = 0.1
    constraints.write_text(json.dumps(made))
    said = "CompletedWithViolations: Job completed successfully with 1 violations."
    assert clarify.run(told, ml) == said
    (violation,) = json.loads((output / "constraint_violations.json").read_text())["violations"]
    assert (violation["facet"], violation["facet_value"], violation["metric_name"]) == (
        "sex",
        "F",
        "CI",
    )
