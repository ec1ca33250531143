"""The data quality and insights report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec
import numpy as np
from msgspec import Struct, structs

from clary.flows.insights import page, sampled
from clary.flows.insights.advice import QualityWarning, warn
from clary.flows.insights.associations import Matrix, correlation
from clary.flows.insights.columns import Column, describe
from clary.flows.insights.learning import sklearn
from clary.flows.insights.target import (
    Power,
    Problem,
    QuickModel,
    Target,
    find_target,
    powers,
    quick_model,
)

if TYPE_CHECKING:
    from duckdb import DuckDBPyRelation

    from clary.flows.insights.sampled import Sampled

HELD_OUT = 0.2
_MOST_FEATURES = 100
_SHOWN_ROWS = 10
_LONGEST = 80
_DEVIATIONS = 5.0
_NORMAL = 1.4826


class Anomalies(Struct, frozen=True):
    """Rows unlike the others, by an isolation forest over the sample.

    The scores of ``share`` of the sample are over five robust standard deviations above the median;
    ``rows`` are the most unlike.
    """

    share: float
    rows: tuple[dict[str, str | None], ...] = ()


class Report(Struct, frozen=True):
    """What there is to say of a table before a model is made of it.

    Parameters
    ----------
    sampled
        How many rows models, anomalies, correlations and histograms were taken from; all else is
        of all rows.
    """

    rows: int
    sampled: int
    duplicates: int
    missing: float
    valid: float
    columns: tuple[Column, ...]
    warnings: tuple[QualityWarning, ...]
    correlation: Matrix
    anomalies: Anomalies
    target: Target | None = None
    powers: tuple[Power, ...] = ()
    quick_model: QuickModel | None = None

    def to_json(self) -> str:
        """Write it as JSON; what is not defined is null."""
        return msgspec.json.format(msgspec.json.encode(self), indent=1).decode() + "\n"

    def to_html(self, title: str = "Data quality and insights") -> str:
        """Write it as one page that needs nothing else to be read."""
        return page.report(self, title)

    def __repr__(self) -> str:
        return f"<Report of {self.rows:,} rows, warnings: {len(self.warnings)}>"

    def _repr_html_(self) -> str:
        return page.framed(self.to_html())


def report(
    relation: DuckDBPyRelation,
    *,
    target: str = "",
    problem: Problem | Literal[""] = "",
    seed: int = 0,
) -> Report:
    """Look at a table as a teacher of a model.

    Parameters
    ----------
    relation
        The rows, in DuckDB.
    target
        The column that is to be predicted; empty: none yet.
    problem
        Told from the target where it is not given: numbers of over 20 values are a regression.
    seed
        Of the sample and of the models.

    Raises
    ------
    InvalidInput
        The table has no rows, or the target does not do.
    LimitExceeded
        It has more than 1,000 columns.
    NotSupported
        scikit-learn is not installed.
    """
    table = sampled.look(relation, seed=seed)
    columns = describe(table)
    wanted = find_target(table, target, problem) if target else None
    useful = [x.name for x in columns if x.kind not in ("empty", "nested") and x.name != target]
    useful = useful[:_MOST_FEATURES]
    alone = powers(table, wanted, useful, seed=seed) if wanted else []
    model = quick_model(table, wanted, useful, held_out=HELD_OUT, seed=seed) if wanted else None
    odd = _anomalies(table, useful, seed)
    weight = sum(1 - one.missing for one in columns) or 1.0
    told = Report(
        table.rows,
        table.sample.num_rows,
        table.duplicates,
        sum(one.missing for one in columns) / len(columns),
        sum(one.valid * (1 - one.missing) for one in columns) / weight,
        columns,
        (),
        correlation(
            table,
            [one.name for one in columns if one.kind in ("numeric", "boolean")],
            [one.name for one in columns if one.kind == "categorical"],
        ),
        odd,
        wanted,
        tuple(alone),
        model,
    )
    return structs.replace(told, warnings=warn(told))


def _anomalies(table: Sampled, features: list[str], seed: int) -> Anomalies:
    matrix = np.column_stack([_filled(table.numbers(one)) for one in features] or [np.empty(0)])
    if len(matrix) < 2 * _SHOWN_ROWS or not features:
        return Anomalies(0.0)
    forest = sklearn("ensemble").IsolationForest(random_state=seed, n_estimators=50).fit(matrix)
    scores = forest.score_samples(matrix)
    worst = np.argsort(scores, kind="stable")[:_SHOWN_ROWS]
    rows = table.sample.take(worst).to_pylist()
    apart = np.median(scores) - scores
    share = float((apart > _DEVIATIONS * _NORMAL * np.median(np.abs(apart))).mean())
    return Anomalies(share, tuple(_shown(one) for one in rows))


def _filled(values: Any) -> Any:
    known = values[np.isfinite(values)]
    return np.where(np.isfinite(values), values, np.median(known) if known.size else 0.0)


def _shown(row: dict[str, Any]) -> dict[str, str | None]:
    return {name: None if one is None else str(one)[:_LONGEST] for name, one in row.items()}
