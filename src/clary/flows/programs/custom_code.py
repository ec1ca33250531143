"""Runs the code of a flow's author over a table: ``custom_code.py FOLDER``.

The folder holds ``program.json`` (``language``, ``code``) and ``input.arrow``. Afterwards it holds
``output.arrow``, or ``failure.json``: the ``error``, and the ``line`` of the code, 0 for none.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import tempfile
import traceback
import warnings
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

NAME = "<code>"


def main(folder: Path) -> int:
    """Run the program of a folder; gives 0, or 1 where it failed."""
    program = json.loads((folder / "program.json").read_text("utf-8"))
    with pa.OSFile(str(folder / "input.arrow")) as file:
        table = pa.ipc.open_file(file).read_all()
    try:
        made = LANGUAGES[program["language"]](program["code"], table)
    except BaseException as error:  # whatever the code does is told, exits among it
        told = {"error": f"{type(error).__name__}: {error}"[:2000], "line": _line(error)}
        (folder / "failure.json").write_text(json.dumps(told), "utf-8")
        return 1
    place = str(folder / "output.arrow")
    with pa.OSFile(place, "wb") as file, pa.ipc.new_file(file, made.schema) as writer:
        writer.write_table(made)
    return 0


def _line(error: BaseException) -> int:
    """Find the line of the code at which it failed."""
    if isinstance(error, SyntaxError) and error.filename == NAME:
        return error.lineno or 0
    lines = [
        one.lineno for one in traceback.extract_tb(error.__traceback__) if one.filename == NAME
    ]
    return (lines[-1] or 0) if lines else 0


def _run(code: str, **known: Any) -> dict[str, Any]:
    exec(compile(code, NAME, "exec"), known)  # noqa: S102 - the author's code; a sandbox is around it
    return known


def _pandas(code: str, table: pa.Table) -> pa.Table:
    """Run code over ``df``, whose texts are objects, as they were when such code was written."""
    warnings.simplefilter("ignore")
    pd.set_option("future.infer_string", False)  # noqa: FBT003 - its shape
    frame = table.to_pandas(date_as_object=True)
    for name, field in zip(table.column_names, table.schema, strict=True):
        if pa.types.is_string(field.type) or pa.types.is_large_string(field.type):
            frame[name] = frame[name].astype(object)
    known = _run(code, df=frame.copy())
    made = known.get("df")
    if not isinstance(made, pd.DataFrame):
        raise TypeError(f"df is a {type(made).__name__} afterwards, and no DataFrame")
    return _table(made, frame, table)


def _table(made: pd.DataFrame, frame: pd.DataFrame, table: pa.Table) -> pa.Table:
    """Make a table of a frame; a column that is as it was keeps its type, whole numbers too."""
    columns, names = [], []
    for place, label in enumerate(made.columns):
        name, column = str(label), made.iloc[:, place]
        if name in names:
            raise ValueError(f"df has two columns {name!r}")
        same = name in frame and column.equals(frame[name])
        columns.append(table.column(name) if same else _array(column))
        names.append(name)
    return pa.table(columns, names=names)


def _array(column: pd.Series[Any]) -> pa.Array | pa.ChunkedArray:
    try:
        found = pa.Array.from_pandas(column)
    except (pa.ArrowInvalid, pa.ArrowTypeError):  # values of several types are told as texts
        found = pa.array([None if pd.isna(one) else str(one) for one in column], pa.string())
    return pa.chunked_array([found.cast(pa.string())]) if pa.types.is_null(found.type) else found


def _pyspark(code: str, table: pa.Table) -> pa.Table:
    """Run code over a Spark frame ``df``: of pyspark, or of sqlframe, which needs no Java."""
    if importlib.util.find_spec("pyspark") is None:
        if importlib.util.find_spec("sqlframe") is None:
            raise ImportError("PySpark code needs pyspark (with Java) or sqlframe")
        importlib.import_module("sqlframe").activate("duckdb")  # it is called pyspark from here on
    session = importlib.import_module("pyspark.sql").SparkSession
    spark = session.builder.master("local[*]").getOrCreate()
    with tempfile.TemporaryDirectory() as folder:
        pq.write_table(table, f"{folder}/input.parquet")
        known = _run(code, spark=spark, df=spark.read.parquet(f"{folder}/input.parquet"))
        known["df"].write.parquet(f"{folder}/output.parquet")
        return pq.read_table(f"{folder}/output.parquet")


def _python(code: str, table: pa.Table) -> pa.Table:
    """Run ``transform(row)`` over each row."""
    transform = _run(code).get("transform")
    if not callable(transform):
        raise TypeError("the code defines no function transform(row)")
    made = [transform(row) for row in table.to_pylist()]
    rows = [one for one in made if one is not None]
    names = dict.fromkeys(name for one in rows for name in one) or dict.fromkeys(table.column_names)
    frame = pd.DataFrame(
        {name: pd.Series([one.get(name) for one in rows], dtype=object) for name in names}
    )
    return _table(frame, frame.iloc[:, :0], table)


LANGUAGES = {"pandas": _pandas, "pyspark": _pyspark, "python": _python}

if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
