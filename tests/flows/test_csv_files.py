"""Types of CSV columns that DuckDB tells otherwise than flows do."""

import math

import pytest

from clary.flows.csv_files import Dialect, table
from clary.flows.sessions import session

PLAIN = Dialect(header=True, delimiter="", texts=False, ragged="error")


@pytest.fixture(scope="module")
def connection():
    with session(memory="256MiB") as (opened, _):
        yield opened


@pytest.mark.parametrize(
    ("cells", "kind", "values"),
    [
        (["inf", "-inf"], "DOUBLE", [math.inf, -math.inf]),
        (["inf", "1"], "DOUBLE", [math.inf, 1.0]),
        (["Infinity", "", "2.5"], "DOUBLE", [math.inf, None, 2.5]),
        (["+inf"], "DOUBLE", [math.inf]),
        (["inf", "2020-01-01"], "DATE", None),
        (["information", "inf"], "VARCHAR", ["information", "inf"]),
        (["1", "x"], "VARCHAR", ["1", "x"]),
        (["9223372036854775807"], "BIGINT", [2**63 - 1]),
        (["1", "9223372036854775808"], "VARCHAR", ["1", "9223372036854775808"]),
        (["9" * 50, "-1"], "VARCHAR", ["9" * 50, "-1"]),
        (["0.5", "9" * 30], "DOUBLE", [0.5, 1e30]),
    ],
)
def test_numbers_are_numbers_and_no_digit_is_lost(connection, tmp_path, cells, kind, values):
    file = tmp_path / "a.csv"
    file.write_text("a,b\n" + "".join(f"{one},1\n" for one in cells))
    assert table(connection, "rows", [file], PLAIN, None) == 0
    found = connection.table("rows")
    assert [str(one) for one in found.types] == [kind, "BIGINT"]
    if values is not None:
        assert [row[0] for row in found.fetchall()] == values


@pytest.mark.parametrize(("late", "kind"), [("9" * 25, "VARCHAR"), ("-inf", "DOUBLE")])
def test_a_late_row_tells_too(connection, tmp_path, late, kind):
    file = tmp_path / "a.csv"
    file.write_text("a\n" + "1\n" * 30_000 + f"{late}\n")
    table(connection, "rows", [file], PLAIN, None)
    found = connection.table("rows")
    assert [str(one) for one in found.types] == [kind]
    assert str(found.fetchall()[-1][0]) == late


def test_skipped_lines_have_no_say(connection, tmp_path):
    file = tmp_path / "a.csv"
    file.write_text("a,b\ninf,1\nx,y,z\n2,3\n")
    dialect = Dialect(header=True, delimiter="", texts=False, ragged="skip")
    assert table(connection, "rows", [file], dialect, None) == 1
    assert connection.table("rows").fetchall() == [(math.inf, 1), (2.0, 3)]
