"""A program that answers queries on a local Spark: pickled requests in, pickled answers out.

It runs in an interpreter that has pyspark, and imports nothing else. A request is the tables,
``{name: (columns as Spark's DDL, rows)}``, and a query; an answer is its rows, or an error's text.
"""

import os
import pickle
import sys


def plain(value):
    """Give structs as dicts, as DuckDB does."""
    if hasattr(value, "asDict"):
        return {name: plain(one) for name, one in value.asDict().items()}
    return [plain(one) for one in value] if isinstance(value, list) else value


def answered(session, held, tables, text):
    for name, (columns, rows) in tables.items():
        key = (columns, repr(rows))
        if key not in held:
            held[key] = session.createDataFrame(rows, columns).coalesce(1)
        held[key].createOrReplaceTempView(f"`{name}`")
    return [tuple(map(plain, row)) for row in session.sql(text).collect()]


def main():
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what Spark prints is no answer
    from pyspark.sql import SparkSession  # noqa: PLC0415 after its output is turned away

    settings = {
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": "1",
        "spark.log.level": "OFF",
    }
    builder = SparkSession.builder.master("local[1]")
    for name, value in settings.items():
        builder = builder.config(name, value)
    session, held = builder.getOrCreate(), {}
    while True:
        try:
            tables, text = pickle.load(requests)
        except EOFError:
            break
        try:
            answer = (answered(session, held, tables, text), None)
        except Exception as error:
            answer = (None, f"{type(error).__name__}: {error}"[:2000])
        pickle.dump(answer, answers)
        answers.flush()
    session.stop()


if __name__ == "__main__":
    main()
