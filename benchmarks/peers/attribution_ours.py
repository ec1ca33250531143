"""Attribution of rows by an XGBoost model, and its drift from a baseline, by clary.

Given a model, rows as .npy and an analysis.json: checks against it, or writes it where it is not.
Prints the processor time without that of imports, and the number of violations.
"""

import os
import sys
import time
from pathlib import Path

import numpy as np
import xgboost

from clary.analysis import attribution_check, attribution_drift, bias_report
from clary.analysis.attribution import of_trees

began = time.process_time()
model, rows, baseline = map(Path, sys.argv[1:])
booster = xgboost.Booster({"nthread": len(os.sched_getaffinity(0))}, model_file=model)
features = [f"feature_{at}" for at in range(booster.num_features())]
made = of_trees(booster, np.load(rows), features)
found = bias_report.Analysis(
    explanations={"kernel_shap": made.document(["label0"])},
    clary={
        "attribution": {
            "method": made.method,
            "scale": made.scale,
            "features": features,
            "samples": {"label0": attribution_drift.sample(made.values[:, 0])},
        }
    },
)
if baseline.exists():
    violations = attribution_check.check(bias_report.read(baseline.read_bytes()), found)
    print(time.process_time() - began, len(violations))
else:
    baseline.write_bytes(bias_report.write(found))
