"""Bias in data and in predictions, asked of a table in DuckDB."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from clary.analysis import bias_metrics
from clary.analysis.bias_columns import Choice, Column, Value, choose, columns
from clary.analysis.bias_cube import tally
from clary.analysis.bias_flips import flip_test
from clary.analysis.bias_intervals import LEVEL, interval, redraw
from clary.analysis.bias_metrics import FLIP_TEST, METRICS, Side, sides
from clary.analysis.bias_report import (
    Analysis,
    BiasMetrics,
    FacetNotes,
    FacetValue,
    MetricNotes,
    MetricValue,
    document,
)
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from duckdb import DuckDBPyConnection

    from clary.analysis.bias_cube import Cube, Tally
    from clary.analysis.bias_metrics import Stage


@dataclass(frozen=True, slots=True)
class Facet:
    """A sensitive attribute; without ``values`` each category is set against the rest."""

    column: str
    values: Sequence[Value] = ()


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked.

    Parameters
    ----------
    label
        The column of outcomes.
    positive
        The values that are positive ones, or the threshold above which they are.
    facets
        Who is sensitive.
    prediction
        The column of predictions; empty: there are none.
    threshold
        Predictions that are scores of a binary label are positive above it.
    group
        The column within whose values the conditional metrics compare.
    before, after
        The metrics that are wanted of each stage.
    ignored
        Columns that are no features of the flip test.
    continuous
        Whether columns of numbers hold amounts, where that is known and need not be guessed.
    """

    label: str
    positive: Sequence[Value]
    facets: Sequence[Facet]
    prediction: str = ""
    threshold: float = 0.5
    group: str = ""
    before: Sequence[str] = ()
    after: Sequence[str] = ()
    ignored: Sequence[str] = ()
    continuous: Mapping[str, bool] = field(default_factory=dict)


def analyze(
    connection: DuckDBPyConnection, table: str, question: Question, *, intervals: bool = True
) -> Analysis:
    """Measure bias.

    Parameters
    ----------
    table
        SQL that stands for it after FROM.
    intervals
        Give every metric the interval of chance.

    Raises
    ------
    InvalidInput
        A column is missing, a value is none of its column, or a metric's name is unknown.
    LimitExceeded
        A facet has too many categories.
    """
    _check(question)
    return _Measurement(connection, table, question, intervals=intervals).analysis()


def _check(question: Question) -> None:
    wanted: Mapping[Stage, Sequence[str]] = {
        "pre_training": question.before,
        "post_training": question.after,
    }
    for stage, asked in wanted.items():
        legal = bias_metrics.names(stage)
        for one in asked:
            if one not in legal:
                raise InvalidInput(
                    f"methods.{stage}_bias.methods", f"{one!r} is no metric", legal=", ".join(legal)
                )
    if question.after and not question.prediction:
        raise InvalidInput("predicted_label", "bias after training needs predictions")
    if not question.facets:
        raise InvalidInput("facet", "is missing: whose disadvantage is to be measured?")


