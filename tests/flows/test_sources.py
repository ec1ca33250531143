"""Sources and destinations: real files in, real files out, and clear words for bad ones."""

import json
from uuid import uuid4

import duckdb
import pyarrow as pa
import pytest
from pyarrow import orc, parquet

from clary.flows import local
from clary.flows.destinations import beside, write
from clary.flows.fitted import NOTHING
from clary.flows.model import Flow, Node
from clary.flows.sessions import lock, session
from clary.flows.sources import load
from clary.kernel.errors import InvalidInput, LimitExceeded


@pytest.fixture
def opened():
    with session(memory="256MiB") as found:
        yield found


def read(opened, given, **with_):
    connection, folder = opened
    name = f"rows {uuid4()}"
    skipped = load(connection, Node(name, "source", with_), given, folder)
    found = connection.table(f'"{name}"')
    return found.columns, found.fetchall(), skipped


def test_csv_keeps_quotes_and_newlines(opened, tmp_path):
    file = tmp_path / "a.csv"
    file.write_text('id,said\n1,"a ""b"",\nc"\n2,\n')
    assert read(opened, file) == (["id", "said"], [(1, 'a "b",\nc'), (2, None)], 0)


def test_csv_without_a_header_and_with_another_delimiter(opened, tmp_path):
    file = tmp_path / "a.csv"
    file.write_text("1;x\n2;y\n")
    found = read(opened, file, header=False, delimiter=";")
    assert found == (["_c0", "_c1"], [(1, "x"), (2, "y")], 0)


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "shift_jis"])
def test_other_encodings_are_read_and_left_as_they_are(opened, tmp_path, encoding):
    file = tmp_path / "a.csv"
    text = "id,city\n1,東京\n" if encoding == "shift_jis" else "id,city\n1,Köln\n"
    before = text.encode(encoding)
    file.write_bytes(before)
    assert read(opened, file, encoding=encoding)[1] == [(1, text.rsplit(",", 1)[1].strip())]
    assert file.read_bytes() == before


def test_an_encoding_that_is_not_said_is_named(opened, tmp_path):
    file = tmp_path / "a.csv"
    file.write_bytes("id,city\n1,Köln\n".encode("latin-1"))
    with pytest.raises(InvalidInput, match=r"source rows.*a\.csv"):
        read(opened, file)


def test_ragged_lines_name_their_line_or_are_counted(opened, tmp_path):
    file = tmp_path / "a.csv"
    file.write_text("a,b\n" + "1,2\n" * 10 + "1,2,3\n" + "4,5\n")
    with pytest.raises(InvalidInput, match=r"a.csv, line 12"):
        read(opened, file)
    columns, rows, skipped = read(opened, file, ragged="skip")
    assert (columns, len(rows), skipped) == (["a", "b"], 11, 1)


def test_types_are_those_of_all_rows(opened, tmp_path):
    file = tmp_path / "a.csv"
    file.write_text("a\n" + "1\n" * 30_000 + "x\n")
    assert read(opened, file)[1][-1] == ("x",)


def test_too_many_columns(opened, tmp_path):
    file = tmp_path / "a.csv"
    file.write_text(",".join(f"c{at}" for at in range(10_000)) + "\n")
    with pytest.raises(LimitExceeded, match="10000 columns are more than 5000"):
        read(opened, file)


def test_every_other_format(opened, tmp_path):
    table = pa.table({"a": pa.array([1, 2], pa.int32()), "b": ["x", None]})
    rows = [(1, "x"), (2, None)]
    parquet.write_table(table, tmp_path / "a.parquet")
    orc.write_table(table, tmp_path / "a.orc")
    (tmp_path / "a.jsonl").write_text('{"a": 1, "b": "x"}\n{"a": 2}\n')
    for name in ("a.parquet", "a.orc", "a.jsonl"):
        assert read(opened, tmp_path / name)[1] == rows
    assert read(opened, table)[1] == rows
    assert read(opened, table.to_pylist())[1] == rows
    deltalake = pytest.importorskip("deltalake")
    deltalake.write_deltalake(tmp_path / "delta", table)
    assert sorted(read(opened, tmp_path / "delta")[1]) == rows


