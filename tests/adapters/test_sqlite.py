import sqlite3
import stat
import subprocess
import sys
import threading
from dataclasses import replace
from datetime import timedelta, timezone

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import create_engine

from clary.adapters import sqlite
from clary.adapters.sql_schema import HEAD, METADATA, micros, moment, ref_from_text, ref_text
from clary.adapters.sql_select import select_page
from clary.adapters.sqlite import SqliteStore
from clary.kernel.errors import InvalidInput, NotSupported, Unavailable
from clary.kernel.names import Ref
from clary.kernel.resource import Query
from clary.testing.stored import a_kind, a_ref, a_resource, listed


@pytest.fixture
def path(tmp_path):
    return tmp_path / "home %d" / "metadata.db"


@pytest.fixture
def store(path):
    store = SqliteStore(path)
    yield store
    store.close()


@given(
    st.builds(
        Ref,
        st.from_regex(r"[0-9]{12}", fullmatch=True) | st.just(""),
        st.from_regex(r"[a-z0-9-]*", fullmatch=True),
        st.from_regex(r"[a-z-]+", fullmatch=True),
        st.text(),
        st.integers(0, 2**63 - 1),
    )
)
def test_a_ref_survives_as_text(ref):
    assert ref_from_text(ref_text(ref)) == ref


@given(st.datetimes().map(lambda at: at.replace(tzinfo=timezone(timedelta(hours=5)))))
def test_a_moment_survives_as_microseconds(at):
    assert moment(micros(at)) == at


def test_the_migrations_make_the_tables_that_the_code_reads(store, path):
    with create_engine(f"sqlite:///{path}").connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})
        assert compare_metadata(context, METADATA) == []
    assert ScriptDirectory(str(sqlite._MIGRATIONS)).get_current_head() == HEAD


def pragma(transaction, text):
    return transaction._cursor.execute(f"PRAGMA {text}").fetchone()[0]


@pytest.mark.parametrize("durable", [True, False])
def test_commits_are_as_durable_as_asked_and_the_file_is_private(store, path, durable):
    for before in (durable, not durable, durable):
        with store.begin(durable=before):
            pass
    with store.begin(durable=durable) as transaction:
        assert pragma(transaction, "synchronous") == (2 if durable else 1)
        assert pragma(transaction, "journal_mode") == "wal"
        transaction.insert(a_resource())
    assert {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()} == {0o600}


def test_opening_a_current_file_needs_no_alembic(store, path):
    program = (
        "import sys; from pathlib import Path; from clary.adapters.sqlite import SqliteStore;"
        "SqliteStore(Path(sys.argv[1])); sys.exit('alembic' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program, path], check=False).returncode == 0


def test_a_file_of_a_newer_clary_is_refused(store, path):
    store.close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(NotSupported, match="9999"):
        SqliteStore(path)


def test_a_file_that_is_no_database_is_refused(tmp_path):
    (tmp_path / "metadata.db").write_bytes(b"something else " * 100)
    with pytest.raises(InvalidInput, match=r"metadata\.db"):
        SqliteStore(tmp_path / "metadata.db")


def test_a_path_that_is_a_directory_is_refused(tmp_path):
    with pytest.raises(Unavailable, match="opened"):
        SqliteStore(tmp_path)


def test_a_place_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(Unavailable, match="opened"):
        SqliteStore(tmp_path / "file" / "metadata.db")


def test_processes_may_open_a_new_file_at_once(path):
    program = (
        "import sys; from pathlib import Path; from clary.adapters.sqlite import SqliteStore;"
        "print('ready', flush=True); input(); SqliteStore(Path(sys.argv[1]))"
    )
    children = [
        subprocess.Popen(
            [sys.executable, "-c", program, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        for _ in range(4)
    ]
    for child in children:
        child.stdout.readline()
    for child in children:
        child.stdin.write(b"go\n")
        child.stdin.flush()
    for child in children:
        child.communicate()
    assert [child.returncode for child in children] == [0] * 4


def test_threads_may_open_a_new_file_at_once(path):
    stores = []
    threads = [threading.Thread(target=lambda: stores.append(SqliteStore(path))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(stores) == 6


def test_another_processs_lock_is_waited_for_and_then_reported(path, monkeypatch):
    monkeypatch.setattr(sqlite, "_PATIENCE_S", 0.05)
    store = SqliteStore(path)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable, match="locked"), store.begin():
        pass
    assert store.get(a_ref()) is None
    other.execute("ROLLBACK")
    with store.begin() as transaction:
        transaction.insert(a_resource())


def test_a_full_disk_is_reported_and_leaves_nothing_half_done(store):
    kind = a_kind()
    with store.begin() as transaction:
        pragma(transaction, f"max_page_count = {pragma(transaction, 'page_count') + 4}")

    def fill(size):
        with store.begin() as transaction:
            transaction.insert(a_resource(a_ref(kind=kind)))
            transaction.insert(a_resource(a_ref(kind=kind), body={"big": "x" * size}))

    with pytest.raises(Unavailable, match="full"):
        fill(1_000_000)
    assert listed(store, Query(kind)) == []
    fill(10)
    assert len(listed(store, Query(kind))) == 2


def plan_of(store, query):
    statement = select_page(query).compile(store._reads, compile_kwargs={"literal_binds": True})
    with store._reads.connect() as connection:
        return [
            step.detail for step in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}")
        ]


PLACE = {"account": "1", "region": "r"}


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize(
    ("index", "query"),
    [
        ("created", Query("k", **PLACE)),
        ("modified", Query("k", **PLACE, sort_by="modified")),
        ("status", Query("k", **PLACE, sort_by="status")),
        ("status", Query("k", **PLACE, statuses=["InProgress"])),
        ("autoindex", Query("k", **PLACE, sort_by="name")),
        ("autoindex", Query("k", **PLACE, sort_by="name", name_prefix="p/")),
        ("autoindex", Query("k", **PLACE, sort_by="version", name="n")),
        ("parent", Query("k", parent=a_ref("p"))),
        ("parent", Query("k", **PLACE, parent=a_ref("p"))),
        ("parent", Query("k", **PLACE, parent=a_ref("p"), statuses=["InProgress"])),
    ],
)
def test_lists_are_read_from_an_index_in_order(store, index, query, descending):
    plan = plan_of(store, replace(query, descending=descending))
    assert index in plan[0]
    assert "USE TEMP B-TREE FOR ORDER BY" not in plan


def test_small_lists_are_found_by_what_is_rare(store):
    assert "parent" in plan_of(store, Query("k", **PLACE, parent=a_ref("p"), sort_by="name"))[0]
    assert "name=?" in plan_of(store, Query("k", **PLACE, name="n"))[0]


def test_a_page_beyond_the_first_starts_in_the_index(store):
    with store.begin() as transaction:
        for number in range(3):
            transaction.insert(a_resource(a_ref(str(number))))
    query = Query("thing", a_ref().account, a_ref().region, limit=1)
    (plan,) = plan_of(store, replace(query, token=store.select(query).token))
    assert "resource_created (kind=? AND account=? AND region=? AND (created_at" in plan
