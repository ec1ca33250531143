from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs/how-to/compare-runs.md"


def test_the_page_works(tmp_path):
    text = PAGE.read_text(encoding="utf-8")
    (program,) = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    commands = re.findall(r"^clary .*$", text, re.MULTILINE)
    environment = {**os.environ, "CLARY_HOME": str(tmp_path / "home")}
    assert len(commands) == 3
    argvs = [["-c", program], *(["-m", *line.split()] for line in commands)]
    for argv in argvs:
        done = subprocess.run(
            [sys.executable, *argv], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert "rate-1" in done.stdout
