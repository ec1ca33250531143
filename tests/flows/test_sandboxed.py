"""A flow's own code in a real sandbox."""

from __future__ import annotations

import duckdb
import pyarrow as pa
import pytest

from clary.adapters.process.runner import ProcessRunner
from clary.flows import documents
from clary.flows.batch import Batch
from clary.flows.fitted import NOTHING
from clary.flows.sandboxed import Sandbox
from clary.flows.steps import Program
from clary.kernel.errors import InvalidInput, LimitExceeded, NotSupported

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


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("output.arrow", "b'ARROW1 and no table'", "gave no table"),
        ("failure.json", "b'[1]'", "code"),
        ("failure.json", "b'{' + b'9' * 100000", "not valid JSON"),
    ],
)
def test_code_that_writes_the_answer_itself_is_not_trusted(runner, name, content, message):
    code = f"import os\nopen('/opt/ml/{name}', 'wb').write({content})\nos._exit(0)"
    with pytest.raises(InvalidInput, match=message):
        Sandbox(runner).run(Program("pandas", code, {}), TABLE)


def test_code_ends_at_its_limits(runner):
    with pytest.raises(LimitExceeded, match="more than 2 s"):
        Sandbox(runner, timeout_s=2).run(Program("pandas", "while True: pass", {}), TABLE)


def batch(runner, connection, code: str, fitted=NOTHING) -> Batch:
    nodes = [
        {"id": "people", "operator": "source"},
        {"id": "own", "operator": "custom.pandas", "with": {"code": code}, "inputs": ["people"]},
        {
            "id": "grown",
            "operator": "rows.filter",
            "with": {"condition": "age > 20 OR age IS NULL"},
            "inputs": ["own"],
        },
    ]
    connection.execute("CREATE TABLE people AS SELECT 20::BIGINT AS age, 'Rome' AS city")
    connection.execute("INSERT INTO people VALUES (NULL, 'Oslo'), (40, NULL)")
    return Batch(connection, documents.read({"nodes": nodes}), fitted, programs=Sandbox(runner).run)


def test_code_is_a_node_among_others(runner):
    code = (
        "import numpy as np\ndf['half'] = (df['age'] / 2).astype('float32')\ndf['n'] = np.int8(1)"
    )
    with duckdb.connect() as connection:
        first = batch(runner, connection, code)
        assert first.rows("grown").fetchall() == [(None, "Oslo", None, 1), (40, None, 20.0, 1)]
        learned = first.fitted.nodes["own"].state
    assert learned["columns"] == [
        ["age", "bigint"],
        ["city", "varchar"],
        ["half", "double"],
        ["n", "bigint"],
    ]
    with duckdb.connect() as connection:
        again = batch(runner, connection, code, first.fitted)
        assert again.rows("grown").fetchall() == [(None, "Oslo", None, 1), (40, None, 20.0, 1)]
    with duckdb.connect() as connection, pytest.raises(InvalidInput, match=r"node own .*line 1"):
        batch(runner, connection, "df['no']").rows("grown")
    with duckdb.connect() as connection:
        refusing = batch(runner, connection, code)
        alone = Batch(connection, refusing._flow)
        with pytest.raises(NotSupported, match="the node own has code of its own"):
            alone.rows("grown")
