# ruff: noqa: E501 - tables of cases read better as lines
"""Bad input, case by case, with real files: what is told, and that sources stay as they are."""

import json

import pytest

import clary
from clary.flows import documents
from clary.kernel.errors import InvalidInput, LimitExceeded

TEXT = "id,city\n1,Köln\n2,Oslo\n"
ROWS = [{"id": 1, "city": "Köln"}, {"id": 2, "city": "Oslo"}]
MANY = b"a,b\n" + b"1,2\n" * 60_000


@pytest.fixture
def read(tmp_path):
    """Write a file, read it as a flow does, and see that it is as it was."""

    def rows(name, content, **with_):
        file = tmp_path / name
        file.write_bytes(content)
        before = file.stat().st_mtime_ns
        try:
            flow = clary.Flow.read_csv(file, **with_) if with_ else clary.Flow.read(file)
            return flow.to_arrow().to_pylist()
        finally:
            assert file.read_bytes() == content
            assert file.stat().st_mtime_ns == before
            assert list(tmp_path.iterdir()) == [file]

    return rows


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("utf-8", ""), ("utf-8-sig", ""), ("utf-8-sig", "utf-8-sig"), ("utf-16", "utf-16"),
        ("utf-16-le", "utf-16"), ("utf-16-be", "utf-16"), ("utf-16-be", "utf-16-be"),
        ("latin-1", "latin-1"), ("cp1252", "windows-1252"), ("utf-32", "utf-32"),
    ],
)  # fmt: skip
def test_encodings_that_are_read(read, written, said):
    assert read("a.csv", TEXT.encode(written), **({"encoding": said} if said else {})) == ROWS


@pytest.mark.parametrize(
    ("name", "content", "with_", "told"),
    [
        ("a.csv", TEXT.encode("latin-1"), {}, r"source a: .*/a\.csv, line 2: Invalid unicode"),
        ("a.csv", TEXT.encode("utf-16"), {}, r"source a: .*/a\.csv, line 2: Invalid unicode"),
        ("a.csv", MANY + "3,Köln\n".encode("latin-1"), {}, r"a\.csv, line 60002: Invalid unicode"),
        ("a.csv", TEXT.encode(), {"encoding": "utf-16"}, r"a\.csv has no byte order mark.*utf-16-le, utf-16-be"),
        ("a.csv", TEXT.encode("latin-1"), {"encoding": "utf-8"}, r"line 2: Invalid unicode"),
        ("a.csv", TEXT.encode("utf-16-le") + b"x", {"encoding": "utf-16-le"}, r"a\.csv is no utf-16-le, near byte"),
        ("a.jsonl", '{"a": 1}\n{"a": "ö"}\n'.encode("latin-1"), {}, r"a\.jsonl, line 2: no JSON: 'utf-8'"),
        ("a.csv", b"a,b\n1,2\n1,2,3\n", {}, r"a\.csv, line 3: Expected Number of Columns: 2 Found: 3"),
        ("a.csv", MANY + b"1\n1,2\n", {}, r"a\.csv, line 60002: Expected Number of Columns: 2 Found: 1"),
        ("a.csv", b'a,b\n1,"x\n2,y\n', {}, r"a\.csv, line 2: Value with unterminated quote"),
        ("a.csv", b'a,b\n1,"x"y\n2,y\n', {}, r"a\.csv, line 2: Value with unterminated quote"),
        ("a.csv", b"", {}, r"a\.csv is empty"),
        ("a.csv", b"\xef\xbb\xbf", {}, r"a\.csv is empty"),
        ("a.csv", b"a,b\n1," + b"x" * 3_000_000 + b"\n", {}, r"a\.csv, line 2: Maximum line size of 2000000 bytes"),
        ("a.csv", b"a," + b"x" * 200_000 + b"\n1,2\n", {}, r"a\.csv, line 1: no readable CSV: field larger"),
        ("a.csv.gz", b"a,b\n1,2\n", {}, r"a\.csv\.gz: .*not a GZIP stream"),
        ("a.csv.gz", b"\x1f\x8b\x08\0xx", {}, r"a\.csv\.gz: it cannot be read"),
        ("a.jsonl", b'{"a":1}\n{"a":2}x\n{"a":3}\n', {}, r"a\.jsonl, line 2: no JSON"),
        ("a.jsonl", b'{"a":1}\n{"a":\n{"a":3}\n', {}, r"a\.jsonl, line 2: no JSON"),
        ("a.jsonl", b'{"a": 1, "a": 2}\n', {}, r'a\.jsonl.*line 1.*duplicate key "a"'),
        ("a.parquet", b"PAR1", {}, r"a\.parquet"),
        ("a.orc", b"ORC", {}, r"a\.orc: no readable ORC"),
        ("a.xyz", b"a", {}, r"'xyz' is none that is read"),
    ],
)  # fmt: skip
def test_files_that_cannot_be_read_are_told(read, name, content, with_, told):
    with pytest.raises(InvalidInput, match=told) as failed:
        read(name, content, **with_)
    assert str(failed.value).startswith("source a")
    if "unicode" in told:
        assert failed.value.hint == "say the encoding, such as latin-1"


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_a_file_of_too_many_columns_is_refused(read, ending):
    names = [f"c{at}" for at in range(10_000)]
    lines = {"csv": ",".join(names), "jsonl": json.dumps(dict.fromkeys(names, 1))}
    with pytest.raises(LimitExceeded, match=rf"source a: .*a\.{ending}: .*5000"):
        read(f"a.{ending}", lines[ending].encode())