@pytest.mark.parametrize(
    ("sampling", "count"),
    [
        ({"rows": 10}, 10),
        ({"method": "random", "rows": 25, "seed": 1}, 25),
        ({"method": "stratified", "fraction": 0.1, "columns": ["kind"]}, 10),
    ],
)
def test_samples_are_the_same_each_time(opened, sampling, count):
    table = pa.table({"id": range(100), "kind": [at % 2 for at in range(100)]})
    first = read(opened, table, sampling=sampling)[1]
    assert len(first) == count
    assert read(opened, table, sampling=sampling)[1] == first


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_the_first_rows_of_files_are_read_in_their_order(opened, tmp_path, ending):
    connection, _ = opened
    kind = {"jsonl": "json"}.get(ending, ending)
    for at in range(2):
        rows = f"SELECT range + {at} * 300000 AS id FROM range(300000)"
        connection.execute(f"COPY ({rows}) TO '{tmp_path}/{at}.{ending}' (FORMAT {kind})")
    found = read(opened, tmp_path, sampling={"rows": 300_010})[1]
    assert found == [(at,) for at in range(300_010)]


def test_all_skipped_lines_are_counted_beside_a_sample_of_the_first(opened, tmp_path):
    file = tmp_path / "a.csv"
    file.write_text("a,b\n" + "1,2\n" * 10 + "1,2,3\n" + "4,5\n")
    columns, rows, skipped = read(opened, file, ragged="skip", sampling={"rows": 3})
    assert (columns, rows, skipped) == (["a", "b"], [(1, 2)] * 3, 1)


def test_a_sample_has_no_negative_number_of_rows(opened, tmp_path):
    file = tmp_path / "a.csv"
    file.write_text("a\n1\n")
    with pytest.raises(InvalidInput, match="source rows"):
        read(opened, file, sampling={"rows": -1})


@pytest.mark.parametrize(
    ("given", "with_", "said"),
    [
        ("nowhere.csv", {}, "there is nothing at nowhere.csv"),
        ("", {"encoding": "klingon"}, "none called 'klingon'"),
        ("", {"format": "xls"}, "'xls' is none that is read"),
        ("", {"header": "perhaps"}, "header"),
    ],
)
def test_what_cannot_be_a_source(opened, tmp_path, given, with_, said):
    file = tmp_path / "a.csv"
    file.write_text("a\n1\n")
    with pytest.raises(InvalidInput, match=said):
        read(opened, given or file, **with_)


def put(connection, node, place):
    with beside(place) as folder:
        return write(connection, "made", node, place, folder)


def test_destinations_replace_what_is_there_at_once(opened, tmp_path):
    connection, _ = opened
    connection.execute("CREATE TABLE made AS SELECT range AS id, range % 2 AS half FROM range(10)")
    for name in ("a.csv", "a.csv.gz", "a.jsonl", "a.parquet"):
        compression = {"compression": "gzip"} if name.endswith("gz") else {}
        for _ in range(2):
            node = Node("to", "destination", {"path": str(tmp_path / name), **compression})
            assert put(connection, node, tmp_path / name) == 10
        assert len(read(opened, tmp_path / name)[1]) == 10
    parts = {"path": str(tmp_path / "parts"), "format": "parquet", "partitions": ["half"]}
    for _ in range(2):
        put(connection, Node("to", "destination", parts), tmp_path / "parts")
    assert sorted(one.name for one in (tmp_path / "parts").iterdir()) == ["half=0", "half=1"]
    assert not [one for one in tmp_path.iterdir() if ".part" in one.name or "before" in one.name]
    node = Node("to", "destination", {"path": str(tmp_path / "a.xyz")})
    with pytest.raises(InvalidInput, match="has no ending of a table"):
        put(connection, node, tmp_path / "a.xyz")


def test_the_flows_own_sql_reaches_no_file(opened, tmp_path):
    connection, _ = opened
    (tmp_path / "secret.csv").write_text("a\n1\n")
    lock(connection)
    with pytest.raises(duckdb.PermissionException):
        connection.execute(f"FROM read_csv('{tmp_path}/secret.csv')")
    with pytest.raises(duckdb.Error):
        connection.execute("SET enable_external_access = true")


def test_a_header_of_fewer_columns_than_the_rows_is_told(opened, tmp_path):
    file = tmp_path / "a.csv"
    file.write_text("a;b\n1,5;2\n")
    with pytest.raises(InvalidInput, match=r"a\.csv"):
        read(opened, file)


@pytest.mark.parametrize("text", ["id,tag\n#1,a\n2,#b\n", "id,tag\r#1,a\r2,#b\r"])
def test_no_line_is_a_comment_and_lines_end_as_they_like(opened, tmp_path, text):
    file = tmp_path / "a.csv"
    file.write_bytes(text.encode())
    assert read(opened, file)[:2] == (["id", "tag"], [("#1", "a"), ("2", "#b")])


