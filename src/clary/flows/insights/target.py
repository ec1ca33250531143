"""The target of a prediction: what kind it is, and how well columns, alone or all, tell it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow.compute as pc
from msgspec import Struct

from clary.flows.insights.learning import sklearn
from clary.flows.insights.sampled import is_number, texts
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from clary.flows.insights.sampled import Sampled

Problem = Literal["classification", "regression"]
FEW_VALUES = 20
_MOST_CLASSES = 100
_MODEL_ROWS = 10_000
_POWER_ROWS = 5_000
_FOLDS = 3
_LEAST_ROWS = 20
_TREES = 50


class Target(Struct, frozen=True):
    """What is predicted.

    Parameters
    ----------
    classes
        Of a classification, each with how many rows of the sample have it.
    """

    column: str
    problem: Problem
    classes: tuple[tuple[str, int], ...] = ()


class Power(Struct, frozen=True):
    """How well one column alone tells the target, cross-validated, by a small decision tree.

    ``score`` is the area under the ROC curve (of several classes the mean of one against the
    rest, weighted by class), or R² of a regression. ``power`` is 0 for no better than guessing and
    1 for always right.
    """

    column: str
    score: float
    power: float


class QuickModel(Struct, frozen=True):
    """A random forest of all columns, measured on rows it has not seen.

    Parameters
    ----------
    metric, score, guessing
        ``F1`` (weighted by class) or ``MSE`` of the held-out rows, and what the most frequent
        class, or the mean, gets.
    importances
        How much each column contributed, together 1.
    classes, confusion
        Of a classification: the classes, and for each how many were taken for which.
    """

    rows: int
    held_out: float
    metric: Literal["F1", "MSE"]
    score: float
    guessing: float
    r2: float | None
    importances: tuple[tuple[str, float], ...]
    classes: tuple[str, ...] = ()
    confusion: tuple[tuple[int, ...], ...] = ()


def find_target(table: Sampled, column: str, problem: Problem | Literal[""] = "") -> Target:
    """Find out what kind of target a column is: numbers of over 20 values are a regression.

    Raises
    ------
    InvalidInput
        It has a single value, numbers are wanted of texts, or it has over 100 classes.
    """
    stored = table.type(column)
    counted = pc.value_counts(texts(table.sample.column(column)).drop_null()).to_pylist()
    if len(counted) <= 1:
        raise InvalidInput("target", f"the column {column!r} has {len(counted)} values in all rows")
    numeric = is_number(stored)
    if problem == "regression" and not numeric:
        raise InvalidInput("target", f"{column!r} is of the type {stored}", legal="numbers")
    if problem == "regression" or (not problem and numeric and len(counted) > FEW_VALUES):
        return Target(column, "regression")
    if len(counted) > _MOST_CLASSES:
        known = f"at most {_MOST_CLASSES}"
        raise InvalidInput("target", f"{column!r} has {len(counted)} classes", legal=known)
    often = sorted(counted, key=lambda one: (-one["counts"], one["values"]))
    found = tuple((str(one["values"]), int(one["counts"])) for one in often)
    return Target(column, "classification", found)


def values(table: Sampled, target: Target) -> NDArray[Any]:
    """Give the target of each row of the sample: numbers, or the places of classes; NaN missing."""
    if target.problem == "regression":
        found = table.numbers(target.column)
        return np.where(np.isfinite(found), found, np.nan)
    places = {name: at for at, (name, _) in enumerate(target.classes)}
    shown = texts(table.sample.column(target.column)).to_pylist()
    return np.array([np.nan if one is None else float(places[one]) for one in shown])


def powers(table: Sampled, target: Target, features: Sequence[str], *, seed: int) -> list[Power]:
    """Measure how well each column alone tells the target, the best first."""
    wanted, rows = _known(values(table, target), _POWER_ROWS, seed)
    if len(wanted) < _LEAST_ROWS or len(np.unique(wanted)) < 2:
        return []
    found = [
        _power(one, table.numbers(one)[rows], wanted, target.problem, seed) for one in features
    ]
    return sorted(found, key=lambda one: (-one.power, one.column))


def _power(
    name: str, column: NDArray[np.float64], wanted: NDArray[Any], problem: Problem, seed: int
) -> Power:
    trees, selection = sklearn("tree"), sklearn("model_selection")
    if problem == "regression":
        tree = trees.DecisionTreeRegressor(max_depth=6, min_samples_leaf=5, random_state=seed)
        folds = selection.KFold(_FOLDS, shuffle=True, random_state=seed)
        told = selection.cross_val_predict(tree, column[:, None], wanted, cv=folds)
        score = float(sklearn("metrics").r2_score(wanted, told))
        return Power(name, score, max(0.0, score))
    known, counts = np.unique(wanted, return_counts=True)
    keep = np.isin(wanted, known[counts >= _FOLDS])
    wanted, column = wanted[keep], column[keep]
    known = np.unique(wanted)
    if len(known) < 2:
        return Power(name, 0.5, 0.0)
    tree = trees.DecisionTreeClassifier(max_depth=6, min_samples_leaf=5, random_state=seed)
    folds = selection.StratifiedKFold(_FOLDS, shuffle=True, random_state=seed)
    told = selection.cross_val_predict(
        tree, column[:, None], wanted, cv=folds, method="predict_proba"
    )
    area = sklearn("metrics").roc_auc_score
    areas = [area(wanted == one, told[:, at]) for at, one in enumerate(known)]
    score = float(np.average(areas, weights=[np.count_nonzero(wanted == one) for one in known]))
    return Power(name, score, max(0.0, 2 * score - 1))


def quick_model(
    table: Sampled, target: Target, features: Sequence[str], *, held_out: float, seed: int
) -> QuickModel | None:
    """Train a random forest on part of the sample, and measure it on the rest.

    None where there are no columns, or fewer than 20 rows with a target.
    """
    wanted, rows = _known(values(table, target), _MODEL_ROWS, seed)
    if len(wanted) < _LEAST_ROWS or not features:
        return None
    matrix = np.column_stack([table.numbers(one)[rows] for one in features])
    order = np.random.default_rng(seed).permutation(len(wanted))
    cut = max(1, round(held_out * len(wanted)))
    test, train = order[:cut], order[cut:]
    ensemble, metrics = sklearn("ensemble"), sklearn("metrics")
    if target.problem == "regression":
        forest = ensemble.RandomForestRegressor(
            _TREES, min_samples_leaf=2, random_state=seed, n_jobs=2, max_features=1 / 3
        ).fit(matrix[train], wanted[train])
        told = forest.predict(matrix[test])
        score = float(metrics.mean_squared_error(wanted[test], told))
        guess = float(np.mean((wanted[test] - wanted[train].mean()) ** 2))
        r2 = 1 - score / guess if guess else None
        weights = _importances(features, forest)
        return QuickModel(len(wanted), held_out, "MSE", score, guess, r2, weights)
    forest = ensemble.RandomForestClassifier(
        _TREES, min_samples_leaf=2, random_state=seed, n_jobs=2
    ).fit(matrix[train], wanted[train])
    told = forest.predict(matrix[test])
    found, counts = np.unique(wanted[train], return_counts=True)
    guessed = np.full(len(test), found[np.argmax(counts)])
    places = np.arange(len(target.classes), dtype=float)
    confusion = metrics.confusion_matrix(wanted[test], told, labels=places)
    return QuickModel(
        len(wanted),
        held_out,
        "F1",
        float(metrics.f1_score(wanted[test], told, average="weighted")),
        float(metrics.f1_score(wanted[test], guessed, average="weighted")),
        None,
        _importances(features, forest),
        tuple(one for one, _ in target.classes),
        tuple(tuple(map(int, row)) for row in confusion),
    )


def _importances(features: Sequence[str], forest: Any) -> tuple[tuple[str, float], ...]:
    found = zip(features, map(float, forest.feature_importances_), strict=True)
    return tuple(sorted(found, key=lambda one: (-one[1], one[0])))


def _known(wanted: NDArray[Any], most: int, seed: int) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Give the targets that are known, of at most so many rows, and which rows these are."""
    rows = np.flatnonzero(~np.isnan(wanted))
    if len(rows) > most:
        rows = np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))
    return wanted[rows], rows
