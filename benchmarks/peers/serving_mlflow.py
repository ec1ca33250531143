"""Save the model as MLflow serves it."""

from __future__ import annotations

import sys

import mlflow.xgboost
import xgboost

model, folder = sys.argv[1:]
regressor = xgboost.XGBRegressor()
regressor.load_model(model)
regressor.set_params(n_jobs=1)
mlflow.xgboost.save_model(regressor, folder)
