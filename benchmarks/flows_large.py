"""A flow over more rows than memory holds: writes a CSV file, runs the flow, tells what it took.

    python benchmarks/flows_large.py 20 /a/folder/with/45-GB

It is no part of ``make bench``: it takes minutes, and twice the disk of its file.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import duckdb
import flows_data

_ROW_BYTES = 92


def main(gigabytes: float, folder: Path) -> None:
    source, flow, made = (folder / name for name in ("rows.csv", "flow.json", "made.parquet"))
    flows_data.write_csv(source, int(gigabytes * 1e9 / _ROW_BYTES))
    document = flows_data.document()
    document["nodes"][0]["with"] = {"path": str(source)}
    last = {"id": "last", "operator": "columns.drop", "with": {"columns": ["token"]}}
    document["nodes"].append({**last, "inputs": [document["nodes"][-1]["id"]]})
    flow.write_text(json.dumps(document), "utf-8")
    begin = time.perf_counter()
    command = [str(Path(sys.executable).with_name("clary")), "flow", "run", str(flow)]
    environment = {**os.environ, "TMPDIR": str(folder)}
    pid = os.posix_spawn(command[0], [*command, "--refit", "--to", str(made)], environment)
    _, status, usage = os.wait4(pid, 0)
    [[rows]] = duckdb.sql(f"SELECT count(*) FROM '{made}'").fetchall()
    print(
        f"{source.stat().st_size / 1e9:.1f} GB, {rows} rows: ended with {status}, "
        f"{time.perf_counter() - begin:.0f} s, {usage.ru_utime + usage.ru_stime:.0f} s of "
        f"processor time, {usage.ru_maxrss * 1024 / 1e9:.2f} GB of memory at most"
    )


if __name__ == "__main__":
    main(float(sys.argv[1]), Path(sys.argv[2]))
