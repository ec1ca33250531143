"""A flow over a table by ourselves: seconds to fit, to apply, by hand, of one record; memory."""

import json
import resource
import sys
import time
from pathlib import Path

from flows_data import document

from clary.flows import documents
from clary.flows.batch import Batch
from clary.flows.plans import ready
from clary.flows.records import compiled
from clary.flows.sessions import session

BY_HAND = """
WITH low AS (SELECT * REPLACE (lower(city) AS city, 'p_' || plan AS plan) FROM rows),
often AS (SELECT city FROM low GROUP BY 1 HAVING count(*) >= 1000),
rare AS (SELECT * REPLACE (if(city IN (FROM often), city, 'other') AS city) FROM low),
average AS (SELECT avg(income) AS mean FROM rare),
whole AS (SELECT rare.* REPLACE (coalesce(income, mean) AS income) FROM rare, average),
bounds AS (SELECT avg(income) AS m, stddev_samp(income) AS d FROM whole),
clipped AS (SELECT whole.* REPLACE (greatest(least(income, m + 4 * d), m - 4 * d) AS income),
  greatest(least(income, m + 4 * d), m - 4 * d) / (age + 1) AS ratio FROM whole, bounds),
scales AS (SELECT avg(income) AS mi, stddev_samp(income) AS di, avg(ratio) AS mr,
  stddev_samp(ratio) AS dr FROM clipped),
plans AS (SELECT plan, row_number() OVER (ORDER BY count(*) DESC, plan) - 1 AS plan_number
  FROM clipped GROUP BY plan)
SELECT id, age, (income - mi) / di AS income, (ratio - mr) / dr AS ratio,
  plan_number::DOUBLE AS plan_number,
  {cities}, year(seen) AS year FROM clipped JOIN plans USING (plan), scales
"""


def main(path: str, folder: Path) -> list[float]:
    flow = documents.read(document())
    last = flow.nodes[-1].id
    with session() as (connection, _):
        connection.execute(f"CREATE TABLE rows AS FROM read_parquet('{path}')")
        cities = ", ".join(f"if(city = 'city{n}', 1, 0)::DOUBLE AS city_{n}" for n in range(12))
        connection.execute("CREATE TABLE few AS FROM rows LIMIT 5000")
        warm = document()
        warm["nodes"][0]["id"] = "few"
        warm["nodes"][1]["inputs"] = ["few"]
        warm["nodes"] = [{**one, "id": one["id"].replace("n", "w")} for one in warm["nodes"]]
        for one in warm["nodes"][2:]:
            one["inputs"] = [one["inputs"][0].replace("n", "w")]
        Batch(connection, documents.read(warm)).fit("w10")  # imports, as the peer's are done
        batch = Batch(connection, flow)
        begin = time.perf_counter()
        batch.fit(last)
        fitted = time.perf_counter()
        connection.execute(f"COPY (FROM \"{last}\") TO '{folder}/ours.parquet' (FORMAT parquet)")
        applied = time.perf_counter()
        sql = BY_HAND.format(cities=cities)
        connection.execute(f"COPY ({sql}) TO '{folder}/hand.parquet' (FORMAT parquet)")
        by_hand = time.perf_counter()
        row = connection.execute("FROM rows LIMIT 1").fetchone()
    run = compiled(ready(flow, last, batch.fitted))
    start = time.perf_counter()
    for _ in range(10_000):
        run(row)
    record = (time.perf_counter() - start) / 10_000
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    return [fitted - begin, applied - fitted, by_hand - applied, record, peak]


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], Path(sys.argv[2]))))
