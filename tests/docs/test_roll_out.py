"""The program of the page on rolling out runs as it stands."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs/how-to/roll-out-safely.md"


def test_the_program_of_the_page_runs(tmp_path):
    blocks = re.findall(
        r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    (tmp_path / "roll_out.py").write_text("\n".join(blocks))
    words = ("run", "--home", str(tmp_path / "home"), "--", sys.executable, "roll_out.py")
    argv = [sys.executable, "-m", "clary", *words]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
