"""How far AUC without labels is from the AUC that labels give, beside NannyML.

The concept never changes, inputs move. One model is good, the other has missed a part of the
concept; NannyML looks at scores alone.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
from figure import Figure, peer_python
from monitoring_data import PEERS
from pyarrow import csv
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

ROWS = 40_000
MOVES = ((0.0, 1.0), (0.7, 1.0), (-0.7, 1.0), (1.2, 0.8), (-1.2, 1.0), (0.0, 0.6))
_PEER = ("nannyml==0.13.1", "statsmodels", "scikit-learn<1.8", "setuptools<81")


def figures() -> list[Figure]:
    """Estimate six windows of 40,000 answers each of both models."""
    good = HistGradientBoostingClassifier(max_iter=80, random_state=0)
    return [_figure("good", good, 0.01), _figure("linear", LogisticRegression(), 0.02)]


def _figure(name, model, goal):
    generator = np.random.default_rng(0)
    model.fit(*_drawn(generator, 20_000))
    tables = [_answered(generator, model, *move) for move in ((0.0, 1.0), *MOVES)]
    measured = [roc_auc_score(table["label"], table["score"]) for table in tables[1:]]
    with TemporaryDirectory() as scratch:
        files = [Path(scratch) / f"{number}.csv" for number in range(len(tables))]
        for file, table in zip(files, tables, strict=True):
            csv.write_csv(table, file)
        ours = _estimates(sys.executable, "estimates_ours.py", files)
        python = peer_python("monitoring-nannyml", _PEER)
        theirs = _estimates(python, "estimates_nannyml.py", files)
    title = f"largest error of AUC without labels, {name} model, inputs moved"
    errors = [_largest(found, measured) for found in (ours, theirs)]
    return Figure(title, errors[0], "AUC", goal, "NannyML 0.13", errors[1])


def _drawn(generator, rows, shift=0.0, scale=1.0):
    inputs = generator.normal(size=(rows, 6)) * scale
    inputs[:, 0] += shift
    inputs[:, 2] -= shift / 2
    linear = 1.2 * inputs[:, 0] - 0.8 * inputs[:, 1] - 0.4
    bent = 0.9 * inputs[:, 0] * inputs[:, 2] + np.sin(2 * inputs[:, 3])
    return inputs, generator.random(rows) < 1 / (1 + np.exp(-(linear + bent)))


def _answered(generator, model, shift, scale):
    inputs, labels = _drawn(generator, ROWS, shift, scale)
    scores = model.predict_proba(inputs)[:, 1]
    columns = {f"x{place}": column for place, column in enumerate(inputs.T)}
    said = (scores > 0.5).astype(np.int64)
    return pa.table({**columns, "score": scores, "said": said, "label": labels.astype(np.int64)})


def _estimates(python, program, files):
    argv = [str(python), str(PEERS / program), *map(str, files)]
    done = subprocess.run(argv, check=True, capture_output=True, text=True)
    return [float(line) for line in done.stdout.split()]


def _largest(found, measured):
    return max(abs(one - other) for one, other in zip(found, measured, strict=True))
