"""What a model said beside what was true, row by row, whatever either was written as."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from clary.analysis.quality_binary import binary
from clary.analysis.quality_multiclass import multiclass
from clary.analysis.quality_regression import regression
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from clary.analysis.quality import Problem, Quality

_MOST_INTEGER: Final = 2**63
_TRUTHS: Final = {"0": 0, "false": 0, "1": 1, "true": 1}


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Labels and answers of the same rows.

    Parameters
    ----------
    labels
        What was true.
    predictions
        What the model said; None where only probabilities are known.
    probabilities
        How sure it was of a positive row, or of each class; None where it did not say.
    """

    labels: Sequence[Any]
    predictions: Sequence[Any] | None = None
    probabilities: Sequence[Any] | None = None


def measure(
    problem: Problem, outcomes: Outcomes, *, threshold: float = 0.5, evaluated_at: str = ""
) -> Quality:
    """Measure a model; rows whose label or answer is no legal value are left out and counted.

    Parameters
    ----------
    threshold
        Where there are only probabilities, a row above it is called positive.

    Raises
    ------
    InvalidInput
        There are rows and none of them can be used, or what the problem needs is not there.
    """
    measures = {
        "Regression": _regression,
        "BinaryClassification": _binary,
        "MulticlassClassification": _multiclass,
    }
    quality = measures[problem](outcomes, threshold)
    left_out = len(outcomes.labels) - (quality.rows or 0)
    extra = {**quality.extra, "rows_left_out": left_out} if left_out else quality.extra
    return replace(quality, evaluated_at=evaluated_at, extra=extra)


def _regression(outcomes: Outcomes, _: float) -> Quality:
    labels = numbers(outcomes.labels)
    predictions = numbers(_needed(outcomes.predictions, "inference_attribute"))
    usable = np.isfinite(labels) & np.isfinite(predictions)
    _refuse_none(usable, outcomes, "a finite number")
    return regression(labels[usable], predictions[usable])


def _binary(outcomes: Outcomes, threshold: float) -> Quality:
    labels = truths(outcomes.labels)
    usable = labels >= 0
    scores = None
    if outcomes.probabilities is not None:
        scores = numbers(outcomes.probabilities)
        usable &= np.isfinite(scores)
    if outcomes.predictions is not None:
        predictions = truths(outcomes.predictions)
        usable &= predictions >= 0
    elif scores is not None:
        predictions = (scores > threshold).astype(np.int8)
    else:
        raise _missing("inference_attribute or probability_attribute")
    _refuse_none(usable, outcomes, "0, 1, false or true, and probabilities numbers")
    kept = None if scores is None else scores[usable]
    return binary(labels[usable] == 1, predictions[usable] == 1, kept)


def _multiclass(outcomes: Outcomes, _: float) -> Quality:
    labels, predictions = texts(outcomes.labels), _classes(outcomes)
    usable = np.array([one is not None for one in labels], dtype=bool)
    usable &= np.array([one is not None for one in predictions], dtype=bool)
    _refuse_none(usable, outcomes, "a class")
    kept = np.flatnonzero(usable)
    names = class_names([*(labels[at] for at in kept), *(predictions[at] for at in kept)])
    places: dict[str | None, int] = {name: place for place, name in enumerate(names)}
    coded = [
        np.array([places[side[at]] for at in kept], dtype=np.intp) for side in (labels, predictions)
    ]
    return multiclass(coded[0], coded[1], names)


def _classes(outcomes: Outcomes) -> list[str | None]:
    if outcomes.predictions is not None:
        return texts(outcomes.predictions)
    vectors = _needed(outcomes.probabilities, "inference_attribute")
    return [str(int(np.argmax(one))) if len(one) else None for one in map(vector, vectors)]


def _needed(column: Sequence[Any] | None, field: str) -> Sequence[Any]:
    if column is None:
        raise _missing(field)
    return column


def _missing(field: str) -> InvalidInput:
    return InvalidInput(field, "is missing; it says where the model's answer stands")


def _refuse_none(usable: NDArray[np.bool_], outcomes: Outcomes, legal: str) -> None:
    if not len(usable) or usable.any():
        return
    answers = outcomes.predictions if outcomes.predictions is not None else outcomes.probabilities
    said = answers[0] if answers is not None and len(answers) else None
    label = outcomes.labels[0]
    problem = f"no row can be used; the first has label {label!s:.100} and answer {said!s:.100}"
    hint = "probability_attribute names probabilities, inference_attribute what the model says"
    raise InvalidInput("dataset", problem, legal=legal, hint=hint)


def numbers(values: Sequence[Any] | NDArray[Any]) -> NDArray[np.float64]:
    """Read numbers; NaN stands for what is none.

    Examples
    --------
    >>> numbers(["1", 2.5, True, "x", None]).tolist()
    [1.0, 2.5, 1.0, nan, nan]
    """
    if isinstance(values, np.ndarray) and values.dtype.kind in "biuf":
        return values.astype(np.float64)
    return np.array([_number(one) for one in values], dtype=np.float64)


def _number(value: Any) -> float:
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return float("nan")


def truths(values: Sequence[Any] | NDArray[Any]) -> NDArray[np.int8]:
    """Read what is 0 or 1, or false or true; -1 stands for what is neither.

    Examples
    --------
    >>> truths(["1.0", 0, "False", True, "maybe", None]).tolist()
    [1, 0, 0, 1, -1, -1]
    """
    if isinstance(values, np.ndarray) and values.dtype.kind in "biuf":
        return np.where(values == 1, 1, np.where(values == 0, 0, -1)).astype(np.int8)
    found = [_TRUTHS.get(one.lower(), -1) if one is not None else -1 for one in texts(values)]
    return np.array(found, dtype=np.int8)


def texts(values: Sequence[Any] | NDArray[Any]) -> list[str | None]:
    """Read names of classes, so that 1, 1.0 and "1" are the same; None where there is none.

    Examples
    --------
    >>> texts([1, 2.0, " cat ", "3.0", "", None, [4]])
    ['1', '2', 'cat', '3', None, None, '4']
    """
    plain = values.tolist() if isinstance(values, np.ndarray) else values
    return [_text(one) for one in plain]


def _text(value: Any) -> str | None:
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if value is None or isinstance(value, dict | list):
        return None
    if isinstance(value, int) and abs(value) >= _MOST_INTEGER:
        return None
    text = str(value).strip()
    number = _number(text)
    if np.isfinite(number):
        return str(int(number)) if number == int(number) else repr(number)
    return text if text and text.lower() != "nan" else None


def vector(value: Any) -> NDArray[np.float64]:
    """Read the probabilities of all classes: a list, or one written as a text; empty if neither.

    Examples
    --------
    >>> vector("[0.25, 0.75]").tolist(), vector("x").tolist()
    ([0.25, 0.75], [])
    """
    parts = value.strip("[] \n").replace(",", " ").split() if isinstance(value, str) else value
    if not isinstance(parts, list | tuple | np.ndarray):
        return np.zeros(0)
    found = numbers(list(parts))
    return found if len(found) > 1 and np.isfinite(found).all() else np.zeros(0)


def class_names(names: Sequence[str | None]) -> list[str]:
    """List distinct names in order, numbers before words.

    Examples
    --------
    >>> class_names(["10", "b", "9", None, "a", "9"])
    ['9', '10', 'a', 'b']
    """
    return sorted({name for name in names if name is not None}, key=_in_order)


def _in_order(name: str) -> tuple[int, float, str]:
    number = _number(name)
    return (0, number, "") if np.isfinite(number) else (1, 0.0, name)
