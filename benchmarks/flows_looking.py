"""Looking at rows: the slowest preview of a node, and a report on a table; seconds."""

import json
import sys
import time

from flows_data import document

from clary import Flow

SAMPLE = {"method": "first", "rows": 100_000}


def previews(path: str) -> float:
    """Preview every node of the flow over a sample of a file; the slowest, once all are known."""
    flow = Flow.read_parquet(path, sampling=SAMPLE)
    took = []
    for node in document()["nodes"][1:]:
        flow = flow.then(node["operator"], node["with"])
        flow.preview()
        begin = time.perf_counter()
        flow.preview()
        took.append(time.perf_counter() - begin)
    return max(took)


def report(path: str) -> float:
    """Report on all rows of a file, and write the page."""
    begin = time.perf_counter()
    Flow.read_parquet(path).report(target="flag").to_html()
    return time.perf_counter() - begin


if __name__ == "__main__":
    print(json.dumps([previews(sys.argv[1]), report(sys.argv[2])]))
