"""The program of the page on skew runs as it stands."""

from __future__ import annotations

from tests.docs.test_docs import ran, shown

SAID = """\
{'mean': 22.5, 'share': 0.5}
2 cells, 0 differences
r1 mean 22.5 20.0 late
r1 share 0.5 0.45 late
7 {'rest': 45.0}
[{'page': 'home'}, {'page': 'cart'}]
[['7', 'r2', 'home'], ['7', 'r2', 'cart']]
amount 1 0 45.0
spent 1 0 90.0
visits 1 0 4.0
spent 1 0 1
visits 1 0 1
"""


def test_the_program_of_the_page_runs(tmp_path):
    program = "\n".join(shown("docs/how-to/prove-there-is-no-skew.md"))
    done = ran(program, tmp_path / "home", tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == SAID
