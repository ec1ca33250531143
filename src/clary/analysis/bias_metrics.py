"""The metrics of bias that follow from counts, each for many cubes at once.

In their formulas ``a`` is who is not sensitive and ``d`` who is, as in the names that the metrics
got in the literature: advantaged and disadvantaged. 0/0 is 0 here, and x/0 infinite.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from clary.analysis.bias_cube import Cube

    Numbers = NDArray[np.float64]

Stage = Literal["pre_training", "post_training"]


@dataclass(frozen=True)
class Side:
    """The counts of who is sensitive, or of who is not.

    Parameters
    ----------
    counts
        Shape (…, 2, 2, groups): label, prediction, group.
    """

    counts: Numbers

    @cached_property
    def outcomes(self) -> Numbers:
        """Counts by label and prediction, shape (…, 2, 2)."""
        return np.asarray(self.counts.sum(axis=-1))

    @cached_property
    def rows(self) -> Numbers:
        """How many there are."""
        return np.asarray(self.outcomes.sum(axis=(-1, -2)))

    @cached_property
    def labels(self) -> Numbers:
        """Counts of negative and positive labels, shape (…, 2)."""
        return np.asarray(self.outcomes.sum(axis=-1))

    @cached_property
    def predictions(self) -> Numbers:
        """Counts of negative and positive predictions, shape (…, 2)."""
        return np.asarray(self.outcomes.sum(axis=-2))

    @property
    def true_negatives(self) -> Numbers:
        """Rightly rejected."""
        return self.outcomes[..., 0, 0]

    @property
    def false_positives(self) -> Numbers:
        """Wrongly accepted."""
        return self.outcomes[..., 0, 1]

    @property
    def false_negatives(self) -> Numbers:
        """Wrongly rejected."""
        return self.outcomes[..., 1, 0]

    @property
    def true_positives(self) -> Numbers:
        """Rightly accepted."""
        return self.outcomes[..., 1, 1]


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric.

    Parameters
    ----------
    compute
        From the counts of ``a`` and of ``d``; NaN where it is undefined.
    ideal
        Its value where there is no bias.
    undefined
        Why it may have no value.
    is_distance
        It is never negative, however small the difference: chance alone makes it positive.
    """

    name: str
    description: str
    stage: Stage
    compute: Callable[[Side, Side], Numbers]
    ideal: float = 0.0
    undefined: str = ""
    needs_groups: bool = False
    is_distance: bool = False


def sides(cube: Cube) -> tuple[Side, Side]:
    """Return who is not sensitive, and who is."""
    return Side(cube.counts[..., 0, :, :, :]), Side(cube.counts[..., 1, :, :, :])


