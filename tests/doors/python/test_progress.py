"""How an execution is shown: in a terminal, in a notebook, and where there are many steps."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from types import ModuleType, SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

import clary
from clary.doors.python.progress import fitting, text_table

STATUSES = ("NotStarted", "Starting", "Executing", "Succeeded", "Failed")
ROWS = st.lists(
    st.tuples(st.text(max_size=3), st.sampled_from(STATUSES), st.just(""), st.just("")),
    max_size=12,
)
SCRIPT = """
import sys
import clary

@clary.step
def one() -> int:
    return 1

@clary.pipeline
def shown() -> None:
    one()

clary.connect(sys.argv[1])
shown.start().wait()
"""


@given(rows=ROWS, most=st.integers(min_value=1, max_value=12))
def test_what_goes_on_is_shown_first(rows, most):
    shown = fitting(rows, most)
    busy = [row for row in rows if row[1] not in {"Succeeded", "NotStarted"}]
    assert len(shown) <= max(most, 0)
    if len(rows) <= most:
        assert list(shown) == rows
    else:
        assert [row for row in shown if row[1] not in {"Succeeded", "NotStarted"}] == busy[-most:]


def test_a_table_is_aligned_text():
    rows = [("a", "Succeeded", "1.0", "x"), ("long", "NotStarted", "", "")]
    assert text_table(rows) == (
        "step  status     seconds  made\na     Succeeded      1.0  x\nlong  -\n"
    )


def test_a_terminal_shows_a_live_table(tmp_path):
    (tmp_path / "program.py").write_text(SCRIPT)
    main, other = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, tmp_path / "program.py", tmp_path / "home"],
        stdout=other,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
    )
    os.close(other)
    said = b""
    while chunk := _read(main):
        said += chunk
    assert process.wait() == 0
    assert b"Succeeded" in said
    assert b"\x1b[" in said


def _read(handle):
    try:
        return os.read(handle, 65536)
    except OSError:  # the terminal's other side is closed
        return b""


def test_a_notebook_shows_a_table_that_is_updated(session, monkeypatch):
    @clary.step
    def one() -> int:
        return 1

    @clary.pipeline
    def noted() -> None:
        one()

    shown = []

    def display(thing, *, display_id):
        assert display_id
        shown.append(thing)
        return SimpleNamespace(update=shown.append)

    modules = {name: ModuleType(name) for name in ("IPython", "IPython.display")}
    modules["IPython"].get_ipython = lambda: SimpleNamespace(kernel=object())
    modules["IPython.display"].display = display
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    noted.start().wait(60)
    assert "<td>one</td><td>Succeeded</td>" in shown[-1]._repr_html_()
    assert repr(shown[-1]).startswith("step")
    assert noted._repr_markdown_().startswith("```mermaid\nflowchart TD")


@pytest.mark.parametrize("name", ["", "a b", "-"])
def test_a_pipelines_name_is_checked(name):
    with pytest.raises(clary.InvalidInput, match="is no name"):
        clary.pipeline(name=name or "_")(lambda: None)
