"""The contributions of rows by shap's TreeExplainer: prints the processor time of that alone.

Run by shap's own interpreter; loading the model is not counted. Without a background shap asks
XGBoost, as clary does; with one, of 100 rows as its documentation has it, it computes by itself.
"""

import sys
import time

import numpy as np
import shap
import xgboost

booster = xgboost.Booster(model_file=sys.argv[1])
rows, background = map(np.load, sys.argv[2:])
explainer = shap.TreeExplainer(booster, background[:100])
began = time.process_time()
found = explainer.shap_values(rows)
took = time.process_time() - began
assert found.shape == rows.shape
print(took)
