"""AUC without labels by NannyML: a CSV a baseline, then CSVs of windows; prints a number each."""

import sys

import nannyml
import pandas as pd

baseline, *windows = (pd.read_csv(file) for file in sys.argv[1:])
known = nannyml.CBPE(
    y_pred_proba="score",
    y_pred="said",
    y_true="label",
    metrics=["roc_auc"],
    problem_type="classification_binary",
    chunk_size=len(windows[0]),
).fit(baseline)
for window in windows:
    found = known.estimate(window).filter(period="analysis").to_df()
    print(found["roc_auc"]["value"].iloc[0])
