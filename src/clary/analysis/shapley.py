"""Shapley values of a model that is known by its predictions alone: KernelSHAP.

After Lundberg and Lee, "A Unified Approach to Interpreting Model Predictions" (2017): a feature
that does not take part has the value of a background row, and the values are the solution of a
weighted least-squares problem over coalitions. With every coalition they are exact; else the
smallest and largest ones are taken first, and of the rest a sample, each with its complement.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from math import comb
from typing import TYPE_CHECKING, Any

import numpy as np

from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Masks = NDArray[np.bool_]
    Rows = NDArray[Any]
    Predict = Callable[[Rows], Floats]

MOST_EXACT = 11
"""So many features have few enough coalitions for all of them."""
_MOST_CELLS = 2_000_000
"""Values of rows that are put together at once."""


@dataclass(frozen=True, slots=True)
class Design:
    """Which coalitions are asked for, and what makes values of the answers.

    Parameters
    ----------
    masks
        Shape (coalitions, features): who takes part; neither all nor none.
    solve
        Shape (features, coalitions): the values, up to what is missing to their sum, are this
        times what coalitions are worth beyond none.
    share
        Shape (features,): how what is missing to the sum is shared out; sums to 1.
    """

    masks: Masks
    solve: Floats
    share: Floats


def samples_for(features: int) -> int:
    """Say how many coalitions are asked for, unless somebody says otherwise."""
    return int(min(2 * features + 2048, 2.0 ** min(features, 60) - 2))


@lru_cache(maxsize=8)
def design(features: int, samples: int, seed: int) -> Design:
    """Choose coalitions, the same ones for every row.

    Raises
    ------
    InvalidInput
        There are too few samples to tell the features apart.
    """
    if features == 1:
        return Design(np.zeros((0, 1), bool), np.zeros((1, 0)), np.ones(1))
    if samples < min(features, 2**features - 2):
        legal = f"{features} or more for {features} features"
        raise InvalidInput("num_samples", f"{samples} are too few", legal=legal)
    masks, weights = _coalitions(features, samples, np.random.default_rng(seed))
    weighted = masks.T * weights
    inverse = np.linalg.pinv(weighted @ masks)
    ones = inverse.sum(1)
    plain = inverse @ weighted
    share = ones / ones.sum()
    return Design(masks.astype(bool), plain - np.outer(share, plain.sum(0)), share)


def _coalitions(
    features: int, samples: int, generator: np.random.Generator
) -> tuple[Floats, Floats]:
    """Give coalitions and their weights: whole sizes from both ends, then pairs drawn by weight."""
    sizes = np.arange(1, features)
    kernel = (features - 1) / (sizes * (features - sizes))
    kernel = kernel / kernel.sum()
    masks: list[Floats] = []
    weights: list[float] = []
    left, size = samples, 1
    while size <= features // 2:
        both = 1 if 2 * size == features else 2
        count = comb(features, size) * both
        if count > left:
            break
        for chosen in combinations(range(features), size):
            mask = np.zeros(features)
            mask[list(chosen)] = 1.0
            masks += [mask, 1.0 - mask][:both]
        weights += [kernel[size - 1] * both / count] * count
        left, size = left - count, size + 1
    open_sizes = sizes[size - 1 : features - size]
    if len(open_sizes) and left >= 2:
        shares = kernel[open_sizes - 1]
        drawn: dict[bytes, int] = {}
        for chosen_size in generator.choice(open_sizes, left // 2, p=shares / shares.sum()):
            mask = np.zeros(features)
            mask[generator.permutation(features)[:chosen_size]] = 1.0
            for one in (mask, 1.0 - mask):
                drawn[one.tobytes()] = drawn.get(one.tobytes(), 0) + 1
        masks += [np.frombuffer(one) for one in drawn]
        total = sum(drawn.values())
        weights += [shares.sum() * times / total for times in drawn.values()]
    return np.array(masks), np.array(weights)


def kernel_shap(
    predict: Predict,
    rows: Rows,
    background: Rows,
    *,
    samples: int | None = None,
    seed: int = 0,
    players: Sequence[int] | None = None,
) -> tuple[Floats, Floats]:
    """Attribute predictions to features.

    Parameters
    ----------
    predict
        Answers rows, shape (n, features), with shape (n, outputs).
    rows
        What is explained, shape (rows, features), of any type.
    background
        What features are when they take no part, shape (backgrounds, features); predictions are
        averaged over them.
    samples
        How many coalitions are asked for; None: all of up to 2^11, else 2 · features + 2048.
    players
        The places of the features to explain; the others stay as they are. None: all.

    Returns
    -------
    tuple
        The values, shape (rows, outputs, players), and each row's prediction without players,
        shape (rows, outputs): both sum up to the prediction.

    Raises
    ------
    InvalidInput
        There is no background, or too few samples.

    Examples
    --------
    >>> rows = np.array([[2.0, 3.0]])
    >>> values, base = kernel_shap(lambda x: x.prod(1, keepdims=True), rows, np.zeros((1, 2)))
    >>> values.tolist(), base.tolist()
    ([[[3.0, 3.0]]], [[0.0]])
    """
    if not len(background):
        raise InvalidInput("baseline", "has no row")
    taking = list(range(rows.shape[1])) if players is None else list(players)
    most = 2 ** len(taking) - 2 if len(taking) <= MOST_EXACT else samples_for(len(taking))
    chosen = design(len(taking), min(samples or most, 2 ** min(len(taking), 62) - 2), seed)
    every = np.zeros((len(chosen.masks) + 2, rows.shape[1]), bool)
    every[1] = True
    every[:, [one for one in range(rows.shape[1]) if one not in taking]] = True
    every[2:, taking] = chosen.masks
    step = max(1, _MOST_CELLS // max(1, every.size * len(background)))
    found = [
        _solved(predict, rows[start : start + step], background, (every, chosen))
        for start in range(0, len(rows), step)
    ]
    values, bases = zip(*found, strict=True) if found else ((), ())
    if not found:
        return np.zeros((0, 1, len(taking))), np.zeros((0, 1))
    return np.concatenate(values), np.concatenate(bases)


def _solved(
    predict: Predict, rows: Rows, background: Rows, asked: tuple[Masks, Design]
) -> tuple[Floats, Floats]:
    masks, chosen = asked
    mixed = np.where(masks[None, :, None, :], rows[:, None, None, :], background[None, None])
    answers = predict(mixed.reshape(-1, rows.shape[1]))
    worth = answers.reshape(len(rows), len(masks), len(background), -1).mean(2)
    base, full, others = worth[:, 0], worth[:, 1], worth[:, 2:]
    values = np.einsum("fk,nko->nof", chosen.solve, others - base[:, None])
    return values + (full - base)[:, :, None] * chosen.share, base
