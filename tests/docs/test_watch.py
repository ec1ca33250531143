"""The program of the page on metrics and alarms runs as it stands."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs/how-to/watch-what-runs.md"


def run(*words, home, cwd):
    environment = {**os.environ, "CLARY_HOME": str(home)}
    argv = [sys.executable, "-m", "clary", *words]
    return subprocess.run(
        argv, cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )


def test_the_program_and_the_commands_of_the_page_run(tmp_path):
    page = PAGE.read_text("utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    (tmp_path / "watch.py").write_text("\n".join(blocks))
    done = run("run", "--", sys.executable, "watch.py", home=tmp_path / "home", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "wrong, % [1.0, 2.0, 4.0, 9.0]" in done.stdout
    assert "1 of the last" in done.stdout
    commands = re.findall(r"^clary metrics .*$", page, re.MULTILINE)
    assert len(commands) == 2
    for command in commands:
        done = run(*command.split()[1:], home=tmp_path / "home", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert "Quality" in done.stdout
