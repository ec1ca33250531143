"""The programs of the page on bias run as they stand."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SDK = ROOT / ".venv-sagemaker/bin/python"
PAGE = ROOT / "docs/how-to/measure-bias.md"


def test_the_programs_of_the_page_run(tmp_path):
    if not SDK.exists():
        pytest.skip("needs the SDK's environment: make .venv-sagemaker/.done")
    text = PAGE.read_text("utf-8")
    data, bias = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    subprocess.run([sys.executable, "-c", data], cwd=tmp_path, check=True)
    (tmp_path / "bias.py").write_text(bias)
    words = ("run", "--home", str(tmp_path / "home"), "--", str(SDK), "bias.py")
    argv = [sys.executable, "-m", "clary", *words]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found = re.findall(r"(colour|sex) ([A-Z]+) (\S+) ?(.*)$", done.stdout, re.MULTILINE)
    values = {(facet, name): (value, error) for facet, name, value, error in found}
    assert len(values) == 2 * 21
    assert 0.1 < float(values["colour", "DPL"][0]) < 0.2
    assert float(values["colour", "DPPL"][0]) > 0.1
    unnamed = {name for name, (value, _) in values.items() if value == "None"}
    assert unnamed == {("colour", "FT"), ("sex", "FT")}
    assert values["colour", "FT"][1] == "needs columns of numbers without gaps: 'sex'"
    assert "Beyond" not in (tmp_path / "report/report.html").read_text("utf-8")
