"""What the pages show works: the README's example runs as it stands."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SDK = ROOT / ".venv-sagemaker/bin/python"
PREPARE = """
import pathlib
target = pathlib.Path("/opt/ml/processing/train")
target.mkdir(parents=True, exist_ok=True)
(target / "train.csv").write_text("1,2,3\\n")
"""


def clary(*words, **options):
    argv = [sys.executable, "-m", "clary", *map(str, words)]
    return subprocess.run(argv, capture_output=True, text=True, check=False, **options)


@pytest.mark.skipif(not SDK.exists(), reason="`make test` builds the SDK's environment")
def test_the_readme_example_runs(tmp_path):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    [code] = re.findall(r"^```python\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)
    (tmp_path / "pipeline.py").write_text(code)
    (tmp_path / "prepare.py").write_text(PREPARE)
    home = tmp_path / "home"
    done = clary("run", "--home", home, "--", SDK, "pipeline.py", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    listed = json.loads(clary("executions", "list", "--home", home, "--json").stdout)
    assert [one["status"] for one in listed] == ["Succeeded"]
