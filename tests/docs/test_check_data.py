"""The program of the page on checking data runs as it stands."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs/how-to/check-data.md"


def test_the_program_of_the_page_runs(tmp_path):
    blocks = re.findall(
        r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    (tmp_path / "check.py").write_text("\n".join(blocks))
    words = ("run", "--home", str(tmp_path / "home"), "--", sys.executable, "check.py")
    argv = [sys.executable, "-m", "clary", *words]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "['age', 'plan', 'flag']" in done.stdout
    said = "CompletedWithViolations: Job completed successfully with 1 violations."
    assert said in done.stdout
    said = r"^flag baseline_drift_check Baseline drift distance: 0\.[67]"
    assert re.search(said, done.stdout, re.MULTILINE)
    assert "age kolmogorov_smirnov False\nplan chi_squared False\nflag " in done.stdout
    assert "flag kolmogorov_smirnov True" in done.stdout
