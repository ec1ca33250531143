"""How good a model's answers are, measured against labels: values, their spread, the document.

The document is Model Monitor's ``statistics.json`` of model quality: ``regression_metrics``,
``binary_classification_metrics`` or ``multiclass_classification_metrics``, each metric with its
``value`` and the ``standard_deviation`` of five draws of 80 % of the rows, the string ``"NaN"``
where fewer than 200 rows allow none. An undefined metric has the value null and an ``error``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import numpy as np

from clary.kernel.codec import build, from_json
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

Problem: TypeAlias = Literal["Regression", "BinaryClassification", "MulticlassClassification"]
Kind: TypeAlias = Literal["regression", "binary_classification", "multiclass_classification"]
Values: TypeAlias = "Mapping[str, float | str]"
"""Metrics by name: a number, or in words why there is none."""
KINDS: Final[dict[Problem, Kind]] = {
    "Regression": "regression",
    "BinaryClassification": "binary_classification",
    "MulticlassClassification": "multiclass_classification",
}
DRAWS: Final = 5
SHARE: Final = 0.8
FEWEST_ROWS: Final = 200
"""Below so many rows no standard deviation is told."""
_SEED: Final = 20260101


@dataclass(frozen=True, slots=True)
class Metric:
    """One measured number.

    Parameters
    ----------
    value
        None where it is undefined; ``error`` says why.
    standard_deviation
        Of five draws of 80 % of the rows; None below 200 rows, or where a draw was undefined.
    error
        Empty where there is a value.
    """

    value: float | None
    standard_deviation: float | None = None
    error: str = ""

    def to_document(self) -> dict[str, Any]:
        """Write the member of a metric."""
        spread = "NaN" if self.standard_deviation is None else self.standard_deviation
        document = {"value": self.value, "standard_deviation": spread}
        return {**document, "error": self.error} if self.error else document


@dataclass(frozen=True, slots=True)
class Quality:
    """What a statistics document of model quality says.

    Parameters
    ----------
    kind
        Which of the three it is.
    members
        Metrics, matrices and curves by name, in the order of the document; what is no metric is
        kept as it stands.
    rows
        Rows that were measured; None where a document does not say it.
    evaluated_at
        ISO 8601, UTC; empty where a document does not say it.
    extra
        The ``clary`` block; readers that do not know it pass it over.
    """

    kind: Kind
    members: Mapping[str, Metric | dict[str, Any]]
    rows: int | None = None
    evaluated_at: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def metrics(self) -> dict[str, Metric]:
        """The members that are numbers."""
        return {name: one for name, one in self.members.items() if isinstance(one, Metric)}

    def to_document(self) -> dict[str, Any]:
        """Write the document."""
        document: dict[str, Any] = {}
        if self.rows is not None:
            document = {"version": 0.0, "dataset": {"item_count": self.rows}}
            if self.evaluated_at:
                document["dataset"]["evaluation_time"] = self.evaluated_at
        document[f"{self.kind}_metrics"] = {
            name: one.to_document() if isinstance(one, Metric) else one
            for name, one in self.members.items()
        }
        return {**document, "clary": dict(self.extra)} if self.extra else document


def measured(
    rows: int,
    compute: Callable[[NDArray[np.bool_] | None], Values],
    others: Mapping[str, dict[str, Any]],
    order: tuple[str, ...],
) -> dict[str, Metric | dict[str, Any]]:
    """Compute metrics and their spread, and put them in a document's order.

    Parameters
    ----------
    rows
        How many rows there are.
    compute
        Metrics of the rows that a mask, shape (rows,), picks; of all for None.
    others
        Matrices and curves.
    order
        The names in their order; those that nothing gives are passed over.
    """
    values = compute(None)
    spreads = _spreads(rows, compute)
    members: dict[str, Metric | dict[str, Any]] = dict(others)
    for name, value in values.items():
        if isinstance(value, str):
            members[name] = Metric(None, error=value)
        else:
            members[name] = Metric(value, spreads.get(name))
    return {name: members[name] for name in order if name in members}


def _spreads(
    rows: int, compute: Callable[[NDArray[np.bool_] | None], Values]
) -> dict[str, float | None]:
    if rows < FEWEST_ROWS:
        return {}
    generator = np.random.default_rng(_SEED)
    draws = []
    for _ in range(DRAWS):
        mask = np.zeros(rows, dtype=bool)
        mask[generator.permutation(rows)[: round(rows * SHARE)]] = True
        draws.append(compute(mask))
    return {name: _spread([draw[name] for draw in draws]) for name in draws[0]}


def _spread(values: list[float | str]) -> float | None:
    numbers = [value for value in values if not isinstance(value, str)]
    return float(np.std(numbers, ddof=1)) if len(numbers) == len(values) else None


def read_quality(data: bytes | str, *, field: str = "statistics.json") -> Quality:
    """Read a statistics document of model quality.

    Raises
    ------
    InvalidInput
        It is no JSON, or holds none of the three kinds of metrics; names ``field``.
    """
    document = build(dict[str, Any], from_json(data, field=field), field=field)
    kind = next((one for one in KINDS.values() if f"{one}_metrics" in document), None)
    if kind is None:
        legal = ", ".join(f"{one}_metrics" for one in KINDS.values())
        raise InvalidInput(field, "holds no metrics of model quality", legal=legal)
    place = f"{field}.{kind}_metrics"
    members = build(dict[str, dict[str, Any]], document[f"{kind}_metrics"], field=place)
    dataset = build(dict[str, Any], document.get("dataset", {}), field=f"{field}.dataset")
    return Quality(
        kind,
        {name: _member(one, f"{place}.{name}") for name, one in members.items()},
        dataset.get("item_count"),
        dataset.get("evaluation_time", ""),
        document.get("clary", {}),
    )


def _member(member: dict[str, Any], place: str) -> Metric | dict[str, Any]:
    if "value" not in member:
        return member
    spread = member.get("standard_deviation", "NaN")
    return Metric(
        build(float | None, member["value"], field=f"{place}.value"),  # type: ignore[arg-type]
        None if spread == "NaN" else build(float, spread, field=f"{place}.standard_deviation"),
        str(member.get("error", "")),
    )