@pytest.mark.parametrize("name", ["a*.csv", "a?.csv", "a[b].csv", "it's.csv"])
def test_a_name_is_no_pattern(opened, tmp_path, name):
    for other in ("ab.csv", "ac.csv"):
        (tmp_path / other).write_text("n\n1\n")
    (tmp_path / name).write_text("n\n2\n")
    assert read(opened, tmp_path / name)[1] == [(2,)]


@pytest.mark.parametrize("encoding", ["rot13", "base64", "zlib", "nope", "", "idna\0"])
def test_what_is_no_encoding_of_texts_is_refused(opened, tmp_path, encoding):
    file = tmp_path / "a.csv"
    file.write_text("n\n1\n")
    with pytest.raises(InvalidInput, match="encoding"):
        read(opened, file, encoding=encoding)


def test_records_have_every_column_that_one_of_them_has(opened):
    found = read(opened, [{"a": 1}, {"b": "x"}])
    assert found[:2] == (["a", "b"], [(1, None), (None, "x")])


@pytest.mark.parametrize("given", [[1], [{"a": 1}, {"a": "x"}], [{"a": "\ud800"}], [{}], []])
def test_lists_that_are_no_table_are_told(opened, given):
    with pytest.raises(InvalidInput, match="source rows"):
        read(opened, given)


def test_parquet_is_read_where_it_lies(opened, tmp_path):
    connection, folder = opened
    path, other = tmp_path / "it's.parquet", tmp_path / "other.parquet"
    for one in (path, other):
        parquet.write_table(pa.table({"a": [1, 2, 3]}), one)
    load(connection, Node("rows", "source"), path, folder)
    lock(connection)
    assert connection.execute('FROM "rows" WHERE a > 1').fetchall() == [(2,), (3,)]
    assert connection.execute("FROM duckdb_tables()").fetchall() == []
    for text in (f"'{other}'", f"'{tmp_path}/*.parquet'"):
        with pytest.raises(duckdb.PermissionException):
            connection.execute(f"FROM read_parquet({text})")


def test_a_file_that_changes_while_it_is_read_is_told(tmp_path):
    path = tmp_path / "a.parquet"
    flow = Flow((Node("rows", "source", {"path": str(path)}),))
    table = pa.table({"a": [1, 2, 3]})

    def change(act):
        parquet.write_table(table, path)
        with local.opened(flow, "rows", NOTHING, {}) as batch:
            assert batch.rows("rows").to_arrow_table() == table
            act()

    with pytest.raises(InvalidInput, match=r"a\.parquet has changed while it was read"):
        change(lambda: parquet.write_table(table.slice(1), path))
    with pytest.raises(InvalidInput, match=r"a\.parquet is gone"):
        change(path.unlink)


def test_sources_stay_as_they_are(tmp_path):
    path, link = tmp_path / "rows" / "a.parquet", tmp_path / "link.parquet"
    path.parent.mkdir()
    parquet.write_table(pa.table({"a": [1, 2, 3]}), path)
    link.symlink_to(path)
    before = path.read_bytes()
    for source, place in ((path, path), (path.parent, path), (path, link), (link, path)):
        nodes = (
            Node("rows", "source", {"path": str(source)}),
            Node("to", "destination", {"path": str(place)}, ("rows",)),
        )
        with pytest.raises(InvalidInput, match="is what the source rows reads"):
            local.run(Flow(nodes), NOTHING, {})
    assert path.read_bytes() == before


def test_what_is_written_tells_where_its_columns_come_from(tmp_path):
    nodes = (
        Node("rows", "source"),
        Node("sum", "columns.formula", {"formula": "a + b", "output": "it's"}, ("rows",)),
        Node("to", "destination", {"path": str(tmp_path / "made.parquet")}, ("sum",)),
        Node(
            "cut",
            "destination",
            {"path": str(tmp_path / "cut"), "partitions": ["a"], "format": "parquet"},
            ("sum",),
        ),
    )
    local.run(Flow(nodes), NOTHING, {"rows": pa.table({"a": [1, 2], "b": [3, 4]})})
    for file in [tmp_path / "made.parquet", *(tmp_path / "cut").rglob("*.parquet")]:
        found = json.loads(parquet.read_schema(file).metadata[local.ORIGINS.encode()])
        assert found == {"a": ["rows.a"], "b": ["rows.b"], "it's": ["rows.a", "rows.b"]}
