"""A flow over a table by ourselves: seconds to fit, to apply, by hand, of one record."""

import json
import sys
import time
from pathlib import Path

from flows_by_hand import query
from flows_data import document

from clary.flows import documents
from clary.flows.batch import Batch
from clary.flows.plans import ready
from clary.flows.records import compiled
from clary.flows.sessions import session


def main(path: str, folder: Path) -> list[float]:
    flow = documents.read(document())
    last = flow.nodes[-1].id
    with session() as (connection, _):
        connection.execute(f"CREATE TABLE rows AS FROM read_parquet('{path}')")
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
        connection.execute(f"COPY ({query()}) TO '{folder}/hand.parquet' (FORMAT parquet)")
        by_hand = time.perf_counter()
        row = connection.execute("FROM rows LIMIT 1").fetchone()
    run = compiled(ready(flow, last, batch.fitted))
    start = time.perf_counter()
    for _ in range(10_000):
        run(row)
    record = (time.perf_counter() - start) / 10_000
    return [fitted - begin, applied - fitted, by_hand - applied, record]


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], Path(sys.argv[2]))))
