"""The program of the page on feature views runs as it stands."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs/how-to/define-feature-views.md"


def test_the_program_of_the_page_runs(tmp_path):
    blocks = re.findall(
        r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    environment = {**os.environ, "CLARY_HOME": str(tmp_path / "home")}
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(blocks)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "FeatureView('spending', version=1)" in done.stdout
    assert "{'share': 0.5, 'income': 41.5, 'is_often': 1}" in done.stdout
    assert re.search(r"0 +0\.5 +0 +0\n1 +0\.5 +1 +1", done.stdout)
    assert "[50.0]\nTrue" in done.stdout
    assert "spending-v1 41.5" in done.stdout
    assert "{'share': None, 'income': 41.5, 'is_often': 0}" in done.stdout
