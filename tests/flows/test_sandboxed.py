"""A flow's own code in a real sandbox."""

from __future__ import annotations

import pyarrow as pa
import pytest

from clary.adapters.process.runner import ProcessRunner
from clary.flows.sandboxed import Sandbox
from clary.flows.steps import Program
from clary.kernel.errors import InvalidInput, LimitExceeded

TABLE = pa.table({"age": [20, None, 40], "city": ["Rome", "N/A", None]})


@pytest.fixture(scope="module")
def runner(tmp_path_factory):
    return ProcessRunner(tmp_path_factory.mktemp("processes"))


def test_code_sees_the_table_and_nothing_else(runner, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("x")
    code = f"""
import os, socket
def tried(what):
    try:
        what()
    except OSError:
        return 0
    return 1
df['city'] = df['city'].str.lower()
df['file'] = tried(lambda: open({str(secret)!r}))
df['net'] = tried(lambda: socket.create_connection(('127.0.0.1', 22), 1))
df['variables'] = int('AWS_ACCESS_KEY_ID' in os.environ)
"""
    made = Sandbox(runner).run(Program("pandas", code, {}), TABLE)
    assert made.to_pydict() == {
        "age": [20, None, 40],
        "city": ["rome", "n/a", None],
        **{name: [0, 0, 0] for name in ("file", "net", "variables")},
    }


def test_code_that_fails_says_where(runner):
    with pytest.raises(InvalidInput, match="code: line 2: KeyError: 'none'"):
        Sandbox(runner).run(Program("pandas", "x = 1\ndf['none']", {}), TABLE)
    with pytest.raises(InvalidInput, match="ended without a result"):
        Sandbox(runner).run(Program("pandas", "import os\nos._exit(0)", {}), TABLE)


def test_code_ends_at_its_limits(runner):
    with pytest.raises(LimitExceeded, match="more than 2 s"):
        Sandbox(runner, timeout_s=2).run(Program("pandas", "while True: pass", {}), TABLE)
