"""What a baseline knows that a metric can be told by before there are labels.

It is fitted once, on rows whose labels are known, and kept with the constraints as one text, so
that a live window needs neither those rows nor its own labels.
"""

from __future__ import annotations

import zlib
from binascii import Error as Base64Error
from binascii import a2b_base64, b2a_base64
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec
import numpy as np

from clary.analysis.boosting import Trees, boost, log_odds
from clary.analysis.calibration import calibrate, read_calibration
from clary.analysis.estimates import Estimates, estimate_binary
from clary.analysis.estimates_multiclass import (
    MOST_CLASSES,
    Classes,
    estimate_multiclass,
    fit_classes,
)
from clary.analysis.feature_matrix import Encoder, fit_encoder
from clary.analysis.loss_estimates import Losses, estimate_losses, fit_losses
from clary.analysis.outcomes import class_names, numbers, texts, truths, vector
from clary.analysis.quality import KINDS, Kind
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from clary.analysis.outcomes import Outcomes
    from clary.analysis.quality import Problem

FEWEST_ROWS: Final = 200
"""Fewer say too little for an estimate."""
_MOST_BYTES: Final = 32 << 20
_SEED: Final = 20260103

Columns: TypeAlias = "Mapping[str, Sequence[Any]]"


class Estimator(msgspec.Struct, frozen=True):
    """What was learned of a model where its labels were known.

    Parameters
    ----------
    kind
        Of the problem.
    encoder
        The inputs that it looks at, and how they become numbers.
    calibration
        Of a binary classifier's scores.
    trees
        What its inputs say about the truth beyond its scores.
    losses
        Of a regression: what its inputs say about its errors.
    classes
        Of a classifier of many classes; its inputs are not looked at.
    """

    kind: Kind
    encoder: Encoder
    calibration: dict[str, Any] | None = None
    trees: Trees | None = None
    losses: Losses | None = None
    classes: Classes | None = None

    def to_text(self) -> str:
        """Write it as one line of base64."""
        return b2a_base64(zlib.compress(msgspec.msgpack.encode(self)), newline=False).decode()

    def estimate(self, outcomes: Outcomes, columns: Columns, threshold: float) -> Estimates:
        """Estimate the metrics of answers without labels.

        Parameters
        ----------
        outcomes
            Its labels are not looked at.
        columns
            The inputs by name, with a value a row; those that ``encoder`` names.
        threshold
            See ``outcomes.measure``.
        """
        if self.losses is not None:
            return _regression(self, self.losses, outcomes, columns)
        if self.classes is not None:
            return _multiclass(self.classes, outcomes)
        return _binary(self, outcomes, columns, threshold)


def fit_estimator(problem: Problem, outcomes: Outcomes, columns: Columns) -> Estimator | None:
    """Learn from a baseline; None where there is too little to learn from.

    Parameters
    ----------
    outcomes
        Labels and answers of the baseline.
    columns
        The model's inputs by name, with a value a row; perhaps none.
    """
    generator = np.random.default_rng(_SEED)
    if problem == "Regression":
        return _fit_regression(outcomes, columns, generator)
    if problem == "BinaryClassification":
        return _fit_binary(outcomes, columns, generator)
    return _fit_multiclass(outcomes)


def read_estimator(text: Any, *, field: str) -> Estimator:
    """Read what ``Estimator.to_text`` wrote.

    Raises
    ------
    InvalidInput
        It is not, or too large; names ``field``.
    """
    problem = InvalidInput(field, "is no estimator", legal="what a baseline's job wrote here")
    try:
        packed = a2b_base64(text, strict_mode=True)
        opened = zlib.decompressobj()
        data = opened.decompress(packed, _MOST_BYTES)
        found = msgspec.msgpack.decode(data, type=Estimator)
    except (TypeError, Base64Error, zlib.error, msgspec.DecodeError):
        raise problem from None
    if len(found.encoder.names) != len(found.encoder.categories) or not _is_whole(found):
        raise problem
    return found


def _is_whole(found: Estimator) -> bool:
    losses, classes = found.losses, found.classes
    if classes is not None:
        return len(classes.names) == len(classes.calibrations) > 1
    every = (losses.absolute.trees, losses.squared.trees) if losses else (found.trees,)
    width = len(found.encoder.names) + 1
    for trees in every:
        if trees is None or len(trees.edges) != width:
            return False
        trees.check()
    both = (losses.absolute, losses.squared) if losses else ()
    is_legal = all(one.held_out > 0 and one.deviation >= 0 for one in both)
    return is_legal and (losses is None) == (found.calibration is not None)