def test_a_line_that_is_longer_than_what_is_read_at_once_is_refused(read):
    with pytest.raises(LimitExceeded, match=r"a\.csv: a line is longer than 2000000 bytes"):
        read("a.csv", b"a,b\n1," + b"x" * 40_000_000 + b"\n2,y\n")


@pytest.mark.parametrize("rare", [False, True])
def test_every_key_of_objects_is_a_column(read, rare):
    rows = [{f"c{at}": at * (not rare or at % 50 == row) for at in range(400) if not rare or at % 50 == row} for row in range(50)]  # fmt: skip
    found = read("a.jsonl", "\n".join(map(json.dumps, rows)).encode())
    assert [{name: one for name, one in row.items() if one is not None} for row in found] == rows


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        (b'a,b\n1,"x ""y"",\nz"\n2,"\r\n"\n', [{"a": 1, "b": 'x "y",\nz'}, {"a": 2, "b": "\r\n"}]),
        (b"a,b\n1,x\0y\n", [{"a": 1, "b": "x\0y"}]),
        (b'a,b\n1,x"y"z\n', [{"a": 1, "b": 'x"y"z'}]),
        (b"a,a,A\n1,2,3\n", [{"a": 1, "a_1": 2, "A_2": 3}]),
        (b"a,b", []),
        (b"a,b\n", []),
        (b"a\n1\n\n2\n", [{"a": 1}, {"a": None}, {"a": 2}]),
        (b"a,b\n,\n,\n", [{"a": None, "b": None}] * 2),
        (b"a,,b\n1,2,3\n", [{"a": 1, "column1": 2, "b": 3}]),
    ],
)  # fmt: skip
def test_odd_files_that_are_read(read, content, rows):
    assert read("a.csv", content) == rows


ODD = 'select,"from ""x""","new\nline",🚀,rowid,"a;b",{0},--,/*,$1,input0\n'
ODD_NAMES = ("select", 'from "x"', "new\nline", "🚀", "rowid", "a;b", "{0}", "--", "/*", "$1", "input0")  # fmt: skip


def test_columns_may_be_called_anything(tmp_path):
    file = tmp_path / "odd.csv"
    file.write_text(
        ODD + "\n".join(",".join(str(row + at) for at in range(11)) for row in range(6))
    )
    flow = clary.Flow.read(file)
    assert flow.to_arrow().column_names == list(ODD_NAMES)
    flow = flow.lag(time="rowid", columns=["select"])
    for name in ODD_NAMES:
        flow = (
            flow.standard_scale(name)
            .sort(name, descending=True)
            .indicator(name, output=f"{name} no")
        )
        flow = flow.drop(f"{name} no")
    flow = flow.head(3).fit()
    found = flow.write(tmp_path / "out.csv").run()
    again = clary.Flow.read(tmp_path / "out.csv").to_arrow()
    assert (found[0].rows, again.column_names) == (3, [*ODD_NAMES, "select_lag_1"])
    assert again.to_pylist() == flow.to_arrow().to_pylist()


