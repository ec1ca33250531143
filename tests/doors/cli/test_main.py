from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from clary.doors.cli.main import COMMANDS, explain
from clary.kernel.errors import InvalidInput

HEAVY = (
    "sqlalchemy",
    "alembic",
    "botocore",
    "boto3",
    "uvicorn",
    "pandas",
    "rich",
    "clary.platform",
)
LOADED = """
import json, sys
from clary.doors.cli.main import run
sys.argv = ["clary", "--help"]
try:
    run()
finally:
    print(json.dumps(sorted(sys.modules)), file=sys.stderr)
"""


def test_help_names_every_command(clary):
    said = clary("--help")
    assert said.code == 0
    for name in COMMANDS:
        assert f"\n  {name} " in said.out


def test_help_loads_nothing_heavy():
    done = subprocess.run(
        [sys.executable, "-c", LOADED], capture_output=True, text=True, check=True
    )
    loaded = set(json.loads(done.stderr))
    assert not loaded.intersection(HEAVY)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_summary_is_the_commands_own(name, clary):
    module, summary = COMMANDS[name]
    command = typer.main.get_command(importlib.import_module(f"clary.doors.cli.{module}").app)
    if not hasattr(command, "commands"):
        assert command.help.partition("\n")[0] == summary
    assert clary(name, "--help").code == 0


@pytest.mark.parametrize(
    "args", [["nope"], ["env", "--port", "0"], ["env", "--nope"], ["run"], ["jobs", "nope"]]
)
def test_wrong_usage_is_2(clary, args):
    said = clary(*args)
    assert said.code == 2
    assert "Traceback" not in said.err


def test_an_error_is_a_sentence_and_a_hint(clary, home):
    said = clary("jobs", "list")
    assert (said.code, said.out) == (1, "")
    assert said.err == (
        f"clary: a home at {home} does not exist\n  `clary up` makes one; --home names another\n"
    )


def test_what_cannot_be_read_is_named(clary, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    said = clary("env", "--home", blocked / "home")
    assert said.code == 1
    assert "Not a directory" in said.err
    assert str(blocked) in said.err


def test_a_bug_says_so_and_where_its_traceback_is():
    try:
        raise KeyError("x")
    except KeyError as error:
        said = explain(error)
    assert said.startswith("clary: this is a bug: KeyError: 'x'\n")
    path = said.partition("report it with ")[2].partition(";")[0]
    assert "KeyError" in Path(path).read_text()


def test_errors_in_other_words():
    assert explain(InvalidInput("port", "is 0", legal="1 to 9")) == (
        "clary: port: is 0; legal: 1 to 9\n"
    )
    assert explain(OSError(28, "No space left on device")) == "clary: No space left on device\n"
    missing = explain(ModuleNotFoundError("no sklego", name="sklego"))
    assert missing == "clary: this needs the package sklego\n  pip install 'clary[demo]'\n"


def test_a_command_names_the_extra_that_it_is_all_of():
    code = "import sys; sys.modules['pyarrow'] = None; from clary.doors.cli.main import run; run()"
    argv = [sys.executable, "-c", code, "flow", "--help"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == (
        "clary: clary flow needs the package pyarrow\n  pip install 'clary[flows]'\n"
    )


def test_debug_shows_the_traceback(clary, monkeypatch, tmp_path):
    monkeypatch.setenv("CLARY_DEBUG", "1")
    done = subprocess.run(
        [sys.executable, "-m", "clary", "jobs", "list", "--home", str(tmp_path / "none")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" in done.stderr
    assert done.returncode == 1


def test_version(clary):
    assert clary("version").out.startswith("clary 0.")
    assert set(clary("version", "--json").json) == {"clary", "python"}
