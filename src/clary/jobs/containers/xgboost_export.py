"""Export a built-in XGBoost model as data: its trees as JSON, and its own answers to many rows.

Models are pickles, which may do anything when they are loaded; so that happens here, in a sandbox.
"""

from __future__ import annotations

import json
import sys

from job_files import MODEL, ROOT, run
from serving import unpack_model
from tabular import Unreadable, csv_rows, libsvm_rows
from xgboost_data import np, xgboost
from xgboost_serving import load_boosters, mean_prediction

_OUTPUT = ROOT / "output" / "export"
_REAL = ROOT / "input" / "rows"
_MOST_REAL = 500
_MOST_ROWS = 2000
_MOST_NUMBERS = 4_000_000
_ODD = np.array([np.nan, 0.0, -0.0, 1e-45, -1e-45, 3e38, -3e38, 1.0], np.float32)


def main():
    """Write ``trees-<n>.json``, ``rows``, ``answers`` and ``export.json``."""
    _OUTPUT.mkdir(parents=True, exist_ok=True)
    unpack_model()
    if (MODEL / "code" / "inference.py").exists():
        return _tell({"unfit": "it has an inference script of its own"})
    boosters = load_boosters()
    features = boosters[0].num_features()
    if any(booster.num_features() != features for booster in boosters):
        return _tell({"unfit": "its boosters have different numbers of features"})
    forests = []
    for index, booster in enumerate(boosters):
        path = _OUTPUT / f"trees-{index}.json"
        booster.save_model(str(path))
        forests.append(_trees(json.loads(path.read_text("utf-8"))))
    real = _real_rows(features)
    count = max(16, min(_MOST_ROWS, _MOST_NUMBERS // max(features, 1)))
    made = made_rows([tree for forest in forests for tree in forest], features, count)
    rows = np.ascontiguousarray(np.vstack([real, made]), "<f4")
    answers = mean_prediction(boosters, xgboost.DMatrix(rows, nthread=1))
    (_OUTPUT / "rows").write_bytes(rows.tobytes())
    (_OUTPUT / "answers").write_bytes(np.ascontiguousarray(answers, "<f4").tobytes())
    return _tell(
        {
            "boosters": len(boosters),
            "outputs": 1 if answers.ndim == 1 else answers.shape[1],
            "real": len(real),
            "versions": {"xgboost": xgboost.__version__, "python": sys.version.split()[0]},
        }
    )


def made_rows(trees, features, count):
    """Make rows that take every way: ranges, exact thresholds, their neighbours, missing values.

    A third each are drawn from the ranges of the thresholds, from thresholds and odd numbers, and
    so that they just pass the conditions on the way to a leaf.
    """
    draw = np.random.default_rng(0)
    thresholds = _thresholds(trees)
    rows = draw.normal(size=(count, features)).astype(np.float32)
    third = count // 3
    for feature, values in thresholds.items():
        low, high = float(values[0]), float(values[-1])
        margin = (high - low) / 10 + abs(low) / 1000 + 1e-6
        rows[:, feature] = draw.uniform(low - margin, high + margin, count)
        near = draw.choice(values, third)
        sides = np.stack([near, np.nextafter(near, -np.inf), np.nextafter(near, np.inf)])
        rows[:third, feature] = sides[draw.integers(3, size=third), np.arange(third)]
    odd = draw.random((third, features)) < 0.2
    rows[:third][odd] = draw.choice(_ODD, int(odd.sum()))
    missing = draw.random((third, features)) < draw.random((third, 1))
    rows[third : 2 * third][missing] = np.nan
    for row in rows[2 * third :] if trees else ():
        _descend(trees[draw.integers(len(trees))], row, draw)
    rows[0], rows[1] = np.nan, 0.0
    rows[np.isinf(rows)] = 0.0
    return rows


def _descend(tree, row, draw):
    """Change a row so that it just reaches a leaf."""
    left, right, split, value = tree
    low, high = {}, {}
    node = 0
    while left[node] != -1:
        feature, threshold = split[node], value[node]
        goes_left = low.get(feature, -np.inf) < threshold
        goes_right = threshold < high.get(feature, np.inf)
        if goes_left and not (goes_right and draw.random() < 0.5):
            high[feature], node = threshold, left[node]
        else:
            low[feature], node = threshold, right[node]
    for feature, threshold in high.items():
        row[feature] = np.nextafter(threshold, np.float32(-np.inf))
    for feature, threshold in low.items():
        row[feature] = threshold


def _thresholds(trees):
    """List the distinct thresholds of each feature, sorted."""
    found = {}
    for left, _, split, value in trees:
        for node, child in enumerate(left):
            if child != -1:
                found.setdefault(split[node], set()).add(value[node])
    return {feature: np.array(sorted(values), np.float32) for feature, values in found.items()}


def _trees(document):
    """Find the trees in XGBoost's JSON: children, features and thresholds by node."""
    booster = document["learner"]["gradient_booster"]
    forest = booster.get("gbtree", booster).get("model", {})
    return [
        (
            tree["left_children"],
            tree["right_children"],
            tree["split_indices"],
            np.array(tree["split_conditions"], np.float32),
        )
        for tree in forest.get("trees", ())
    ]


def _real_rows(features):
    """Read rows of the data that the model was trained on, if there are any; the label is first."""
    try:
        found = _read(_REAL.read_text("utf-8"), features)
    except (OSError, UnicodeDecodeError, Unreadable):  # they are a help, not a need
        found = np.empty((0, features), np.float32)
    found = found[~np.isinf(found).any(axis=1)]
    return found[:_MOST_REAL]


def _read(text, features):
    try:
        found = csv_rows(text, "rows")[:, -features:]
    except Unreadable:
        rows = libsvm_rows(text, "rows")
        found = np.full((len(rows.labels), max(features, rows.width)), np.nan, np.float32)
        lines = np.repeat(np.arange(len(found)), np.diff(rows.starts))
        found[lines, rows.columns] = rows.values
    if found.shape[1] != features:
        raise Unreadable(400, "rows of another model")
    return found


def _tell(said):
    (_OUTPUT / "export.json").write_text(json.dumps(said), "utf-8")


if __name__ == "__main__":
    run(main)
