"""Analyses: what a flow may show of any of its nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec
import numpy as np
from msgspec import Struct

from clary.analysis.page_style import opening
from clary.analysis.violation_words import number
from clary.flows.insights import charts, page, sampled
from clary.flows.insights.associations import correlation, multicollinearity
from clary.flows.insights.columns import Histogram, describe, span
from clary.flows.insights.learning import sklearn
from clary.flows.insights.sampled import texts
from clary.flows.insights.series import decompose
from clary.flows.insights.target import find_target, powers, quick_model
from clary.kernel.codec import build
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable

    from duckdb import DuckDBPyRelation

    from clary.flows.insights.columns import Column
    from clary.flows.insights.sampled import Sampled

_SEED = 0
_MOST_GROUPS = 5
_MOST_FACETS = 9
_MOST_POINTS = 2_000
_HELD_OUT = 0.3


class Finding(Struct, frozen=True):
    """What an analysis found: as JSON, and as the inside of a page."""

    document: dict[str, Any]
    body: str

    def to_json(self) -> str:
        """Write it as JSON; what is not defined is null."""
        return msgspec.json.format(msgspec.json.encode(self.document), indent=1).decode() + "\n"

    def to_html(self, title: str) -> str:
        """Write it as one page that needs nothing else to be read."""
        return f"{opening(title, page.STYLE)}\n{self.body}"

    def __repr__(self) -> str:
        return f"<Finding of {', '.join(self.document)}>"

    def _repr_html_(self) -> str:
        return page.framed(self.to_html(""))


class Summary(Struct, frozen=True, forbid_unknown_fields=True):
    """Count, mean, spread, range and missing values of every column."""

    def find(self, table: Sampled) -> Finding:
        """Look at the table."""
        columns = describe(table)
        head = ("column", "type", "missing", "different", "mean", "deviation", "least", "most")
        rows = [
            (one.name, one.type, f"{one.missing:.1%}", f"{one.distinct:,}", *_moments(one))
            for one in columns
        ]
        document = {"rows": table.rows, "columns": msgspec.to_builtins(columns)}
        return Finding(document, page.table(head, rows, numbers=2))


class HistogramOf(Struct, frozen=True, forbid_unknown_fields=True):
    """How a column is distributed, by the values of ``color``; a picture a value of ``facet``."""

    column: str
    color: str = ""
    facet: str = ""
    bins: int = 20

    def find(self, table: Sampled) -> Finding:
        """Count the sample."""
        if not 1 <= self.bins <= 200:
            raise InvalidInput("bins", str(self.bins), legal="1 to 200")
        values = table.numbers(self.column)
        finite = values[np.isfinite(values)]
        low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
        reach = span(low, high, self.bins)
        document, body = {}, ""
        for facet, of_facet in _groups(table, self.facet, _MOST_FACETS).items():
            told = {}
            for color, of_color in _groups(table, self.color, _MOST_GROUPS).items():
                chosen = values[of_facet & of_color & np.isfinite(values)]
                counts, edges = np.histogram(chosen, self.bins, reach)
                told[color] = Histogram(tuple(map(float, edges)), tuple(map(int, counts)))
            document[facet] = msgspec.to_builtins(told)
            body += (page.table((f"{self.facet}: {facet}",), ()) if self.facet else "") + (
                charts.histograms(told)
            )
        return Finding({"column": self.column, "histograms": document}, body)


class Scatter(Struct, frozen=True, forbid_unknown_fields=True):
    """Two columns against each other, coloured by the values of ``color``; at most 2,000 points."""

    x: str
    y: str
    color: str = ""

    def find(self, table: Sampled) -> Finding:
        """Take points of the sample."""
        x, y = table.numbers(self.x), table.numbers(self.y)
        both = np.isfinite(x) & np.isfinite(y)
        both &= np.cumsum(both) <= _MOST_POINTS
        told = {
            name: (x[both & chosen].tolist(), y[both & chosen].tolist())
            for name, chosen in _groups(table, self.color, _MOST_GROUPS).items()
        }
        document = {name: {"x": found[0], "y": found[1]} for name, found in told.items()}
        return Finding({"points": document}, charts.points(told, self.x, self.y))


class Correlation(Struct, frozen=True, forbid_unknown_fields=True):
    """How columns go together; see ``associations.correlation``."""

    method: Literal["linear", "rank"] = "linear"
    columns: tuple[str, ...] = ()

    def find(self, table: Sampled) -> Finding:
        """Measure the sample."""
        found = [one for one in describe(table) if not self.columns or one.name in self.columns]
        matrix = correlation(
            table,
            [one.name for one in found if one.kind in ("numeric", "boolean", "time")],
            [one.name for one in found if one.kind == "categorical"],
            by_rank=self.method == "rank",
        )
        return Finding(msgspec.to_builtins(matrix), charts.heat(matrix))


class Multicollinearity(Struct, frozen=True, forbid_unknown_fields=True):
    """What columns of numbers share: variance inflation, principal components, a lasso."""

    target: str = ""

    def find(self, table: Sampled) -> Finding:
        """Measure the sample."""
        numeric = [one.name for one in describe(table) if one.kind == "numeric"]
        found = multicollinearity(table, numeric, self.target, seed=_SEED)
        shares = {f"component {at + 1}": x for at, x in enumerate(found.components[:20])}
        body = (
            f"<h3>Variance inflation</h3>{charts.bars(dict(found.inflation))}"
            f"<h3>Shares of variance</h3>{charts.bars(shares)}"
        )
        if found.coefficients:
            rows = [(name, number(x)) for name, x in found.coefficients]
            body += f"<h3>Lasso</h3>{page.table(('column', 'coefficient'), rows, numbers=1)}"
        return Finding(msgspec.to_builtins(found), body)


class QuickModel(Struct, frozen=True, forbid_unknown_fields=True):
    """A random forest on 70 in 100 rows of the sample, measured on the others."""

    target: str
    problem: Literal["", "classification", "regression"] = ""

    def find(self, table: Sampled) -> Finding:
        """Train it."""
        target = find_target(table, self.target, self.problem)
        features = _features(describe(table), self.target)
        model = quick_model(table, target, features, held_out=_HELD_OUT, seed=_SEED)
        if model is None:
            raise InvalidInput("table", "has fewer than 20 rows with a target, or nothing else")
        return Finding(msgspec.to_builtins(model), page.model(model))


class TargetLeakage(Struct, frozen=True, forbid_unknown_fields=True):
    """How well each column alone tells the target; what tells it all may come after it."""

    target: str
    problem: Literal["", "classification", "regression"] = ""

    def find(self, table: Sampled) -> Finding:
        """Try each column."""
        target = find_target(table, self.target, self.problem)
        found = powers(table, target, _features(describe(table), self.target), seed=_SEED)
        metric = "AUC" if target.problem == "classification" else "R2"
        body = charts.bars({one.column: one.power for one in found})
        return Finding({"metric": metric, "columns": msgspec.to_builtins(found)}, body)


class Anomalies(Struct, frozen=True, forbid_unknown_fields=True):
    """The rows of the sample that are most unlike the others, by an isolation forest."""

    rows: int = 10

    def find(self, table: Sampled) -> Finding:
        """Score the sample."""
        features = _features(describe(table), "")
        if not features:
            raise InvalidInput("table", "has no column to compare rows by")
        matrix = np.nan_to_num(np.column_stack([table.numbers(one) for one in features]))
        forest = sklearn("ensemble").IsolationForest(n_estimators=50, random_state=_SEED)
        scores = -forest.fit(matrix).score_samples(matrix)
        worst = np.argsort(-scores, kind="stable")[: max(1, self.rows)]
        told = [
            {name: None if x is None else str(x)[:80] for name, x in row.items()}
            for row in table.sample.take(worst).to_pylist()
        ]
        return Finding({"rows": told, "scores": scores[worst].tolist()}, page.rows(told))


class Duplicates(Struct, frozen=True, forbid_unknown_fields=True):
    """How many rows are there more than once."""

    def find(self, table: Sampled) -> Finding:
        """Tell what was counted."""
        share = table.duplicates / table.rows
        text = (
            f"<p>{table.duplicates:,} of {table.rows:,} rows ({share:.1%}) were there before.</p>"
        )
        return Finding({"duplicates": table.duplicates, "rows": table.rows}, text)


class Decomposition(Struct, frozen=True, forbid_unknown_fields=True):
    """A series as trend, season and remainder; see ``series.decompose``."""

    time: str
    value: str
    period: int = 0

    def find(self, table: Sampled) -> Finding:
        """Decompose the sample."""
        found = decompose(table.numbers(self.time), table.numbers(self.value), self.period)
        body = (
            f"<p class='note'>period {found.period}</p>"
            f"{charts.lines({'observed': found.observed, 'trend': found.trend})}"
            f"<h3>Season</h3>{charts.lines({'season': found.seasonal})}"
            f"<h3>Remainder</h3>{charts.lines({'remainder': found.remainder})}"
        )
        return Finding(msgspec.to_builtins(found), body)


class SeriesAnomalies(Decomposition, frozen=True):
    """Points of a series whose remainder is over three robust standard deviations."""

    def find(self, table: Sampled) -> Finding:
        """Decompose the sample, and mark what stands out."""
        found = decompose(table.numbers(self.time), table.numbers(self.value), self.period)
        told = [
            {"time": found.times[at], "value": found.observed[at], "remainder": found.remainder[at]}
            for at in found.anomalies
        ]
        body = charts.lines({"observed": found.observed}, found.anomalies)
        return Finding({"period": found.period, "anomalies": told}, body)


Analysis = (
    Summary
    | HistogramOf
    | Scatter
    | Correlation
    | Multicollinearity
    | QuickModel
    | TargetLeakage
    | Anomalies
    | Duplicates
    | Decomposition
    | SeriesAnomalies
)
ANALYSES: dict[str, Callable[..., Analysis]] = {
    "analysis.summary": Summary,
    "analysis.histogram": HistogramOf,
    "analysis.scatter": Scatter,
    "analysis.correlation": Correlation,
    "analysis.multicollinearity": Multicollinearity,
    "analysis.quick_model": QuickModel,
    "analysis.target_leakage": TargetLeakage,
    "analysis.anomalies": Anomalies,
    "analysis.duplicates": Duplicates,
    "analysis.decomposition": Decomposition,
    "analysis.series_anomalies": SeriesAnomalies,
}
"""The analyses by their operator; each is made of its parameters."""


def analyse(operator: str, relation: DuckDBPyRelation, parameters: dict[str, Any]) -> Finding:
    """Look at a table in one way.

    Raises
    ------
    InvalidInput
        There is no such analysis, its parameters do not fit, or the rows do not allow it.
    LimitExceeded
        The table has more than 1,000 columns, or a series more than 20,000 points.
    NotSupported
        It needs scikit-learn, which is not installed.
    """
    if operator not in ANALYSES:
        raise InvalidInput("operator", f"{operator!r} is no analysis", legal=", ".join(ANALYSES))
    kind: Any = ANALYSES[operator]
    asked: Analysis = build(kind, parameters, field=operator)
    rows = 20_000 if "series" not in operator and "decomposition" not in operator else 1_000_000
    return asked.find(sampled.look(relation, rows=rows, seed=_SEED))


def _features(columns: tuple[Column, ...], target: str) -> list[str]:
    return [x.name for x in columns if x.kind not in ("empty", "nested") and x.name != target]


def _moments(one: Column) -> tuple[str, str, str, str]:
    if one.numbers is None:
        return "", "", "", ""
    told = one.numbers
    return number(told.mean), number(told.deviation), number(told.minimum), number(told.maximum)


def _groups(table: Sampled, column: str, most: int) -> dict[str, Any]:
    """Give the rows of each of the most frequent values of a column; all, without one."""
    if not column:
        return {"all": np.ones(table.sample.num_rows, bool)}
    table.type(column)
    shown = np.array(
        [
            "missing" if one is None else one
            for one in texts(table.sample.column(column)).to_pylist()
        ],
        dtype=object,
    )
    names, counts = np.unique(shown.astype(str), return_counts=True)
    often = names[np.argsort(-counts, kind="stable")][:most]
    return {str(one): shown.astype(str) == one for one in often}
