"""Every metric of bias of ten million rows, beside smclarify on a hundredth of them."""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
from figure import Figure, peer_python
from monitoring_data import measured

ROWS = 10_000_000
FEW = ROWS // 100
_PEER = ("smclarify==0.5", "pandas<3", "scikit-learn", "pyfunctional", "pyarrow")
_TABLE = f"""
    SELECT (random() < 0.4)::INT AS sex, (random() < 0.3)::INT AS label,
        (random() < 0.35)::INT AS prediction, floor(random() * 5)::INT AS region,
        20 + floor(random() * 60)::INT AS age, random() AS debt, random() AS income
    FROM range({ROWS})
"""


def figures() -> list[Figure]:
    """Measure the computation, imports aside; ours has intervals and the flip test, too."""
    with TemporaryDirectory() as scratch:
        file = Path(scratch) / "rows.parquet"
        with duckdb.connect() as connection:
            connection.execute(f"COPY ({_TABLE}) TO '{file}' (FORMAT parquet)")
        ours = min(float(measured(sys.executable, "bias_ours.py", file).said) for _ in range(3))
        peer = peer_python("monitoring-smclarify", _PEER)
        theirs = float(measured(peer, "bias_smclarify.py", file, FEW).said)
    title = f"all metrics of bias of {ROWS:,} rows"
    return [Figure(title, ours, "s", 2, f"smclarify without FT, {FEW:,} rows", theirs)]