def _fit_regression(
    outcomes: Outcomes, columns: Columns, generator: np.random.Generator
) -> Estimator | None:
    labels, answers = numbers(outcomes.labels), _told(outcomes.predictions)
    usable = np.isfinite(labels) & np.isfinite(answers)
    if np.count_nonzero(usable) < FEWEST_ROWS:
        return None
    errors = np.where(usable, answers - labels, 0.0)
    encoder = fit_encoder(columns, np.abs(errors))
    rows = _rows(encoder, columns, answers)
    losses = fit_losses(rows[usable], errors[usable], generator)
    return Estimator(KINDS["Regression"], encoder, losses=losses)


def _fit_binary(
    outcomes: Outcomes, columns: Columns, generator: np.random.Generator
) -> Estimator | None:
    if outcomes.probabilities is None:
        return None
    labels, scores = truths(outcomes.labels), numbers(outcomes.probabilities)
    usable = (labels >= 0) & np.isfinite(scores)
    if np.count_nonzero(usable) < FEWEST_ROWS:
        return None
    encoder = fit_encoder(columns, np.maximum(labels, 0).astype(np.float64))
    rows = _rows(encoder, columns, scores)[usable]
    positives = labels[usable] == 1
    calibration = calibrate(scores[usable], positives)
    trees = boost(
        rows,
        positives.astype(np.float64),
        loss="logistic",
        generator=generator,
        start=log_odds(calibration.probabilities(scores[usable])),
    )
    return Estimator(KINDS["BinaryClassification"], encoder, calibration.to_document(), trees)


def _fit_multiclass(outcomes: Outcomes) -> Estimator | None:
    """Learn what probabilities say of all classes: those of the labels, in order."""
    if outcomes.probabilities is None:
        return None
    vectors, usable = _vectors(outcomes.probabilities)
    labels = texts(outcomes.labels)
    names = class_names(labels)
    rows = [at for at, label in enumerate(labels) if usable[at] and label is not None]
    is_known = len(rows) >= FEWEST_ROWS and 1 < len(names) <= MOST_CLASSES
    if not is_known or vectors.shape[1] != len(names):
        return None
    truth = [labels[at] or "" for at in rows]
    classes = fit_classes(names, vectors[rows], truth)
    return Estimator(KINDS["MulticlassClassification"], Encoder((), ()), classes=classes)


def _multiclass(known: Classes, outcomes: Outcomes) -> Estimates:
    if outcomes.probabilities is None:
        return Estimates(0, {})
    vectors, usable = _vectors(outcomes.probabilities)
    places = np.argmax(vectors, axis=1) if vectors.size else np.zeros(0, dtype=np.intp)
    if outcomes.predictions is not None:
        named = {name: place for place, name in enumerate(known.names)}
        said = [named.get(name or "", -1) for name in texts(outcomes.predictions)]
        places = np.array(said, dtype=np.intp)
        usable &= places >= 0
    if not usable.any():
        return Estimates(0, {})
    return estimate_multiclass(known, vectors[usable], places[usable])


def _vectors(column: Sequence[Any]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the probabilities of all classes, and which rows have as many as most have."""
    found = [vector(one) for one in column]
    width = max((len(one) for one in found), default=0)
    usable = np.array([len(one) == width > 0 for one in found], dtype=np.bool_)
    rows = np.zeros((len(found), width))
    for at in np.flatnonzero(usable):
        rows[at] = found[at]
    return rows, usable


def _has_inputs(rows: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Say which rows have any input beside the answer; of others trees can say nothing."""
    return np.asarray(np.isfinite(rows[:, :-1]).any(axis=1), dtype=np.bool_)


def _told(column: Sequence[Any] | None) -> NDArray[np.float64]:
    return numbers(column if column is not None else [])


def _rows(encoder: Encoder, columns: Columns, answers: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.column_stack((encoder.matrix(columns, len(answers)), answers))


def _regression(
    known: Estimator, losses: Losses, outcomes: Outcomes, columns: Columns
) -> Estimates:
    answers = _told(outcomes.predictions)
    usable = np.isfinite(answers)
    if not usable.any():
        return Estimates(0, {})
    rows = _rows(known.encoder, columns, answers)[usable]
    seen = _has_inputs(rows)
    told = estimate_losses(rows, losses, seen)
    return Estimates(len(rows), told, int(np.count_nonzero(seen)))


def _binary(known: Estimator, outcomes: Outcomes, columns: Columns, threshold: float) -> Estimates:
    scores = _told(outcomes.probabilities)
    usable = np.isfinite(scores)
    predictions = scores > threshold
    if outcomes.predictions is not None and len(scores):
        said = truths(outcomes.predictions)
        usable &= said >= 0
        predictions = said == 1
    if not usable.any() or known.trees is None:
        return Estimates(0, {})
    calibration = read_calibration(known.calibration, field="calibration")
    rows = _rows(known.encoder, columns, scores)[usable]
    seen = _has_inputs(rows)
    shifts = np.where(seen, known.trees.values(rows), 0.0)
    found = estimate_binary(scores[usable], predictions[usable], calibration, shifts)
    return replace(found, rows_with_inputs=int(np.count_nonzero(seen)))
