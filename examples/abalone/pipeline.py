"""How old is an abalone? Split, prepare, train, evaluate, decide and score, on one screen."""

import pandas as pd
import xgboost

import clary

LENGTHS = ["length", "diameter", "height"]
WEIGHTS = ["whole_weight", "shucked_weight", "viscera_weight", "shell_weight"]
SETTINGS = {"eta": 0.2, "gamma": 4, "min_child_weight": 6, "subsample": 0.7, "seed": 17}

features = clary.Flow("animals").impute(*LENGTHS, *WEIGHTS, strategy="median").one_hot("sex")
learn = features.fit_step(name="learn", cache=True)
prepare = features.step(name="prepare", cache=True)


def matrix(rows: pd.DataFrame) -> xgboost.DMatrix:
    """Make a matrix for XGBoost; the rings are the label, where they are known."""
    measured = rows.drop(columns="rings", errors="ignore")
    return xgboost.DMatrix(measured.to_numpy(), rows.get("rings"))


@clary.step(cache=True)
def split(animals: pd.DataFrame, test_share: float = 0.2) -> tuple[pd.DataFrame, pd.DataFrame]:
    shuffled = animals.sample(frac=1, random_state=17)
    unseen = int(len(shuffled) * test_share)
    return shuffled[unseen:], shuffled[:unseen]


@clary.step(cache=True)
def train(rows: pd.DataFrame, depth: int, rounds: int = 50) -> xgboost.Booster:
    return xgboost.train({**SETTINGS, "max_depth": depth}, matrix(rows), rounds)


@clary.step(cache=True)
def evaluate(model: xgboost.Booster, rows: pd.DataFrame) -> dict[str, float]:
    errors = rows["rings"] - model.predict(matrix(rows))
    return {"mse": (errors**2).mean(), "deviation": errors.std()}


@clary.step(cache=True)
def score(model: xgboost.Booster, rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(rings=model.predict(matrix(rows)))


@clary.pipeline(name="AbalonePipeline")
def abalone(
    known: clary.File = "known.csv",
    caught_later: clary.File = "caught_later.csv",
    depth: int = 5,
    mse_threshold: float = 6.0,
) -> None:
    seen, unseen = split(known)
    learned = learn(seen)
    model = train(prepare(seen, learned=learned), depth)
    report = evaluate(model, prepare(unseen, learned=learned))
    with clary.when(report["mse"] <= mse_threshold):
        clary.register(model, group="AbaloneModels", metrics=report)
        score(model, prepare(caught_later, learned=learned))
    with clary.otherwise():
        clary.fail(f"the mean squared error {report['mse']} exceeds {mse_threshold}")


if __name__ == "__main__":
    run = abalone.start().wait()
    print(run["evaluate"].result())
