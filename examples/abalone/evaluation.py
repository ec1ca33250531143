"""Measure a trained model on the rows it has never seen, and write what the pipeline decides on."""

import json
import pickle
import tarfile
from pathlib import Path

import pandas as pd
import xgboost

ROOT = Path("/opt/ml/processing")


def load_model():
    """Unpickle from the archive; XGBoost images up to 1.2 pickle the Booster they trained."""
    with tarfile.open(ROOT / "model" / "model.tar.gz") as archive:
        return pickle.load(archive.extractfile("xgboost-model"))


def main():
    rows = pd.read_csv(ROOT / "test" / "test.csv", header=None).to_numpy()
    label, features = rows[:, 0], rows[:, 1:]
    errors = label - load_model().predict(xgboost.DMatrix(features))
    mse = float((errors**2).mean())
    deviation = float(errors.std())
    print(f"{len(rows)} rows: mean squared error {mse:.4f}, deviation {deviation:.4f} rings")

    report = {"regression_metrics": {"mse": {"value": mse, "standard_deviation": deviation}}}
    target = ROOT / "evaluation"
    target.mkdir(parents=True, exist_ok=True)
    (target / "evaluation.json").write_text(json.dumps(report))


if __name__ == "__main__":
    main()
