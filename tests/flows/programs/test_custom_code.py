"""An author's code over tables, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys

import pyarrow as pa
import pytest

from clary.flows.programs import custom_code

TABLE = pa.table(
    {
        "age": pa.array([20, None, 40], pa.int64()),
        "city": ["Rome", "N/A", None],
        "size": [1.5, None, 2.5],
    }
)


def ran(folder, code: str, language: str = "pandas", table: pa.Table = TABLE):
    (folder / "program.json").write_text(json.dumps({"language": language, "code": code}))
    place = str(folder / "input.arrow")
    with pa.OSFile(place, "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)
    done = subprocess.run(
        [sys.executable, "-I", custom_code.__file__, str(folder)], check=False, capture_output=True
    )
    if done.returncode:
        return json.loads((folder / "failure.json").read_text())
    with pa.OSFile(str(folder / "output.arrow")) as file:
        return pa.ipc.open_file(file).read_all()


def test_texts_are_objects_and_untouched_columns_keep_their_types(tmp_path):
    code = """
cat_cols = df.dtypes[df.dtypes == object].index
df[cat_cols] = df[cat_cols].apply(lambda x: x.str.lower())
import pandas as pd
df['event_time'] = pd.to_datetime('now').timestamp()
"""
    made = ran(tmp_path, code)
    assert made.schema.field("age").type == pa.int64()
    assert made.column("age").to_pylist() == [20, None, 40]
    assert made.column("city").to_pylist() == ["rome", "n/a", None]
    assert made.schema.field("event_time").type == pa.float64()
    assert made.column("event_time")[0].as_py() > 1.6e9


def test_texts_replaced_by_numbers_are_numbers_and_mixed_ones_texts(tmp_path):
    code = """
df = df.dropna(subset=['city'])
df['all'] = df['city'].replace({'Rome': 0, 'N/A': 1})
df['some'] = df['city'].replace({'Rome': 0})
df['none'] = None
df[3] = True
"""
    made = ran(tmp_path, code)
    assert made.column("all").to_pylist() == [0, 1]
    assert made.schema.field("all").type == pa.int64()
    assert made.column("some").to_pylist() == ["0", "N/A"]
    assert made.schema.field("none").type == pa.string()
    assert made.column("3").to_pylist() == [True, True]


def test_functions_of_rows(tmp_path):
    code = """
def transform(row):
    if row['age'] is None:
        return None
    return {'next': row['age'] + 1, 'city': row['city']}
"""
    assert ran(tmp_path, code, "python").to_pydict() == {"next": [21, 41], "city": ["Rome", None]}


@pytest.mark.parametrize(
    ("language", "code", "line", "error"),
    [
        ("pandas", "x = 1\ndf['none']", 2, "KeyError"),
        ("pandas", "x = 1\n\ndef f(:", 3, "SyntaxError"),
        ("pandas", "df = 3", 0, "df is a int"),
        ("pandas", "raise SystemExit(0)", 1, "SystemExit"),
        ("pandas", "df.columns = ['a', 'a', 'b']", 0, "two columns 'a'"),
        ("python", "x = 1", 0, "no function transform"),
        ("python", "def transform(row):\n    return row['no']", 2, "KeyError"),
    ],
)
def test_what_fails_is_told_with_its_line(tmp_path, language, code, line, error):
    told = ran(tmp_path, code, language)
    assert told["line"] == line
    assert error in told["error"]


def test_pyspark_code_runs_or_says_what_it_needs(tmp_path):
    told = ran(tmp_path, "df = df.filter(df.age > 30)", "pyspark")
    if isinstance(told, dict):
        assert "needs pyspark" in told["error"]
    else:
        assert told.column("age").to_pylist() == [40]
