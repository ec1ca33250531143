"""Whether features matter as they did: NDCG as Model Monitor has it, and a permutation test.

NDCG looks at the order alone: where many features matter about equally, no order whatever brings
it below its threshold. The test compares the sizes, row by row, with what chance would do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from clary.analysis.attribution import order
from clary.analysis.violations import Violation
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clary.analysis.shapley import Floats

CHECK = "feature_attribution_drift_check"
THRESHOLD = 0.90
LEVEL = 0.01
LEAST_SHIFT = 0.1
"""A share of all attribution that has to move before chance being ruled out is a violation."""
_PERMUTATIONS = 999
_SAMPLE = 500
"""How many rows a baseline keeps for the test."""


def ndcg(baseline: Mapping[str, float], live: Mapping[str, float]) -> float:
    """Compare the live order of features with the baseline's, by the baseline's attributions.

    NDCG = Σ a(f'ᵢ)/log₂(i+1) ÷ Σ a(fᵢ)/log₂(i+1), with f and f' ordered by baseline and live
    attribution and a the baseline's; 1 means the same order. Source: the documentation of feature
    attribution drift in Amazon SageMaker Clarify.

    Raises
    ------
    InvalidInput
        They name different features.

    Examples
    --------
    >>> ndcg({"a": 0.7, "b": 0.2, "c": 0.1}, {"a": 0.1, "b": 0.5, "c": 0.4}) < 0.9
    True
    """
    if baseline.keys() != live.keys():
        odd = ", ".join(sorted(baseline.keys() ^ live.keys()))
        raise InvalidInput("baseline_constraints", f"is of other features: {odd}")
    discounts = 1 / np.log2(np.arange(2, len(baseline) + 2))
    gained = sum(abs(baseline[one]) * by for one, by in zip(order(live), discounts, strict=True))
    best = sum(abs(baseline[one]) * by for one, by in zip(order(baseline), discounts, strict=True))
    return float(gained / best) if best else 1.0


@dataclass(frozen=True, slots=True)
class Shift:
    """How far the shares of attribution moved, and how likely chance alone moves them as far.

    Parameters
    ----------
    distance
        Half the sum of the shares' absolute differences, 0 to 1.
    p_value
        Of the permutation test.
    features
        By name, the live share minus the baseline's.
    """

    distance: float
    p_value: float
    features: Mapping[str, float]


def sample(values: Floats, seed: int = 0) -> list[list[float]]:
    """Keep the sizes of some rows' attributions, shape (rows, features), to compare with."""
    chosen = np.arange(len(values))
    if len(values) > _SAMPLE:
        generator = np.random.default_rng(seed)
        chosen = np.sort(generator.choice(len(values), _SAMPLE, replace=False))
    return [[float(f"{one:.6g}") for one in row] for row in np.abs(values[chosen])]


def shift(baseline: Floats, live: Floats, features: tuple[str, ...], *, seed: int = 0) -> Shift:
    """Test whether live rows' attributions are of the baseline's distribution.

    Rows of both sides, shape (rows, features), are exchangeable where nothing has changed: the
    distance is compared with that of 999 random divisions of all rows.

    Raises
    ------
    InvalidInput
        A side has no row, or they have different features.
    """
    if not len(baseline) or not len(live) or baseline.shape[1:] != live.shape[1:]:
        shapes = f"{baseline.shape} and {live.shape}"
        raise InvalidInput("attributions", f"of shapes {shapes} cannot be compared")
    every = np.abs(np.concatenate([baseline, live]))
    total, count = every.sum(0), len(live)
    generator = np.random.default_rng(seed)

    def apart(live_sum: Floats) -> Floats:
        moved = np.abs(_shares(live_sum) - _shares(total - live_sum)).sum(-1)
        return np.asarray(0.5 * moved, np.float64)

    drawn = np.stack(
        [every[generator.permutation(len(every))[:count]].sum(0) for _ in range(_PERMUTATIONS)]
    )
    live_sum = every[len(baseline) :].sum(0)
    observed = float(apart(live_sum))
    at_least = int((apart(drawn) >= observed * (1 - 1e-12)).sum())
    moved = _shares(live_sum) - _shares(total - live_sum)
    named = dict(zip(features, map(float, moved), strict=True))
    return Shift(observed, (1 + at_least) / (1 + _PERMUTATIONS), named)


def _shares(sums: Floats) -> Floats:
    whole = sums.sum(-1, keepdims=True)
    shares = np.divide(sums, whole, out=np.zeros_like(sums), where=whole > 0)
    return np.asarray(shares, np.float64)


def check(
    baseline: Mapping[str, float],
    live: Mapping[str, float],
    found: Shift | None,
    *,
    threshold: float = THRESHOLD,
) -> tuple[Violation, ...]:
    """Find the drift of one label: by order, and by size where chance is ruled out.

    Raises
    ------
    InvalidInput
        They name different features.
    """
    score = ndcg(baseline, live)
    notes: dict[str, Any] = {"ndcg": score}
    if found is not None:
        moved = sorted(found.features.items(), key=lambda one: -abs(one[1]))[:5]
        notes |= {"distance": found.distance, "p_value": found.p_value, "moved": dict(moved)}
    if score < threshold:
        said = f"Feature attribution drift {score} exceeds threshold {threshold}"
    elif found is not None and found.p_value <= LEVEL and found.distance > LEAST_SHIFT:
        said = (
            f"Feature attributions moved by {found.distance:.4f} of their sum, more than "
            f"{LEAST_SHIFT}; p-value {found.p_value:.4f}"
        )
    else:
        return ()
    return (Violation(constraint_check_type=CHECK, description=said, clary=notes),)
