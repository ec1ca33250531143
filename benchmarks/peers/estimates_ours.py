"""AUC without labels by clary: a CSV a baseline, then CSVs of windows; prints a number each."""

import sys

from pyarrow import csv

from clary.analysis.estimators import fit_estimator
from clary.analysis.outcomes import Outcomes

baseline, *windows = (csv.read_csv(file) for file in sys.argv[1:])
names = [name for name in baseline.column_names if name.startswith("x")]


def inputs(table):
    return {name: table[name].to_numpy() for name in names}


answers = Outcomes(baseline["label"].to_numpy(), None, baseline["score"].to_numpy())
known = fit_estimator("BinaryClassification", answers, inputs(baseline))
for window in windows:
    told = known.estimate(Outcomes([], None, window["score"].to_numpy()), inputs(window), 0.5)
    print(told.metrics["auc"].value)
