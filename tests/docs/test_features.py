"""The program of the page on feature groups runs as it stands."""

from __future__ import annotations

import sys

from tests.docs.test_docs import clary, shown

SAID = """\
{'customer': '7', 'at': '2026-01-02T00:00:00Z', 'income': '1200.5', 'tags': ['b2b', 'new']}
{}
{}
{'customer': '7', 'at': '2026-01-02T12:00:00Z', 'income': '1.0'}
{'customer': '7', 'at': '2026-01-04T00:00:00Z', 'segment': 'b'}
customers income
"""


def test_the_program_of_the_page_runs(tmp_path):
    (tmp_path / "keep.py").write_text("\n".join(shown("docs/how-to/keep-features.md")))
    home = tmp_path / "home"
    done = clary("run", "--home", home, "--", sys.executable, "keep.py", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines(keepends=True)
    refusal = lines.pop(1)
    assert "at: 'yesterday'; legal: yyyy-MM-dd'T'HH:mm:ssZ" in refusal
    assert "".join(lines[:6]) == SAID
