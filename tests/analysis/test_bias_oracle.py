"""Every metric is smclarify's, on random tables; what it said of some is recorded.

We differ knowingly where all labels of one side are alike: it passes over the outcome that the side
does not have, which makes its divergences too small, and even negative.
"""

from __future__ import annotations

import json
import math
import subprocess
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from tests.analysis import bias_tables

from clary.analysis.bias import Facet, Question, analyze
from clary.analysis.bias_metrics import names
from clary.analysis.bias_report import number

HERE = Path(__file__).parent
DISTRIBUTIONS = {"JS", "KL", "KS", "LP", "TVD"}
RECORDED = HERE / "recorded_bias.jsonl"
ORACLE = HERE.parents[1] / "benchmarks/.cache/monitoring-smclarify/bin/python"


def ours(seed):
    made = bias_tables.table(seed)
    with duckdb.connect() as connection:
        connection.register("made", pa.table(made["columns"]))
        question = Question(
            label="label",
            positive=made["positive"],
            facets=[Facet("facet", made["values"])],
            prediction="prediction",
            group="group",
            before=names("pre_training"),
            after=names("post_training"),
            ignored=["group"],
        )
        found = analyze(connection, "made", question, intervals=False)
    return [
        [
            (one.value_or_threshold, {m.name: m.number for m in one.metrics}, is_mixed(one))
            for one in stage.facets["facet"]
        ]
        for stage in found.stages.values()
    ]


def is_mixed(facet):
    return all(0 < side["positive_labels"] < 1 for side in facet.clary.groups)


def same(seed, line):
    theirs = json.loads(line)
    for stage, facets in zip(ours(seed), theirs, strict=True):
        assert sorted(title for title, _ in facets) == [title for title, _, _ in stage], seed
        by_title = dict(facets)
        for title, metrics, mixed in stage:
            said = {name: number(value) for name, value in by_title[title].items()}
            assert metrics.keys() == said.keys()
            for name, value in metrics.items():
                if mixed or name not in DISTRIBUTIONS:
                    assert near(value, said[name]), (seed, title, name, value, said[name])


def near(one, other):
    return one == other or math.isclose(one, other, rel_tol=1e-12, abs_tol=1e-12)


def test_on_recorded_tables():
    for seed, line in enumerate(RECORDED.read_text("utf-8").splitlines()):
        same(seed, line)


@pytest.mark.long
def test_on_a_thousand_tables():
    if not ORACLE.exists():
        pytest.skip("needs smclarify, as `make bench NAME=monitoring` installs it")
    argv = [ORACLE, HERE / "bias_tables.py", "0", "1250"]
    said = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    for seed, line in enumerate(said.splitlines()):
        same(seed, line)
