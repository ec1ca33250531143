"""Random tables, and what smclarify says of them where that is installed (a program for it).

It prints one line a table: JSON of ``[value or threshold, {metric: value}]`` a facet value, first
before training, then after. ``python bias_tables.py 0 1000 > recorded.jsonl``
"""

from __future__ import annotations

import json
import logging
import sys
import warnings

import numpy as np

LABELS = ("binary", "text", "classes", "amount", "count")
FACETS = ("binary", "text", "amount", "count", "chosen")


def table(seed):
    """Make a table and what is asked of it."""
    draw = np.random.default_rng(seed)
    rows = int(draw.integers(60, 200))
    skill = draw.normal(size=rows)
    who = draw.integers(0, 2, rows)
    facet = FACETS[seed % len(FACETS)]
    label = LABELS[(seed // len(FACETS)) % len(LABELS)]
    columns = {"x1": skill.tolist(), "x2": draw.normal(size=rows).tolist()}
    columns["facet"], values = _facet(facet, who, draw)
    tilt = float(draw.normal())
    truth = skill + tilt * who + draw.normal(size=rows)
    guess = skill + tilt * who * float(draw.uniform(0, 2)) + draw.normal(size=rows) / 2
    columns["label"], positive = _outcome(label, truth)
    columns["prediction"], _ = _outcome(label, guess)
    columns["group"] = draw.choice(list("abcd")[: int(draw.integers(1, 5))], rows).tolist()
    return {"columns": columns, "values": values, "positive": positive}


def _facet(kind, who, draw):
    rows = len(who)
    if kind == "binary":
        return who.tolist(), [int(draw.integers(0, 2))]
    if kind == "text":
        return np.where(who == 1, "F", draw.choice(["M", "X"], rows)).tolist(), []
    if kind == "chosen":
        return (who + draw.choice([0, 2], rows)).tolist(), [1, 2]
    amounts = 40 + 12 * who + draw.normal(size=rows) * 9
    if kind == "amount":
        return amounts.tolist(), [float(np.round(draw.uniform(38, 55), 2))]
    return np.round(amounts).astype(int).tolist(), [int(draw.integers(38, 55))]


def _outcome(kind, score):
    if kind == "binary":
        return (score > 0.3).astype(int).tolist(), [1]
    if kind == "text":
        return np.where(score > 0.3, "yes", "no").tolist(), ["yes"]
    if kind == "classes":
        return np.digitize(score, [-1, 0.2, 1]).tolist(), [2, 3]
    if kind == "amount":
        return (score * 10).tolist(), [3.5]
    return np.round(score * 30).astype(int).tolist(), [9]


def main(first, last):
    """Ask smclarify."""
    import pandas as pd  # noqa: PLC0415 - of another environment
    from smclarify.bias import report  # noqa: PLC0415 - of another environment

    warnings.filterwarnings("ignore")
    logging.disable(logging.CRITICAL)
    for seed in range(first, last):
        made = table(seed)
        frame = pd.DataFrame(made["columns"])
        group = frame.pop("group")
        label = report.LabelColumn("label", frame.label, list(made["positive"]))
        predicted = report.LabelColumn("prediction", frame.prediction, list(made["positive"]))
        answers = []
        for stage in (report.StageType.PRE_TRAINING, report.StageType.POST_TRAINING):
            facet = report.FacetColumn("facet", list(made["values"]) or None)
            found = report.bias_report(
                frame, facet, label, stage, predicted, metrics=["all"], group_variable=group
            )
            answers.append(
                [
                    [one["value_or_threshold"], {m["name"]: m["value"] for m in one["metrics"]}]
                    for one in found
                ]
            )
        print(json.dumps(answers, default=float), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
