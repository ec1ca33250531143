"""The program of the page on finding and controlling features runs as it stands."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.docs.test_docs import shown

SAID = """\
customers age research
1
2 35 38.0 41
2 1767312000000000
[('7', 41), ('8', 35)]
training-set churn ['age']
[] ['7']
[]
"""


def test_the_program_of_the_page_runs(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(shown("docs/how-to/find-and-control-features.md"))],
        cwd=tmp_path,
        env={**os.environ, "CLARY_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    refusal, said = done.stdout.split("\n", 1)
    assert refusal.startswith("2 age: 'old'; legal: a whole number")
    assert said == SAID
