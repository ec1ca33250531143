"""What features contribute to predictions: by the model's own structure where it has one.

Trees tell their contributions (XGBoost's ``pred_contribs``, TreeSHAP, in units of the margin), a
linear model has a closed form, and any other is asked for predictions (``shapley``).
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from clary.analysis.shapley import kernel_shap
from clary.kernel.errors import InvalidInput, NotSupported

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from clary.analysis.shapley import Floats, Predict, Rows

WAYS = ("mean_abs", "median", "mean_sq")


@dataclass(frozen=True, slots=True)
class Attributions:
    """What each feature contributed to each output of each row.

    Parameters
    ----------
    features
        Their names.
    values
        Shape (rows, outputs, features), in the unit of ``scale``.
    expected
        What is predicted where nothing is known, shape (outputs,).
    method
        ``tree``, ``linear`` or ``kernel``.
    scale
        ``output``: as predicted; ``margin``: before the link function; ``logit``: log-odds.
    """

    features: tuple[str, ...]
    values: Floats
    expected: Floats
    method: str
    scale: str = "output"

    def summary(self, way: str = "mean_abs") -> Floats:
        """Sum up over rows; returns shape (outputs, features).

        Raises
        ------
        InvalidInput
            The way is none of ``mean_abs``, ``median`` and ``mean_sq``.
        """
        if way == "mean_abs":
            return np.asarray(np.abs(self.values).mean(0), np.float64)
        if way == "median":
            return np.asarray(np.median(self.values, 0), np.float64)
        if way == "mean_sq":
            return np.asarray((self.values**2).mean(0), np.float64)
        raise InvalidInput("agg_method", f"{way!r} is unknown", legal=", ".join(WAYS))

    def document(self, labels: Sequence[str], way: str = "mean_abs") -> dict[str, Any]:
        """Write the member ``kernel_shap`` of analysis.json, by label."""
        summary = self.summary(way)
        return {
            label: {
                "global_shap_values": dict(zip(self.features, map(float, row), strict=True)),
                "expected_value": float(expected),
            }
            for label, row, expected in zip(labels, summary, self.expected, strict=True)
        }

    def write(self, file: Path, labels: Sequence[str]) -> None:
        """Write every row's values as CSV: a column ``<feature>_<label>`` each."""
        with file.open("w", encoding="utf-8", newline="") as target:
            writer = csv.writer(target)
            writer.writerow([f"{one}_{label}" for label in labels for one in self.features])
            writer.writerows(self.values.reshape(len(self.values), -1).tolist())


def of_trees(booster: Any, rows: Floats, features: Sequence[str]) -> Attributions:
    """Take an XGBoost booster's own contributions; ``nan`` is a missing value.

    Raises
    ------
    InvalidInput
        The booster wants another number of features.
    """
    import xgboost  # noqa: PLC0415 - large, and only trees need it

    if booster.num_features() != rows.shape[1]:
        problem = f"{rows.shape[1]} columns, and the model has {booster.num_features()} features"
        raise InvalidInput("dataset", problem)
    named = booster.feature_names
    data = xgboost.DMatrix(rows, feature_names=named, missing=np.nan)
    contributions = booster.predict(data, pred_contribs=True, strict_shape=True)
    values = np.asarray(contributions, np.float64)
    return Attributions(
        tuple(features), values[:, :, :-1], values[:, :, -1].mean(0), "tree", "margin"
    )


def of_linear(
    weights: Floats, intercept: Floats, rows: Floats, background: Floats, features: Sequence[str]
) -> Attributions:
    """Attribute a linear model's margins: each weight times the distance to the background's mean.

    Parameters
    ----------
    weights, intercept
        Shapes (outputs, features) and (outputs,).

    Examples
    --------
    >>> one = np.ones((1, 2))
    >>> of_linear(2 * one, np.zeros(1), 3 * one, one, "ab").values.tolist()
    [[[4.0, 4.0]]]
    """
    mean = background.mean(0)
    values = weights[None] * (rows - mean)[:, None]
    return Attributions(tuple(features), values, intercept + weights @ mean, "linear", "margin")


def of_predictions(
    predict: Predict,
    rows: Rows,
    background: Rows,
    features: Sequence[str],
    **how: Any,
) -> Attributions:
    """Attribute what ``predict`` answers; ``how`` is handed to ``kernel_shap``. InvalidInput."""
    values, base = kernel_shap(predict, rows, background, **how)
    players = how.get("players")
    named = features if players is None else [features[one] for one in players]
    expected = base.mean(0) if len(base) else np.zeros(values.shape[1])
    return Attributions(tuple(named), values, expected, "kernel")


def explain(
    model: Any, rows: Rows, background: Rows, features: Sequence[str], **how: Any
) -> Attributions:
    """Attribute a model's predictions in the way that suits it.

    Parameters
    ----------
    model
        An XGBoost booster or estimator, a linear estimator of scikit-learn (``coef_`` and
        ``intercept_``), or a function of rows, shape (n, features), to (n,) or (n, outputs).

    Raises
    ------
    InvalidInput
        The rows do not fit it.
    NotSupported
        It is none of these.
    """
    booster = model.get_booster() if hasattr(model, "get_booster") else model
    if hasattr(booster, "num_boosted_rounds"):
        return of_trees(booster, np.asarray(rows, np.float64), features)
    if hasattr(model, "coef_") and hasattr(model, "intercept_"):
        weights = np.atleast_2d(np.asarray(model.coef_, np.float64))
        intercept = np.atleast_1d(np.asarray(model.intercept_, np.float64))
        given, mean = np.asarray(rows, np.float64), np.asarray(background, np.float64)
        return of_linear(weights, intercept, given, mean, features)
    ask = getattr(model, "predict_proba", None) or getattr(model, "predict", None)
    ask = ask or (model if callable(model) else None)
    if ask is None:
        raise NotSupported(f"a {type(model).__name__} gives no predictions")
    return of_predictions(lambda x: _columns(ask(x)), rows, background, features, **how)


def _columns(answers: Any) -> Floats:
    found = np.asarray(answers, np.float64)
    return found.reshape(len(found), -1)


def logit(scores: Floats) -> Floats:
    """Turn probabilities into log-odds; 0 and 1 are moved off their infinities by 1e-7."""
    clipped = np.clip(scores, 1e-7, 1 - 1e-7)
    return np.asarray(np.log(clipped / (1 - clipped)), np.float64)


def order(values: Mapping[str, float]) -> list[str]:
    """Rank features by the size of their attribution, the largest first; ties by name."""
    return sorted(values, key=lambda one: (-abs(values[one]), one))
