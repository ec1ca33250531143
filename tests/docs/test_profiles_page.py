"""The page about profiles: its program runs, and what it says of values is so."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pyarrow as pa

from clary.analysis.cells import cells

PAGE = Path(__file__).parents[2] / "docs/explanation/profiles.md"


def test_the_program_of_the_page_runs(tmp_path):
    (program,) = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    (tmp_path / "09-00.csv").write_text("age,plan\n31,a\n,b\n")
    (tmp_path / "09-01.csv").write_text("age,plan\n45,a\n1e2,a\n")
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["age Fractional 1 3", "plan String 0 2"]
    document = json.loads((tmp_path / "statistics.json").read_text())
    assert document["dataset"] == {"item_count": 4}


def test_values_are_what_the_page_says():
    rows = dict(
        re.findall(
            r"^\| (Integral|Fractional|Boolean|String) \| (.*?) \|$", PAGE.read_text(), re.MULTILINE
        )
    )
    for kind in ("Fractional", "Boolean", "String"):
        for word in re.findall(r"`(.*?)`", rows[kind]):
            assert getattr(cells(pa.array([word])).types, kind.lower()) == 1, word
