"""The program of the page on training sets runs as it stands."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.docs.test_docs import shown

SAID = """\
[10.0, 30.0, nan]
True
[{'id': 7, 'income': 30.0}]
[{'n': 3}]
"""


def test_the_program_of_the_page_runs(tmp_path):
    program = "\n".join(shown("docs/how-to/make-training-sets.md"))
    environment = {**os.environ, "CLARY_HOME": str(tmp_path / "home")}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == SAID
