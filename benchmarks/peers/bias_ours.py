"""Every metric of bias of a Parquet file, by clary; prints the seconds, imports aside."""

import sys
import time

import duckdb

from clary.analysis.bias import Facet, Question, analyze
from clary.analysis.bias_metrics import names

question = Question(
    label="label",
    positive=[1],
    facets=[Facet("sex", [1])],
    prediction="prediction",
    group="region",
    before=names("pre_training"),
    after=names("post_training"),
)
begin = time.perf_counter()
with duckdb.connect() as connection:
    connection.execute("SET threads = 2")
    found = analyze(connection, f"'{sys.argv[1]}'", question)
took = time.perf_counter() - begin
assert all(metric.value is not None for _, _, metric in found.metrics())
print(took)
