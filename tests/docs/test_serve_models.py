"""The program of the page on serving models runs as it stands."""

from __future__ import annotations

import sys

from tests.docs.test_docs import clary, shown

PAGE = "docs/how-to/serve-models.md"


def test_the_pages_program_serves(tmp_path):
    (tmp_path / "serve.py").write_text("\n".join(shown(PAGE)))
    home = tmp_path / "home"
    done = clary("run", "--home", home, "--", sys.executable, "serve.py", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
