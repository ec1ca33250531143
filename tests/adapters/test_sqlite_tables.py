"""SQLite files as Arrow: real files, types by their cells, and no way to anything else."""

import signal
import sqlite3

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clary.adapters.sqlite_tables import rows
from clary.kernel.errors import InvalidInput, LimitExceeded

CELLS = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8),
)


def made(path, *statements):
    connection = sqlite3.connect(path)
    for one in statements:
        connection.execute(one)
    connection.commit()
    connection.close()
    return path


def read(path, **asked):
    with rows(path, **asked) as found:
        return found.read_all()


def expected(cells):
    kinds = {type(one) for one in cells if one is not None}
    if str in kinds or not kinds:
        return [None if one is None else str(one) for one in cells]
    if float in kinds:
        return [None if one is None else float(one) for one in cells]
    return cells


@settings(deadline=None)
@given(st.lists(st.tuples(CELLS, CELLS), max_size=30))
def test_columns_have_the_type_of_their_cells(tmp_path_factory, cells):
    path = tmp_path_factory.mktemp("db") / "a b?#.db"
    connection = sqlite3.connect(path)
    connection.execute('CREATE TABLE "my ""table" ("a""x", b)')
    connection.executemany('INSERT INTO "my ""table" VALUES (?, ?)', cells)
    connection.commit()
    connection.close()
    found = read(path, table='my "table')
    assert found.column_names == ['a"x', "b"]
    for at in range(2):
        assert found.column(at).to_pylist() == expected([one[at] for one in cells])


def test_a_query_reads_many_rows_and_the_file_stays_as_it_is(tmp_path):
    path = made(
        tmp_path / "a.db",
        "CREATE TABLE t AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n "
        "LIMIT 5000) SELECT i, i / 2.0 AS half FROM n",
        "CREATE VIEW late AS SELECT i FROM t WHERE i > 4990",
    )
    before = path.read_bytes()
    found = read(path, query="SELECT i, half FROM t WHERE i > 1000 ORDER BY i DESC;")
    assert found.num_rows == 4000
    assert found.slice(0, 1).to_pylist() == [{"i": 5000, "half": 2500.0}]
    assert read(path, table="late").num_rows == 10
    assert found.schema.field("half").type == pa.float64()
    assert path.read_bytes() == before


def test_what_cannot_be_read_is_said(tmp_path):
    path = made(tmp_path / "a.db", "CREATE TABLE t (a, b)", "INSERT INTO t VALUES (1, x'00')")
    for asked, problem in [
        ({"table": "u"}, "there is no 'u'; legal: t"),
        ({}, "a SQLite file needs a table or a query; legal: t"),
        ({"table": "t"}, "'b' holds bytes"),
        ({"query": "SELECT a, a AS A FROM t"}, "two columns have one name"),
        ({"query": "SELECT other FROM t"}, "no such column"),
    ]:
        with pytest.raises(InvalidInput, match=problem):
            read(path, **asked)
    (tmp_path / "no.db").write_text("this is no database, but it is long enough to be one")
    with pytest.raises(InvalidInput, match="not a database"):
        read(tmp_path / "no.db", table="t")


@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM t",
        "ATTACH 'other.db' AS o",
        "PRAGMA user_version = 3",
        "SELECT 1) ; DROP TABLE t; --",
        "SELECT load_extension('evil')",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i FROM n) SELECT i FROM n",
        "SELECT * FROM pragma_table_info('t')",
    ],
)
def test_a_query_does_nothing_but_read_this_file(tmp_path, monkeypatch, query):
    monkeypatch.chdir(tmp_path)
    made(tmp_path / "other.db", "CREATE TABLE secret (x)")
    path = made(tmp_path / "a.db", "CREATE TABLE t (a)", "INSERT INTO t VALUES (1)")
    with pytest.raises(InvalidInput, match="SQLite says"):
        read(path, query=query)
    assert read(path, table="t").to_pylist() == [{"a": 1}]


def listed(folder):
    return sorted(one.name for one in folder.iterdir())


def test_nothing_is_left_beside_a_file_that_is_written_by_way_of_a_log(tmp_path):
    path = made(tmp_path / "a.db", "PRAGMA journal_mode = wal", "CREATE TABLE t (a)")
    before = path.read_bytes()
    assert read(path, table="t").num_rows == 0
    assert listed(tmp_path) == ["a.db"]
    assert path.read_bytes() == before
    writer = sqlite3.connect(path)
    writer.execute("INSERT INTO t VALUES (1)")
    writer.commit()
    assert read(path, table="t").num_rows == 1  # it is in the log alone
    writer.close()
    assert listed(tmp_path) == ["a.db"]


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_what_a_killed_program_left_is_not_mended(tmp_path, mode):
    path = made(tmp_path / "a.db", f"PRAGMA journal_mode = {mode}", "CREATE TABLE t (a)")
    writer = sqlite3.connect(path, isolation_level=None)
    writer.executescript("PRAGMA cache_size = 1; BEGIN")
    writer.executemany("INSERT INTO t VALUES (?)", [("x" * 1000,)] * 100)
    left = tmp_path / "left"
    left.mkdir()
    log = {"wal": "a.db-wal", "delete": "a.db-journal"}[mode]
    for name in ("a.db", log):
        (left / name).write_bytes((tmp_path / name).read_bytes())
    writer.close()
    with pytest.raises(InvalidInput) as raised:
        read(left / "a.db", table="t")
    assert raised.value.hint == "open it with SQLite once, which mends it"
    assert listed(left) == ["a.db", log]


def test_a_file_that_changes_while_it_is_read_is_told(tmp_path):
    path = made(tmp_path / "a.db", "PRAGMA journal_mode = wal", "CREATE TABLE t (a)")
    with (
        pytest.raises(InvalidInput, match="written to while it was read"),
        rows(path, table="t"),
    ):
        made(path, "INSERT INTO t VALUES (1)")


def test_a_table_has_as_many_columns_as_sqlite_lets_it(tmp_path):
    names = ", ".join(f"c{at}" for at in range(2000))
    path = made(tmp_path / "a.db", f"CREATE TABLE t ({names})", "INSERT INTO t (c1) VALUES (7)")
    assert read(path, table="t").column("c1").to_pylist() == [7]


def interrupt(*_):
    raise KeyboardInterrupt


def test_a_query_that_takes_too_long_can_be_interrupted_at_any_moment(tmp_path):
    path = made(
        tmp_path / "a.db",
        "CREATE TABLE t (i)",
        f"INSERT INTO t VALUES {', '.join('(1)' for _ in range(1000))}",
    )
    endless = f"SELECT count(*) AS n FROM {', '.join(f't AS t{at}' for at in range(8))}"
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        for microseconds in range(50, 5_000, 50):
            with pytest.raises(KeyboardInterrupt):  # noqa: PT012 a signal may come at once
                signal.setitimer(signal.ITIMER_REAL, microseconds / 1e6)
                read(path, query=endless)
    finally:
        signal.signal(signal.SIGALRM, before)


def test_a_cell_is_bounded(tmp_path):
    path = made(tmp_path / "a.db", "CREATE TABLE t (a)")
    with pytest.raises((InvalidInput, LimitExceeded), match="too big"):
        read(path, query="SELECT hex(zeroblob(20000000)) AS a")
