"""The program of the page on data capture runs as it stands."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs/how-to/capture-requests.md"


def test_the_program_of_the_page_runs(tmp_path):
    blocks = re.findall(
        r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    (tmp_path / "capture.py").write_text("\n".join(blocks))
    words = ("run", "--home", str(tmp_path / "home"), "--", sys.executable, "capture.py")
    argv = [sys.executable, "-m", "clary", *words]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    for number in range(3):
        assert f"order-{number} {number},{number},{number} → " in done.stdout
    assert re.search(
        r"^[-0-9.e]+,[0-9a-f-]{36},\d{4}-\d\d-\d\dT[0-9:]{8}Z$", done.stdout, re.MULTILINE
    )
    assert re.search(r"batches/input/\d{4}/\d\d/\d\d/\d\d/\S+\.jsonl", done.stdout)
    assert '[{"prefix": "s3://watched/batch/"}, "a.csv"]' in done.stdout
    assert '[{"prefix": "s3://watched/scores/"}, "a.csv.out"]' in done.stdout
