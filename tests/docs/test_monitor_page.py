"""The program of the page on monitoring runs as it stands."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs/how-to/monitor-an-endpoint.md"


def test_the_program_of_the_page_runs(tmp_path):
    blocks = re.findall(
        r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    (tmp_path / "monitor.py").write_text("\n".join(blocks))
    words = ("run", "--home", str(tmp_path / "home"), "--", sys.executable, "monitor.py")
    argv = [sys.executable, "-m", "clary", *words]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "\nCompletedWithViolations\nrooms " in done.stdout, done.stdout
    assert "rooms baseline_drift_check" in done.stdout
    assert "size baseline_drift_check" not in done.stdout