def divide(part: Numbers, whole: Numbers) -> Numbers:
    """Divide where 0/0 is 0.

    Examples
    --------
    >>> divide(np.array([0.0, 2.0, -1.0, 1.0]), np.array([0.0, 0.0, 0.0, 4.0])).tolist()
    [0.0, inf, -inf, 0.25]
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where((part == 0) & (whole == 0), 0.0, part / whole)


def _minus(one: Numbers, other: Numbers) -> Numbers:
    """Subtract where infinite ones are equal."""
    with np.errstate(invalid="ignore"):
        return np.where(one == other, 0.0, one - other)


def _imbalance(a: Side, d: Side) -> Numbers:
    return divide(a.rows - d.rows, a.rows + d.rows)


def _label_gap(a: Side, d: Side) -> Numbers:
    return divide(a.labels[..., 1], a.rows) - divide(d.labels[..., 1], d.rows)


def _shares(side: Side) -> Numbers:
    return divide(side.labels, side.rows[..., None])


def _divergence(shares: Numbers, against: Numbers) -> Numbers:
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = shares * np.log(shares / against)
    return np.asarray(np.where(shares == 0, 0.0, terms).sum(axis=-1))


def _kullback_leibler(a: Side, d: Side) -> Numbers:
    return _divergence(_shares(a), _shares(d))


def _jensen_shannon(a: Side, d: Side) -> Numbers:
    one, other = _shares(a), _shares(d)
    middle = 0.5 * (one + other)
    return 0.5 * (_divergence(one, middle) + _divergence(other, middle))


def _distance(order: float) -> Callable[[Side, Side], Numbers]:
    def norm(a: Side, d: Side) -> Numbers:
        gaps = np.abs(_shares(a) - _shares(d))
        return np.asarray(np.linalg.norm(gaps, order, axis=-1))

    return norm


def _total_variation(a: Side, d: Side) -> Numbers:
    return 0.5 * _distance(1)(a, d)


def _disparity(axis: int) -> Callable[[Side, Side], Numbers]:
    """Compare, in each group, who is rejected with who is accepted; by labels or predictions."""

    def disparity(a: Side, d: Side) -> Numbers:
        of_d = d.counts.sum(axis=axis)
        of_all = of_d + a.counts.sum(axis=axis)
        shares = divide(of_d, of_all)
        weighed = of_all.sum(axis=-2) * (shares[..., 0, :] - shares[..., 1, :])
        value = divide(weighed.sum(axis=-1), of_all.sum(axis=(-1, -2)))
        one_sided = (of_all.sum(axis=-1) == 0).any(axis=-1)
        return np.where(one_sided, np.nan, value)

    return disparity


def _accuracy_gap(a: Side, d: Side) -> Numbers:
    return _accuracy(a) - _accuracy(d)


def _accuracy(side: Side) -> Numbers:
    return divide(side.true_positives + side.true_negatives, side.rows)


def _acceptance_gap(a: Side, d: Side) -> Numbers:
    return divide(a.true_positives, a.predictions[..., 1]) - divide(
        d.true_positives, d.predictions[..., 1]
    )


def _rejection_gap(a: Side, d: Side) -> Numbers:
    return divide(d.true_negatives, d.predictions[..., 0]) - divide(
        a.true_negatives, a.predictions[..., 0]
    )


def _conditional_acceptance(a: Side, d: Side) -> Numbers:
    return _minus(
        divide(a.labels[..., 1], a.predictions[..., 1]),
        divide(d.labels[..., 1], d.predictions[..., 1]),
    )


def _conditional_rejection(a: Side, d: Side) -> Numbers:
    return _minus(
        divide(d.labels[..., 0], d.predictions[..., 0]),
        divide(a.labels[..., 0], a.predictions[..., 0]),
    )


def _impact(a: Side, d: Side) -> Numbers:
    return divide(
        divide(d.predictions[..., 1], d.rows),
        divide(a.predictions[..., 1], a.rows),
    )


def _prediction_gap(a: Side, d: Side) -> Numbers:
    return divide(a.predictions[..., 1], a.rows) - divide(d.predictions[..., 1], d.rows)


def _entropy(a: Side, d: Side) -> Numbers:
    rows = a.rows + d.rows
    too_good = a.false_positives + d.false_positives
    too_bad = a.false_negatives + d.false_negatives
    mean = (rows + too_good - too_bad) / rows
    squares = (rows - too_good - too_bad) + 4.0 * too_good
    with np.errstate(divide="ignore", invalid="ignore"):
        value = (squares / mean**2 - rows) / (2.0 * rows)
    return np.where(mean == 0, np.nan, value)


def _recall_gap(a: Side, d: Side) -> Numbers:
    return divide(a.true_positives, a.labels[..., 1]) - divide(d.true_positives, d.labels[..., 1])


def _specificity_gap(a: Side, d: Side) -> Numbers:
    return divide(d.true_negatives, d.labels[..., 0]) - divide(a.true_negatives, a.labels[..., 0])


def _treatment(a: Side, d: Side) -> Numbers:
    return _minus(
        divide(d.false_negatives, d.false_positives),
        divide(a.false_negatives, a.false_positives),
    )


FLIP_TEST = "FT"
"""The one that counts cannot give: it compares with neighbours."""
_ONE_SIDED = "all {} are positive, or all are negative"
_BEFORE: dict[str, tuple[str, Callable[[Side, Side], Numbers]]] = {
    "CI": ("Class Imbalance", _imbalance),
    "DPL": ("Difference in Positive Proportions in Labels", _label_gap),
    "JS": ("Jensen-Shannon Divergence", _jensen_shannon),
    "KL": ("Kullback-Liebler Divergence", _kullback_leibler),
    "KS": ("Kolmogorov-Smirnov Distance", _distance(np.inf)),
    "LP": ("L-p Norm", _distance(2)),
    "TVD": ("Total Variation Distance", _total_variation),
}
_DISTANCES = {"JS", "KL", "KS", "LP", "TVD"}
_AFTER: dict[str, tuple[str, Callable[[Side, Side], Numbers]]] = {
    "AD": ("Accuracy Difference", _accuracy_gap),
    "DAR": ("Difference in Acceptance Rates", _acceptance_gap),
    "DCA": ("Difference in Conditional Acceptance", _conditional_acceptance),
    "DCR": ("Difference in Conditional Rejection", _conditional_rejection),
    "DPPL": ("Difference in Positive Proportions in Predicted Labels", _prediction_gap),
    "DRR": ("Difference in Rejection Rates", _rejection_gap),
    "RD": ("Recall Difference", _recall_gap),
    "SD": ("Specificity Difference", _specificity_gap),
    "TE": ("Treatment Equality", _treatment),
}


def _metrics() -> Mapping[str, Metric]:
    made = [
        Metric(name, f"{title} ({name})", "pre_training", compute, is_distance=name in _DISTANCES)
        for name, (title, compute) in _BEFORE.items()
    ]
    made += [
        Metric(name, f"{title} ({name})", "post_training", compute)
        for name, (title, compute) in _AFTER.items()
    ]
    made += [
        Metric(
            "CDDL",
            "Conditional Demographic Disparity in Labels (CDDL)",
            "pre_training",
            _disparity(-2),
            undefined=_ONE_SIDED.format("labels"),
            needs_groups=True,
        ),
        Metric(
            "CDDPL",
            "Conditional Demographic Disparity in Predicted Labels (CDDPL)",
            "post_training",
            _disparity(-3),
            undefined=_ONE_SIDED.format("predictions"),
            needs_groups=True,
        ),
        Metric("DI", "Disparate Impact (DI)", "post_training", _impact, ideal=1.0),
        Metric(
            "GE",
            "Generalized Entropy (GE)",
            "post_training",
            _entropy,
            undefined="every row is wrongly rejected",
        ),
    ]
    return {one.name: one for one in sorted(made, key=lambda one: one.name)}


METRICS = _metrics()
"""Every metric of counts by name, in the order of reports."""
FLIP_TEST_DESCRIPTION = "Flip Test (FT)"


def names(stage: Stage) -> list[str]:
    """Name a stage's metrics, sorted.

    Examples
    --------
    >>> names("pre_training")
    ['CDDL', 'CI', 'DPL', 'JS', 'KL', 'KS', 'LP', 'TVD']
    """
    found = [one.name for one in METRICS.values() if one.stage == stage]
    return sorted([*found, FLIP_TEST] if stage == "post_training" else found)


def ideal(name: str) -> float:
    """Return a metric's value where there is no bias: 1 for DI, else 0."""
    return METRICS[name].ideal if name in METRICS else 0.0
