"""Attribution drift of a boosted model, beside shap's own explanation of the same rows."""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import xgboost
from figure import Figure, peer_python
from monitoring_data import measured

ROWS, FEATURES, TREES, DEPTH = 2_000, 20, 200, 6
FITTED = 10 * ROWS
_PEER = ("shap>=0.50,<1", "xgboost>=3.2,<3.3", "pandas<3")


def figures() -> list[Figure]:
    """Measure the check and reading its model and its baseline, imports aside."""
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        model, baseline = folder / "model.ubj", folder / "analysis.json"
        usual, moved = folder / "usual.npy", folder / "moved.npy"
        fitted().save_model(model)
        np.save(usual, rows(1)[:ROWS])
        np.save(moved, rows(2)[:ROWS] * np.linspace(0, 2, FEATURES))
        measured(sys.executable, "attribution_ours.py", model, usual, baseline)
        argv = (sys.executable, "attribution_ours.py", model, moved, baseline)
        took_s, violations = measured(*argv).said.split()
        peer = peer_python("monitoring-shap", _PEER)
        theirs = float(measured(peer, "attribution_shap.py", model, moved, usual).said)
    if int(violations) != 1:
        raise RuntimeError(f"{violations} violations where attribution has drifted")
    title = f"processor time of attribution drift, {TREES} trees of depth {DEPTH}, {ROWS:,} rows"
    reference = "TreeExplainer, 100 background rows, its values alone"
    return [Figure(title, float(took_s), "s", 3, reference, theirs)]


def rows(seed: int) -> np.ndarray:
    """Draw rows of independent features, shape (FITTED, FEATURES)."""
    return np.random.default_rng(seed).normal(size=(FITTED, FEATURES))


def fitted() -> xgboost.Booster:
    """Fit trees to a label that all features and two interactions say something of."""
    known = rows(0)
    draw = np.random.default_rng(3)
    margin = known @ draw.normal(size=FEATURES) + np.sin(3 * known[:, 0]) * known[:, 1]
    label = margin + draw.normal(size=FITTED) > 0
    settings = {"objective": "binary:logistic", "max_depth": DEPTH, "nthread": 2}
    return xgboost.train(settings, xgboost.DMatrix(known, label=label), TREES)


if __name__ == "__main__":
    for figure in figures():
        print(figure)
