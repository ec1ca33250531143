"""Tables of every format, and what is said of files that are none."""

from __future__ import annotations

import base64
import gzip
import json
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clary.analysis import tables
from clary.analysis.captures import Window
from clary.analysis.profiling import profile
from clary.analysis.tables import open_table
from clary.kernel.errors import ClaryError, InvalidInput, LimitExceeded

FIXTURES = Path(__file__).parents[3] / "shared" / "examples" / "monitoring"


def all_rows(source: object, **options: object) -> list[dict]:
    with open_table(source, **options) as table:  # type: ignore[arg-type]
        assert table.rows == sum(batch.num_rows for batch in table.batches(2))
        return [row for batch in table.batches() for row in batch.to_pylist()]


def typed(source: object, **options: object) -> list[tuple]:
    with open_table(source, **options) as table:  # type: ignore[arg-type]
        return table.sql("SELECT * FROM dataset").fetchall()


def test_csv_with_a_header(tmp_path: Path) -> None:
    file = tmp_path / "some.csv"
    file.write_text('n,x,"a ""b"", c"\n1,1.5,yes\n2,,"no, ""never"""\n-3,1e3,"two\nlines"\n')
    assert all_rows(file) == [
        {"n": "1", "x": "1.5", 'a "b", c': "yes"},
        {"n": "2", "x": None, 'a "b", c': 'no, "never"'},
        {"n": "-3", "x": "1e3", 'a "b", c': "two\nlines"},
    ]
    assert typed(file) == [(1, 1.5, "yes"), (2, None, 'no, "never"'), (-3, 1000.0, "two\nlines")]
    with open_table(file) as table:
        kinds = [column.kind for column in profile(table).columns]
    assert kinds == ["Integral", "Fractional", "String"]


def test_types_in_sql_are_those_of_profiles(tmp_path: Path) -> None:
    words = ["1_000", "nan", '" 5"', "0x1F", "1e5", "007", "inf", "99999999999999999999", "+1", ""]
    file = tmp_path / "some.csv"
    file.write_text(",".join(f"c{at}" for at in range(len(words))) + "\n" + ",".join(words) + "\n")
    beyond = [100_000.0, 7, float("inf"), 1e20, 1, None]
    assert typed(file) == [("1_000", "nan", " 5", "0x1F", *beyond)]


def test_csv_without_a_header_in_a_folder_of_files(tmp_path: Path) -> None:
    (tmp_path / "b.csv").write_text("3,c\n")
    (tmp_path / "a.csv").write_text("1,a\r\n2,b\r\n")
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "_SUCCESS").write_text("")
    assert typed(tmp_path, header=False, format="csv") == [(1, "a"), (2, "b"), (3, "c")]
    assert all_rows(tmp_path / "b.csv", header=False) == [{"_c0": "3", "_c1": "c"}]


@pytest.mark.parametrize("packed", [gzip.compress, pa.compress])
def test_compressed_csv_and_json(tmp_path: Path, packed: object) -> None:
    def write(name: str, text: str) -> Path:
        file = tmp_path / name
        if packed is gzip.compress:
            file = file.with_name(name + ".gz")
            file.write_bytes(gzip.compress(text.encode()))
        else:
            file = file.with_name(name + ".zst")
            file.write_bytes(pa.compress(text.encode(), "zstd", asbytes=True))
        return file

    assert typed(write("t.csv", "\ufeffa,b\n1,x\n")) == [(1, "x")]
    assert typed(write("t.jsonl", '{"a": 1}\n{"a": 2}\n')) == [(1,), (2,)]


def test_json_lines_are_flattened_and_keep_how_numbers_stand(tmp_path: Path) -> None:
    file = tmp_path / "some.jsonl"
    file.write_text(
        '{"a": 1, "b": {"c": [1.0, true], "d": {}}}\n\n{"a": 2.5, "e": "x"}\n{"a": null}\n'
    )
    assert all_rows(file) == [
        {"a": "1", "b.c.0": "1.0", "b.c.1": "true", "e": None},
        {"a": "2.5", "b.c.0": None, "b.c.1": None, "e": "x"},
        {"a": None, "b.c.0": None, "b.c.1": None, "e": None},
    ]
    with open_table(file) as table:
        column = profile(table).by_name["a"]
    assert (column.types.integral, column.types.fractional, column.missing) == (1, 1, 1)


def test_a_list_in_a_json_file(tmp_path: Path) -> None:
    file = tmp_path / "some.json"
    file.write_text('  [{"a": 1},\n {"a": 2}]')
    assert typed(file) == [(1,), (2,)]


def test_parquet_files_with_different_columns(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [1, 2], "t": ["x", None]}), tmp_path / "1.parquet")
    pq.write_table(pa.table({"b": [True], "a": [3]}), tmp_path / "2.parquet")
    assert all_rows(tmp_path) == [
        {"a": 1, "t": "x", "b": None},
        {"a": 2, "t": None, "b": None},
        {"a": 3, "t": None, "b": True},
    ]
    assert typed(tmp_path) == [(1, "x", None), (2, None, None), (3, None, True)]


