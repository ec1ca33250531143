"""Rows that are given as frames and records: what cannot be rows is told in one sentence."""

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from clary.flows.model import Node
from clary.flows.sessions import session
from clary.flows.sources import load
from clary.kernel.errors import InvalidInput


@pytest.fixture(scope="module")
def opened():
    with session(memory="256MiB") as found:
        yield found


def read(opened, given):
    connection, folder = opened
    load(connection, Node("rows", "source"), given, folder)
    return connection.table("rows").to_arrow_table().to_pydict()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (pd.Series([1, 2], name="a"), "is a Series"),
        (pl.Series("a", [1, 2]), "is a Series"),
        (pl.DataFrame({"a": [1]}).lazy(), "is a LazyFrame"),
        (pd.DataFrame({"a": [1j]}), "column a with type complex128"),
        (pd.DataFrame({"a": [1, "x"]}), "column a with type object"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "Duplicate column names"),
        (pa.table({"a": pa.array([1.5], pa.float16())}), "its rows: .*Arrow [Tt]ype e"),
        (7, "is a int"),
    ],
)
def test_what_is_no_table_is_told(opened, given, said):
    with pytest.raises(InvalidInput, match=said) as raised:
        read(opened, given)
    assert "\n" not in raised.value.message


@pytest.mark.parametrize(
    "given",
    [
        pd.DataFrame({"a": [1, 2]}),
        pl.DataFrame({"a": [1, 2]}),
        pa.table({"a": [1, 2]}),
        [{"a": 1}, {"a": 2}],
    ],
)
def test_tables_are_read(opened, given):
    assert read(opened, given) == {"a": [1, 2]}
