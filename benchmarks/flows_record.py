"""One record through a flow of 20 steps, 9 of them fitted: as values in order, and by name."""

import json
import sys
import time
from statistics import median

import flows_data
import pyarrow.parquet as pq

import clary
from clary.flows.plans import ready
from clary.flows.records import compiled

MORE = (
    ("text.statistics", {"column": "city", "output": "letters"}),
    ("search.matches", {"columns": ["city"], "pattern": "^city[0-9]", "output": "is_city"}),
    ("missing.indicator", {"columns": ["income"], "output": "is_missing"}),
    ("missing.impute", {"columns": ["age"], "strategy": "median"}),
    ("numeric.min_max", {"columns": ["age"], "output": "age_share"}),
    ("outliers.quantile", {"columns": ["ratio"], "lower": 0.01, "upper": 0.99}),
    ("dates.featurize", {"column": "seen", "parts": ["month", "day"], "embedding": "cyclic"}),
    ("columns.formula", {"formula": "CASE WHEN ratio > 0 THEN ln(ratio + 1) END", "output": "log"}),
    ("columns.rename", {"column": "age", "output": "years"}),
)  # fmt: skip
STEPS = (*flows_data.STEPS[:8], *MORE, *flows_data.STEPS[8:])
RUNS, TIMES = 5, 5_000


def main(path):
    flow = clary.Flow(pq.read_table(path), name="rows")
    for operator, with_ in STEPS:
        flow = flow.then(operator, with_)
    assert len(flow.operators) == 21, "a source and 20 steps"
    flow.fit()
    [record] = clary.Flow(pq.read_table(path)).head(1).to_arrow().to_pylist()
    row = tuple(record.values())
    run = compiled(ready(flow.document, flow.name, flow.fitted))
    assert run(row) == tuple(flow.record(record).values())
    return [_each(lambda: run(row)), _each(lambda: flow.record(record))]


def _each(action):
    """Time one call: the median of several runs of many."""
    took = []
    for _ in range(RUNS):
        begin = time.perf_counter()
        for _ in range(TIMES):
            action()
        took.append((time.perf_counter() - begin) / TIMES)
    return median(took)


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1])))
