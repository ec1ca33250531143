"""Flows: 11 steps, 6 of them fitted, over 2M rows and over one record; previews; reports."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import flows_data
import monitoring_data
from figure import Figure, peer_python
from monitoring_data import Measured, measured

HERE = Path(__file__).resolve().parent
ROWS, REPORTED, RUNS = 2_000_000, 1_000_000, 3
_PEERS = ("skrub>=0.11,<0.12", "scikit-learn>=1.9,<1.10", "pandas>=3,<4", "pyarrow")
_SKLEARN, _SKRUB = "pandas and scikit-learn", "skrub"


@dataclass(frozen=True)
class Peer:
    """Seconds of a peer: to fit, to apply unwritten, of one record."""

    name: str
    fit: float
    apply: float
    record: float


def figures() -> list[Figure]:
    """Measure in turn: ourselves and SQL by hand; scikit-learn; skrub; then new processes."""
    python = str(peer_python("flows-skrub", _PEERS))
    with TemporaryDirectory(prefix="flows-") as folder:
        path = f"{folder}/rows.parquet"
        flows_data.write(path, ROWS)
        ours, sklearn, skrub = [], [], []
        for _ in range(RUNS):
            ours.append(_ran(sys.executable, "flows_ours.py", path, folder))
            sklearn.append(_ran(python, "peers/flows_sklearn.py", path))
            skrub.append(_ran(python, "peers/flows_skrub.py", path))
        cold = _from_the_start(Path(folder), path)
        wide = monitoring_data.table(Path(folder), REPORTED)
        preview, report = _ran(sys.executable, "flows_looking.py", path, str(wide))
        values, named = _of_a_record(Path(folder))
    fit, apply, by_hand, record = _medians(ours)
    whole = fit + apply
    peers = [Peer(_SKLEARN, *_medians(sklearn)), Peer(_SKRUB, *_medians(skrub))]
    return [
        Figure("fit, 2M rows", fit, "s", 6, _SKLEARN, peers[0].fit),
        Figure("apply and write, 2M rows", apply, "s", 4, f"{_SKLEARN}, unwritten", peers[0].apply),
        Figure("fit and apply, times SQL by hand", whole / by_hand, "x", 1.3, "by hand", 1),
        *(one for peer in peers for one in _beside(peer, whole, record)),
        Figure("one record, 20 steps, compiled", values * 1e6, "us", 50, "limit", 50),
        Figure("one record, 20 steps, `Flow.record`", named * 1e6, "us", 50, "limit", 50),
        *cold,
        Figure("slowest preview of a node, first 100,000 of 2M rows", preview, "s", 1, "limit", 1),
        Figure("insights report, 1M rows of 20 columns", report, "s", 30, "limit", 30),
    ]


def _of_a_record(folder: Path) -> list[float]:
    path = f"{folder}/few.parquet"
    flows_data.write(path, 20_000)
    return _ran(sys.executable, "flows_record.py", path)


def _beside(peer: Peer, whole: float, record: float) -> list[Figure]:
    times = (peer.fit + peer.apply) / whole
    named, us = peer.name, 1e6
    return [
        Figure(f"fit and apply, times faster than {named}", times, "x", 3, named, 1, ">="),
        Figure(
            f"one record, 11 steps, beside {named}", record * us, "us", 50, named, peer.record * us
        ),
        Figure(
            f"one record, times faster than {named}",
            peer.record / record,
            "x",
            1000,
            named,
            1,
            ">=",
        ),
    ]


def _from_the_start(folder: Path, path: str) -> list[Figure]:
    """Measure new processes from file to file: the command of the shell, and SQL by hand."""
    flow, out = folder / "flow.json", folder / "cold.parquet"
    document = flows_data.document()
    document["nodes"][0]["with"] = {"path": path}
    flow.write_text(json.dumps(document), "utf-8")
    command = str(Path(sys.executable).with_name("clary"))
    arguments = ("flow", "run", flow, "--refit", "--to", out)
    ours: list[Measured] = []
    by_hand: list[Measured] = []
    for _ in range(RUNS):
        ours.append(measured(sys.executable, command, *arguments))
        by_hand.append(measured(sys.executable, str(HERE / "flows_by_hand.py"), path, out))
    took, theirs = (median(one.cpu_s for one in runs) for runs in (ours, by_hand))
    peak, their_peak = (max(one.peak_mib for one in runs) for runs in (ours, by_hand))
    to_gb = 2**20 / 1e9
    name, hand = "`clary flow run`, a new process, 2M rows", "SQL by hand, a new process"
    return [
        Figure(f"{name}: processor time", took, "s", 10, hand, theirs),
        Figure(f"{name}: times SQL by hand", took / theirs, "x", 1.3, hand, 1),
        Figure(f"{name}: peak memory", peak * to_gb, "GB", 1.5, hand, their_peak * to_gb),
    ]


def _medians(runs: list[list[float]]) -> list[float]:
    return [median(one) for one in zip(*runs, strict=True)]


def _ran(python: str, program: str, *arguments: str) -> list[float]:
    argv = [python, str(HERE / program), *arguments]
    ran = subprocess.run(argv, check=True, capture_output=True, text=True)
    return json.loads(ran.stdout.splitlines()[-1])
