"""SQL of the author's own: over the node's rows, and over nothing else."""

from __future__ import annotations

import duckdb
import pytest

from clary.flows import documents, transforms
from clary.flows.batch import Batch
from clary.flows.model import Node
from clary.flows.steps import Program
from clary.kernel.errors import InvalidInput, LimitExceeded


def asked(sql: str, **more) -> list:
    nodes = [
        {"id": "people", "operator": "source"},
        {"id": "sql", "operator": "custom.sql", "with": {"sql": sql, **more}, "inputs": ["people"]},
    ]
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE people AS SELECT 1::BIGINT AS age, 'Rome' AS city")
        connection.execute("INSERT INTO people VALUES (3, 'Oslo'), (5, 'Rome')")
        return Batch(connection, documents.read({"nodes": nodes})).rows("sql").fetchall()


def test_sql_of_spark_is_asked_over_the_rows():
    assert asked("SELECT city, avg(age) AS age FROM df GROUP BY city ORDER BY city") == [
        ("Oslo", 3.0),
        ("Rome", 3.0),
    ]
    assert asked("SELECT `age` DIV 2 AS half FROM df WHERE city RLIKE '^R' ORDER BY 1") == [
        (0,),
        (2,),
    ]


def test_sql_may_name_tables_of_its_own():
    sql = """
        WITH old AS (SELECT * FROM df WHERE age > 1)
        SELECT a.age FROM old a JOIN df b ON a.city = b.city WHERE b.age = 1
    """
    assert asked(sql) == [(5,)]
    assert asked("FROM df SELECT max(age)", dialect="duckdb") == [(5,)]


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELECT * FROM people", "reads people"),
        ("SELECT * FROM '/etc/passwd'", "reads"),
        ('SELECT * FROM csv."/etc/passwd"', "reads|does not parse"),
        ("SELECT * FROM read_csv('/etc/passwd')", "reads"),
        ("SELECT (SELECT max(x) FROM read_text('/etc/passwd') AS t(x)) FROM df", "reads"),
        ("WITH a AS (SELECT 1 AS x) SELECT * FROM (SELECT * FROM information_schema.a)", "reads"),
        ("SELECT 1; SELECT 2", "more than one"),
        ("DROP TABLE df", "no SELECT"),
        ("COPY df TO '/tmp/x'", "no SELECT"),
        ("ATTACH '/tmp/x'", "no SELECT|does not parse"),
        ("SELECT FROM WHERE", "does not parse"),
        ("", "no SELECT"),
        ("SELECT " + "(" * 5000 + "1" + ")" * 5000, "does not parse"),
    ],
)
@pytest.mark.parametrize("dialect", ["spark", "duckdb"])
def test_sql_that_reads_anything_else_is_refused(sql, message, dialect):
    with pytest.raises(InvalidInput, match=message) as refused:
        asked(sql, dialect=dialect)
    assert "sql" in refused.value.message


def test_programs_are_steps_with_the_columns_they_gave():
    node = Node("a", "custom.pandas", {"code": "df['b'] = 1"}, ("source",))
    [step] = transforms.of(node).steps([{}], {"columns": [["a", "bigint"], ["b", "double"]]})
    assert isinstance(step, Program)
    assert (step.language, step.code) == ("pandas", "df['b'] = 1")
    assert {name: str(kind) for name, kind in step.columns.items()} == {
        "a": "bigint",
        "b": "double",
    }
    long = Node("a", "custom.pandas", {"code": " " * 200_000}, ("source",))
    with pytest.raises(LimitExceeded, match="100000"):
        transforms.of(long).steps([{}], {})