LEARNERS = {
    "standard_scale": lambda flow: flow.standard_scale("a"),
    "min_max_scale": lambda flow: flow.min_max_scale("a"),
    "robust_scale": lambda flow: flow.robust_scale("a"),
    "impute": lambda flow: flow.impute("a"),
    "limit_deviations": lambda flow: flow.limit_deviations("a"),
    "limit_quantiles": lambda flow: flow.limit_quantiles("a"),
    "one_hot": lambda flow: flow.one_hot("b"),
    "ordinal": lambda flow: flow.ordinal("b"),
    "similarity": lambda flow: flow.similarity("b"),
    "vectorize": lambda flow: flow.vectorize("b", output="words"),
    "infer_types": lambda flow: flow.infer_types("b"),
    "pivot": lambda flow: flow.pivot(["a"], column="b", value="a"),
    "aggregate": lambda flow: flow.aggregate(["b"], {"a": ["mean"]}),
    "drop_missing_columns": lambda flow: flow.drop_missing_columns("a"),
    "oversample": lambda flow: flow.oversample("b"),
    "smote": lambda flow: flow.smote("b"),
    "sort": lambda flow: flow.sort("a").drop_duplicates("b").head(2),
    "report": lambda flow: flow.report() and flow,
}


@pytest.mark.parametrize("name", LEARNERS)
@pytest.mark.parametrize("rows", [[], [(None, None)] * 3, [(1.5, "x")], [(2.0, ""), (2.0, "")]])
def test_few_rows_and_missing_values_are_learned_from_or_refused_by_name(name, rows):
    given = clary.Flow([{"a": 0.5, "b": "t"}], name="rows").filter("a is distinct from 0.5")
    schema = given.to_arrow().schema
    table = schema.empty_table() if not rows else type(schema.empty_table()).from_pylist(
        [dict(zip("ab", row, strict=True)) for row in rows], schema
    )  # fmt: skip
    try:
        made = LEARNERS[name](clary.Flow(table))
        assert made.fit().to_arrow() is not None
    except InvalidInput as error:
        assert name == "report" or f"node {name} (" in str(error)  # noqa: PT017 - either is right


def test_columns_that_are_gone_are_named_with_the_node(tmp_path):
    old, new = tmp_path / "old.csv", tmp_path / "new.csv"
    old.write_text("a,b\n1,x\n")
    new.write_text("a,c\n1,x\n")
    flow = clary.Flow.read(old).case("b", to="upper").called("upper")
    assert flow.to_arrow().num_rows == 1
    with pytest.raises(
        InvalidInput, match=r"node upper \(strings\.case\): .*no column 'b'; legal: a, c"
    ):
        flow.to_arrow({"old": new})


@pytest.mark.parametrize(
    ("invalid", "cells"), [("null", [1, None]), ("drop", [1]), ("fill", [1, 7]), ("error", None)]
)
def test_types_that_do_not_parse_are_treated_as_chosen(tmp_path, invalid, cells):
    file = tmp_path / "a.csv"
    file.write_text("a\n1\nx\n")
    flow = clary.Flow.read(file).cast("a", to="long", invalid=invalid, fill="7" if invalid == "fill" else "")  # fmt: skip
    if cells is None:
        with pytest.raises(InvalidInput, match=r"node cast \(parse\.cast\): .*'x'"):
            flow.to_arrow()
    else:
        assert flow.to_arrow()["a"].to_pylist() == cells


@pytest.mark.parametrize(
    ("inputs", "told"),
    [
        ({"b": ["c"], "c": ["b"]}, r"nodes wait for one another: [bc] → [bc]"),
        ({"b": ["b"]}, "nodes wait for one another: b → b"),
        ({"b": ["nowhere"]}, "the node b takes the rows of 'nowhere', which is no node"),
        ({"B": ["a"], "b": ["a"]}, "two nodes are called 'b'"),
    ],
)
def test_graphs_that_are_none_are_told(inputs, told):
    nodes = [{"id": "a", "operator": "source"}]
    nodes += [{"id": one, "operator": "rows.shuffle", "inputs": x} for one, x in inputs.items()]
    with pytest.raises(InvalidInput, match=told):
        documents.read({"nodes": nodes})
