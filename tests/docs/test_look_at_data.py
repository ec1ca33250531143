"""The page on looking at data works as it says."""

from __future__ import annotations

import inspect
import json
import re

import pytest
from tests.docs.test_docs import ROOT, clary, ran, shown
from tests.docs.test_flow_pages import commands

from clary.flows.insights import advice
from clary.flows.insights.analyses import ANALYSES

PAGE = "docs/how-to/look-at-data.md"


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """Run the page's program; give what it printed, and its folder."""
    folder = tmp_path_factory.mktemp("page")
    ended = ran("\n".join(shown(PAGE)), folder / "home", folder)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout, folder


def test_it_finds_what_was_put_into_the_data(done):
    said = done[0].splitlines()
    assert said[0].startswith("high   refund alone tells the target")
    assert any("-999" in one for one in said)
    assert any("'n/a'" in one for one in said)
    assert said[-2] == "['disguised_missing', 'identifier', 'target_leakage']"
    assert said[-1] == "AUC refund"


def test_its_files_and_commands_give_pages_and_json(done):
    folder = done[1]
    assert len(commands(PAGE)) == 3
    for words in commands(PAGE):
        ended = clary(*words, cwd=folder)
        assert ended.returncode == 0, ended.stderr
    assert json.loads((folder / "customers.json").read_text("utf-8"))["rows"] == 1000
    for name in ("report.html", "customers.html", "income.html"):
        assert (folder / name).read_text("utf-8").startswith("<!doctype html>")


def test_it_names_every_analysis_with_its_parameters_and_every_warning():
    text = (ROOT / PAGE).read_text("utf-8")
    source = inspect.getsource(advice)
    warnings = set(re.findall(r"QualityWarning\(\s*\"\w+\",\s*\"(\w+)\"", source))
    rows = [one.split("|") for one in text.splitlines() if one.startswith("| `")]
    told = {name: row[2] for row in rows for name in re.findall(r"`(\w+)`", row[1])}
    assert {*warnings, "missing"} <= set(told)
    for name, kind in ANALYSES.items():
        given = re.findall(r"`(\w+)`", told[name.removeprefix("analysis.")])
        assert set(kind.__struct_fields__) <= set(given), name
