"""The tutorial on features works as it says."""

from __future__ import annotations

import json
import re
import shlex

from tests.docs.test_docs import ROOT, clary, ran, shown

SAID = """\
{'id': '7', 'at': '2026-01-02T00:00:00Z', 'age': 41, 'tags': ['new', 'b2b']}
[{'age': 41}, {'income': 900.0}, None]
None
2026-01-01T00:00:00.000000Z None 1200.5 False
2026-01-02T00:00:00Z 41 None False
[5]
[{'bought': 0, 'customers.age': None, 'customers.income': 1200.5}, \
{'bought': 1, 'customers.age': 41, 'customers.income': None}, \
{'bought': 0, 'customers.age': None, 'customers.income': None}]
"""


def test_the_tutorial_works_as_it_says(tmp_path):
    page, home = "docs/tutorials/first-features.md", tmp_path / "home"
    done = ran("\n".join(shown(page)), home, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines(keepends=True)
    assert "age: 'old'; legal: a whole number" in lines.pop(1)
    assert lines.pop(-3).endswith("None None True\n")
    assert "".join(lines) == SAID
    text = (ROOT / page).read_text("utf-8")
    commands = re.findall(r"^clary (features .+)$", text, re.MULTILINE)
    assert len(commands) == 4
    for command in commands:
        done = clary(*shlex.split(command), "--home", home)
        assert done.returncode == 0, done.stderr
    done = clary("features", "get", "customers", "8", "--home", home, "--json")
    assert json.loads(done.stdout) == {"id": "8", "at": "2026-01-04T00:00:00Z", "city": "Bern"}