def test_a_delta_table_at_its_current_version(tmp_path: Path) -> None:
    deltalake = pytest.importorskip("deltalake")
    folder = str(tmp_path / "t")
    deltalake.write_deltalake(folder, pa.table({"a": [1, 2], "p": ["x", "y"]}), partition_by=["p"])
    deltalake.DeltaTable(folder).delete("a = 1")
    deltalake.write_deltalake(folder, pa.table({"a": [5], "p": ["z"]}), mode="append")
    assert sorted(row["a"] for row in all_rows(folder)) == [2, 5]
    assert sorted(typed(folder)) == [(2, "y"), (5, "z")]
    with pytest.raises(InvalidInput, match="no readable Delta table"):
        open_table(tmp_path, format="delta")


def test_times_are_texts_in_a_profile(tmp_path: Path) -> None:
    file = tmp_path / "some.parquet"
    times = pa.array([datetime(2026, 1, 2, tzinfo=UTC)] * 2)
    pq.write_table(pa.table({"t": times, "l": [[1], [2]]}), file)
    with open_table(file) as table:
        assert [column.kind for column in profile(table).columns] == ["String", "String"]


def payload(data: object, encoding: str = "CSV", content_type: str = "text/csv") -> dict:
    return {"data": data, "encoding": encoding, "observedContentType": content_type}


def captured(asked: dict | None, answered: dict | None, time: str = "2026-01-02T03:04:05Z") -> str:
    data = {"endpointInput": asked, "endpointOutput": answered}
    event = {"eventId": "e", "inferenceTime": time}
    sides = {side: one for side, one in data.items() if one}
    return json.dumps({"captureData": sides, "eventMetadata": event, "eventVersion": "0"})


def put(folder: Path, *lines: str) -> Path:
    file = folder / "e" / "v" / "2026" / "01" / "02" / "03" / "a.jsonl"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(lines) + "\n")
    return folder


def test_captures_give_answers_first(tmp_path: Path) -> None:
    source = put(
        tmp_path,
        captured(payload("9,45"), payload("0.3\n")),
        captured(payload("8,,x"), payload("0.4")),
        captured(payload('7,"a, b"\n6,b'), payload("0.1,0.2")),
        captured(payload(base64.b64encode(b"5,c").decode(), "BASE64", "text/csv"), payload("0.9")),
    )
    assert sorted(all_rows(source), key=lambda row: row["_c0"]) == [
        {"_c0": "0.1", "_c1": "7", "_c2": "a, b", "_c3": None},
        {"_c0": "0.2", "_c1": "6", "_c2": "b", "_c3": None},
        {"_c0": "0.3", "_c1": "9", "_c2": "45", "_c3": None},
        {"_c0": "0.4", "_c1": "8", "_c2": None, "_c3": "x"},
        {"_c0": "0.9", "_c1": "5", "_c2": "c", "_c3": None},
    ]
    alone = all_rows(source, captures=("endpointInput",))
    assert sorted(row["_c0"] for row in alone) == ["5", "6", "7", "8", "9"]


def test_captures_of_json_take_the_names(tmp_path: Path) -> None:
    kind = "application/json"
    source = put(
        tmp_path,
        captured(
            payload('{"age": 5, "address": {"zip": "0815"}}', "JSON", kind),
            payload('{"score": 0.5, "age": 6}', "JSON", kind),
        ),
        captured(
            payload('{"instances": [[1, 2], [3, 4]]}', "JSON", kind),
            payload('{"predictions": [{"score": 0.1}, {"score": 0.2}]}', "JSON", kind),
        ),
    )
    first, *others = all_rows(source)
    assert {name: value for name, value in first.items() if value is not None} == {
        "score": "0.5",
        "endpointOutput.age": "6",
        "age": "5",
        "address.zip": "0815",
    }
    assert [(row["score"], row["_c0"], row["_c1"]) for row in others] == [
        ("0.1", "1", "2"),
        ("0.2", "3", "4"),
    ]


def test_captures_outside_the_window_are_passed_over(tmp_path: Path) -> None:
    early, late = "2026-01-02T03:04:05Z", "2026-01-02T03:50:00Z"
    source = put(
        tmp_path,
        captured(payload("1"), payload("a"), early),
        captured(payload("2"), payload("b"), late),
    )
    window = Window(datetime(2026, 1, 2, 3, 30, tzinfo=UTC), datetime(2026, 1, 2, 4, tzinfo=UTC))
    assert [row["_c1"] for row in all_rows(source, window=window)] == ["2"]
    never = Window(datetime(2027, 1, 1, tzinfo=UTC))
    assert all_rows(source, window=never) == []