class _Measurement:
    """One question asked of one table."""

    def __init__(
        self,
        connection: DuckDBPyConnection,
        table: str,
        question: Question,
        *,
        intervals: bool,
    ) -> None:
        self._connection, self._table = connection, table
        self._question, self._intervals = question, intervals
        wanted = [question.label, *(one.column for one in question.facets)]
        wanted += [one for one in (question.prediction, question.group) if one]
        looked = columns(connection, table, wanted)
        self._columns = {name: _known(one, question) for name, one in looked.items()}
        label = self._columns[question.label]
        self._label = choose(label, question.positive, field="label_values_or_threshold")
        self._predicted = self._prediction(label) if question.prediction else None

    def analysis(self) -> Analysis:
        """Measure every facet once for both stages."""
        question = self._question
        wanted: Mapping[Stage, Sequence[str]] = {
            "pre_training": sorted(question.before),
            "post_training": sorted(question.after),
        }
        found = [list(self._facet(one, wanted)) for one in question.facets]
        made = {}
        for stage, asked in wanted.items():
            if asked:
                facets = {
                    facet.column: tuple(one[stage] for one in values)
                    for facet, values in zip(question.facets, found, strict=True)
                }
                made[stage] = BiasMetrics(question.label, facets, self._label.title)
        return Analysis(
            pre_training_bias_metrics=made.get("pre_training", msgspec.UNSET),
            post_training_bias_metrics=made.get("post_training", msgspec.UNSET),
        )

    def _prediction(self, label: Column) -> Choice:
        """Say which predictions are positive: those like positive labels, or high scores."""
        column = self._columns[self._question.prediction]
        positive = self._question.positive
        if not label.is_continuous and column.kind == "fraction" and not self._is_whole(column):
            above = f"({column.cell}) > {self._question.threshold!r}::DOUBLE"
            is_inverted = all(str(one).lower() in {"0", "0.0", "false"} for one in positive)
            return Choice(f"NOT ({above})" if is_inverted else above, self._label.title)
        if label.is_continuous and column.kind not in {"integer", "fraction"}:
            problem = f"the column {column.name!r} holds no numbers, and the label amounts"
            raise InvalidInput("predicted_label", problem, legal="a column of numbers")
        alike = Column(column.name, column.kind, label.is_continuous, column.greatest)
        return choose(alike, positive, field="label_values_or_threshold")

    def _is_whole(self, column: Column) -> bool:
        """Say whether all of a column's numbers are whole: labels, not scores."""
        row = self._connection.execute(
            f"SELECT bool_and(({column.cell}) = floor({column.cell})) FROM {self._table}"
        ).fetchone()
        return bool(row and row[0])

    def _facet(
        self, facet: Facet, wanted: Mapping[Stage, Sequence[str]]
    ) -> Iterator[dict[Stage, FacetValue]]:
        column = self._columns[facet.column]
        chosen = None
        if facet.values or column.is_continuous:
            chosen = choose(column, facet.values, field=f"facet {facet.column!r}")
        counted = tally(
            self._connection,
            self._table,
            chosen.condition if chosen else column.cell,
            self._label.condition,
            prediction=self._predicted.condition if self._predicted else "",
            group=self._columns[self._question.group].cell if self._question.group else "",
        )
        if chosen:
            yield self._value(facet, wanted, counted, (chosen, True))
            return
        for category in counted.categories:
            if category is not None:
                choice = choose(column, [category], field="facet")
                yield self._value(facet, wanted, counted, (choice, category))

    def _value(
        self,
        facet: Facet,
        wanted: Mapping[Stage, Sequence[str]],
        counted: Tally,
        sensitive: tuple[Choice, Value],
    ) -> dict[Stage, FacetValue]:
        choice, category = sensitive
        cube = counted.cube([category])
        notes = FacetNotes(int(cube.counts.sum()), counted.left_out, _groups(cube))
        made: dict[Stage, FacetValue] = {}
        drawn = sides(redraw(cube)) if self._intervals else None
        for stage, asked in wanted.items():
            metrics = tuple(
                self._flips(facet, choice, cube) if one == FLIP_TEST else _measure(one, cube, drawn)
                for one in asked
            )
            made[stage] = FacetValue(choice.title, metrics, notes)
        return made

    def _flips(self, facet: Facet, choice: Choice, cube: Cube) -> MetricValue:
        description = bias_metrics.FLIP_TEST_DESCRIPTION
        problem = _one_sided(cube)
        features, unfit = self._features(facet)
        if not problem and (unfit or not features):
            problem = f"needs columns of numbers without gaps: {unfit or 'there are none'}"
        if problem or self._predicted is None:
            return MetricValue(FLIP_TEST, description, None, problem)
        found = flip_test(
            self._connection, self._table, features, choice.condition, self._predicted.condition
        )
        notes = MetricNotes(found.interval, LEVEL, found.sampled_rows or None)
        return MetricValue(FLIP_TEST, description, found.value, clary=notes)

    def _features(self, facet: Facet) -> tuple[Sequence[str], str]:
        """Name the columns that neighbours are found by, and the first that cannot be one."""
        question = self._question
        apart = {facet.column, question.label, question.prediction, *question.ignored}
        described = self._connection.execute(f"DESCRIBE SELECT * FROM {self._table}").fetchall()
        kinds = {str(row[0]): str(row[1]) for row in described if str(row[0]) not in apart}
        looked = columns(self._connection, self._table, list(kinds)) if kinds else {}
        unfit = next((repr(one) for one in kinds if looked[one].kind == "text"), "")
        if kinds and not unfit:
            cells = [f"count(({looked[one].cell})) = count(*)" for one in kinds]
            whole = self._connection.execute(f"SELECT {', '.join(cells)} FROM {self._table}")
            full = whole.fetchone() or ()
            gaps = (repr(one) for one, ok in zip(kinds, full, strict=True) if not ok)
            unfit = next(gaps, "")
        return list(kinds), unfit


def _known(column: Column, question: Question) -> Column:
    known = question.continuous.get(column.name)
    if known is None or column.kind not in {"integer", "fraction"}:
        return column
    return replace(column, is_continuous=known)


def _measure(metric: str, cube: Cube, drawn: tuple[Side, Side] | None) -> MetricValue:
    what = METRICS[metric]
    problem = _one_sided(cube)
    if not problem and what.needs_groups and not cube.has_groups:
        problem = "no group variable is given"
    if problem:
        return MetricValue(metric, what.description, None, problem)
    value = float(what.compute(*sides(cube)))
    if np.isnan(value):
        return MetricValue(metric, what.description, None, f"is undefined: {what.undefined}")
    own = value if what.is_distance else None
    between = interval(what.compute(*drawn), distance=own) if drawn else None
    if between is None:
        return MetricValue(metric, what.description, document(value))
    low, high = (document(one) for one in between)
    notes = MetricNotes((low or 0.0, high or 0.0), LEVEL)
    return MetricValue(metric, what.description, document(value), clary=notes)


def _one_sided(cube: Cube) -> str:
    """Say which side has no rows; empty where both have."""
    a, d = sides(cube)
    if not d.rows:
        return "no row is of the facet's value"
    return "" if a.rows else "every row is of the facet's value"


def _groups(cube: Cube) -> tuple[dict[str, float | None], ...]:
    told = []
    for side in sides(cube):
        rows = float(side.rows)
        shares: dict[str, float | None] = {"rows": rows}
        if rows:
            shares["positive_labels"] = float(side.labels[1]) / rows
            if cube.has_predictions:
                right = float(side.true_positives + side.true_negatives)
                shares["positive_predictions"] = float(side.predictions[1]) / rows
                shares["right_predictions"] = right / rows
        told.append(shares)
    return tuple(told)
