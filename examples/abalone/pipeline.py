"""How old is an abalone? Prepare, train, evaluate, decide, register and score, on one screen."""

import pandas as pd
import xgboost

import clary

SEXES = ["F", "I", "M"]  # female, infant, male
SETTINGS = {"eta": 0.2, "gamma": 4, "min_child_weight": 6, "subsample": 0.7, "seed": 17}


def features(animals: pd.DataFrame) -> pd.DataFrame:
    """Write the sex as three columns."""
    sexes = pd.get_dummies(pd.Categorical(animals["sex"], SEXES), dtype=float)
    others = animals.drop(columns=["sex", "rings"], errors="ignore").reset_index(drop=True)
    return others.join(sexes)


def matrix(animals: pd.DataFrame) -> xgboost.DMatrix:
    """Make a matrix for XGBoost; the rings are the label, where they are known."""
    return xgboost.DMatrix(features(animals).to_numpy(), animals.get("rings"))


@clary.step(cache=True)
def prepare(animals: pd.DataFrame, test_share: float = 0.2) -> tuple[pd.DataFrame, pd.DataFrame]:
    shuffled = animals.dropna().sample(frac=1, random_state=17)
    unseen = int(len(shuffled) * test_share)
    return shuffled[unseen:], shuffled[:unseen]


@clary.step(cache=True)
def train(animals: pd.DataFrame, depth: int, rounds: int = 50) -> xgboost.Booster:
    return xgboost.train({**SETTINGS, "max_depth": depth}, matrix(animals), rounds)


@clary.step(cache=True)
def evaluate(model: xgboost.Booster, animals: pd.DataFrame) -> dict[str, float]:
    errors = animals["rings"] - model.predict(matrix(animals))
    return {"mse": (errors**2).mean(), "deviation": errors.std()}


@clary.step(cache=True)
def score(model: xgboost.Booster, animals: pd.DataFrame) -> pd.DataFrame:
    return animals.assign(rings=model.predict(matrix(animals)))


@clary.pipeline(name="AbalonePipeline")
def abalone(
    known: clary.File = "known.csv",
    caught_later: clary.File = "caught_later.csv",
    depth: int = 5,
    mse_threshold: float = 6.0,
) -> None:
    seen, unseen = prepare(known)
    model = train(seen, depth)
    report = evaluate(model, unseen)
    with clary.when(report["mse"] <= mse_threshold):
        clary.register(model, group="AbaloneModels", metrics=report)
        score(model, caught_later)
    with clary.otherwise():
        clary.fail(f"the mean squared error {report['mse']} exceeds {mse_threshold}")


if __name__ == "__main__":
    run = abalone.start().wait()
    print(run["evaluate"].result())