def test_captures_that_cannot_be_read_are_counted(tmp_path: Path) -> None:
    source = put(
        tmp_path,
        captured(payload("1,2"), payload("0.5")),
        captured(payload("1,2"), payload("0.5"))[:90],
        captured(payload("1,2\n3,4\n5,6"), payload("0.5\n0.6")),
        captured(payload("{", "JSON"), payload("0.5")),
        captured(None, None),
    )
    with open_table(source) as table:
        assert table.rows == 1
        assert table.faults.count == 4
        file = next(source.rglob("*.jsonl"))
        assert [one.partition(": ")[0] for one in table.faults.named] == [
            f"{file}, line {number}" for number in (2, 3, 4, 5)
        ]


@pytest.mark.skipif(not FIXTURES.is_dir(), reason="the shared examples are not here")
def test_the_captured_examples() -> None:
    rows = all_rows(FIXTURES / "monitor__captured-data.jsonl")
    assert rows == [
        {"_c0": output, "_c1": given}
        for output, given in [("3.5", "1.0"), ("4.0", "2.0"), ("5.5", "5.0")] * 2
    ]
    assert len(all_rows(FIXTURES / "monitor__capture.jsonl")) == 44


def refused(tmp_path: Path, text: str | bytes, name: str = "bad.csv", **options: object) -> str:
    file = tmp_path / name
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ClaryError) as caught, open_table(file, **options) as table:  # type: ignore[arg-type]
        profile(table)
    return str(caught.value).replace(str(tmp_path), "")


def test_bad_csv_is_refused_with_its_place(tmp_path: Path) -> None:
    assert refused(tmp_path, "a,b,c\n1,2,3\n1,2\n").startswith("/bad.csv, line 3: Expected")
    assert refused(tmp_path, b"a,b\n1,2\n1,\xff\xfe\n").startswith("/bad.csv, line 3: Invalid")
    assert "line 1, column 3: a second column 'A'" in refused(tmp_path, "a,b,A\n1,2,3\n")
    assert refused(tmp_path, "") == "/bad.csv: it is empty; legal: CSV"
    assert "/bad.csv, line" in refused(tmp_path, 'a,b\n1,"unclosed\n' + "2,3\n" * 10)
    (tmp_path / "other.csv").write_text("a,z\n1,2\n")
    (tmp_path / "bad.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InvalidInput, match=r"other.csv: its columns are a, z, those of .*bad.csv"):
        open_table(tmp_path)


def test_bad_json_is_refused_with_its_place(tmp_path: Path) -> None:
    said = refused(tmp_path, '{"a": 1}\n{"a": \n', "bad.jsonl")
    assert said.startswith("/bad.jsonl, line 2: no JSON")
    said = refused(tmp_path, '{"a": 1}\n[1]\n', "bad.jsonl")
    assert said == "/bad.jsonl, line 2: a JSON list; legal: an object"
    assert "row 2: a JSON int" in refused(tmp_path, '[{"a": 1}, 5]', "bad.json")
    deep = '{"a":' * 40 + "1" + "}" * 40
    assert "nested more than 32 deep" in refused(tmp_path, deep, "bad.json")
    wide = json.dumps({f"c{at}": 1 for at in range(5_001)})
    assert "more than 5000 different columns" in refused(tmp_path, wide, "bad.json")
    packed = gzip.compress(b'{"a": 1}\n' * 1000)[:40]
    assert refused(tmp_path, packed, "bad.json.gz").startswith("/bad.json.gz: it cannot be read")


def test_lines_without_end_are_refused(tmp_path: Path) -> None:
    tmp_path.joinpath("a.jsonl").write_bytes(b'{"a": "' + b"x" * (17 << 20) + b'"}')
    with pytest.raises(LimitExceeded, match="line 1: it is longer than 16 MiB"):
        open_table(tmp_path)


def test_bad_parquet_and_sources_are_refused(tmp_path: Path) -> None:
    assert "bad.parquet" in refused(tmp_path, b"PAR1 nothing", "bad.parquet")
    with pytest.raises(InvalidInput, match="does not exist"):
        open_table(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidInput, match="no files in"):
        open_table(tmp_path / "empty")
    with pytest.raises(InvalidInput, match="legal: csv, json, parquet, delta, capture"):
        open_table(tmp_path, format="xml")  # type: ignore[arg-type]


cell = st.none() | st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(cell, min_size=3, max_size=3), min_size=1, max_size=8))
def test_any_rows_come_back(rows: list[list[str | None]]) -> None:
    named = [dict(zip("abc", row, strict=True)) for row in rows]
    with tables.of_rows(named) as table:
        assert [row for batch in table.batches() for row in batch.to_pylist()] == named


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200), st.sampled_from(["csv", "json", "parquet", "capture"]))
def test_no_bytes_crash_a_reader(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, kind: str
) -> None:
    file = tmp_path_factory.mktemp("any") / "any"
    file.write_bytes(data)
    try:
        with open_table(file, format=kind) as table:  # type: ignore[arg-type]
            profile(table)
            table.relation.fetchall()
    except ClaryError as error:
        print(error)
