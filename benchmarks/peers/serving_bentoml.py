"""The model as a BentoML service."""

from __future__ import annotations

import os

import bentoml
import numpy as np  # noqa: TC002 - bentoml reads the annotations
import xgboost


@bentoml.service(workers=1)
class Scores:
    """Predicts rows."""

    def __init__(self) -> None:
        self.booster = xgboost.Booster()
        self.booster.load_model(os.environ["MODEL"])
        self.booster.set_param({"nthread": 1})

    @bentoml.api(route="/invocations")
    def predict(self, data: np.ndarray) -> np.ndarray:
        """Predict rows of numbers."""
        return self.booster.inplace_predict(data.astype("float32"), validate_features=False)
