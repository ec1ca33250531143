"""The program of the page on measuring a model runs as it stands."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs/how-to/measure-a-model.md"


def test_the_program_of_the_page_runs(tmp_path):
    blocks = re.findall(
        r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    (tmp_path / "measure.py").write_text("\n".join(blocks))
    words = ("run", "--home", str(tmp_path / "home"), "--", sys.executable, "measure.py")
    argv = [sys.executable, "-m", "clary", *words]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Completed: Job completed successfully with no violations.\n" in done.stdout
    assert re.search(r"CompletedWithViolations: .* with \d+ violations\.", done.stdout)
    assert re.search(r"^estimated between 0\.\d+ and 0\.\d+$", done.stdout, re.MULTILINE)
    assert re.search(r"^accuracy Metric accuracy with 0\.\d+ \(", done.stdout, re.MULTILINE)
    assert "measured as estimated: True\n1500 500\n" in done.stdout
