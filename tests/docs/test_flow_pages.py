"""The pages on flows work as they say."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from tests.docs.test_docs import ROOT, clary, ran, shown

SHARED = Path(__file__).parents[3] / "shared/data"


def commands(page):
    text = (ROOT / page).read_text("utf-8")
    return [shlex.split(one) for one in re.findall(r"^clary (flow .+)$", text, re.MULTILINE)]


def test_the_tutorial_works_as_it_says(tmp_path):
    page = "docs/tutorials/first-flow.md"
    done = ran("\n".join(shown(page)), tmp_path / "home", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 rows, 5 columns" in done.stdout
    assert "['claims.amount', 'claims.injuries']" in done.stdout
    assert len(commands(page)) == 5
    for words in commands(page):
        done = clary(*words, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "features.parquet").is_file()
    assert "<html" in (tmp_path / "report.html").read_text("utf-8")


def test_the_page_on_using_a_flow_works_as_it_says(tmp_path):
    page = "docs/how-to/use-a-flow-everywhere.md"
    done = ran("\n".join(shown(page)), tmp_path / "home", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    said = done.stdout.splitlines()
    assert said[0] == "120 rows"
    assert "flow columns.json" in said[1]
    assert said[2] == "9.5 241"
    assert said[3].endswith(" minutes")
    again = ran((tmp_path / "ready.py").read_text(), tmp_path / "home", tmp_path)
    assert again.returncode == 0, again.stderr


def test_the_page_on_wrangler_flows_works_as_it_says(tmp_path):
    if not SHARED.is_dir():
        pytest.skip("the real files are not here")
    page = "docs/how-to/bring-data-wrangler-flows.md"
    (tmp_path / "claims.flow").write_bytes((SHARED / "flows/claims.flow").read_bytes())
    done = ran("\n".join(shown(page)), tmp_path / "home", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "again.flow").is_file()
