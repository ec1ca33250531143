from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs/how-to/log-with-mlflow.md"


def test_the_page_works(tmp_path):
    text = PAGE.read_text(encoding="utf-8")
    (program,) = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    (tmp_path / "snails.py").write_text(program)
    environment = {**os.environ, "CLARY_HOME": str(tmp_path / "home")}
    commands = re.findall(r"^clary .*$", text, re.MULTILINE)
    assert len(commands) == 2
    for command in commands:
        words = [sys.executable if word == "python" else word for word in shlex.split(command)]
        done = subprocess.run(
            [sys.executable, "-m", *words],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert "rate-0.2" in done.stdout
