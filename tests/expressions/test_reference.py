"""The page of the language: its program runs."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs/reference/expressions.md"


def test_the_program_of_the_page_runs(capsys):
    text = PAGE.read_text("utf-8")
    (program,) = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    exec(program, {})
    assert '("weight" / ("height" ** CAST(' in capsys.readouterr().out
