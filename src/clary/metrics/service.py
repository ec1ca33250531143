"""The verbs of metrics: put values, and read them again."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from msgspec import Struct

from clary.kernel.clock import now
from clary.kernel.codec import build
from clary.kernel.errors import InvalidInput
from clary.metrics.expressions import Expression
from clary.metrics.model import FINEST_S, LARGEST, Metric, Slot, Tally
from clary.metrics.queries import DataQuery, Dimension, MetricName, ordered, read_queries
from clary.metrics.windows import MOST_POINTS, check_statistic, statistic, window

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from clary.kernel.names import Ref
    from clary.metrics.expressions import Points
    from clary.metrics.ports import Selection, SeriesStore
    from clary.metrics.recorder import Recorder
    from clary.metrics.windows import Window

_FIELD = "MetricData"
_MOST_DATA = 1_000
_MOST_VALUES = 150
_MOST_DATAPOINTS = 1_440
_OLDEST_S = 14 * 86_400
_NEWEST_S = 2 * 3600


class StatisticSet(Struct, frozen=True, rename="pascal"):
    """Values of which only the sum and the bounds are known."""

    sample_count: float
    sum: float
    minimum: float
    maximum: float


class Datum(Struct, frozen=True, rename="pascal"):
    """One member of PutMetricData's MetricData."""

    metric_name: str
    dimensions: tuple[Dimension, ...] = ()
    timestamp: datetime | None = None
    value: float | None = None
    statistic_values: StatisticSet | None = None
    values: tuple[float, ...] = ()
    counts: tuple[float, ...] = ()
    unit: str = "None"
    storage_resolution: int = 60


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a query of ``Metrics.data`` found: numbers by the beginning of their period."""

    query: DataQuery
    points: Points


class Metrics:
    """Values of one's own, and questions on all values.

    Parameters
    ----------
    store
        Where they are.
    recorder
        What this process measures, so that answers count it.
    """

    def __init__(self, store: SeriesStore, recorder: Recorder) -> None:
        self._store = store
        self._recorder = recorder

    def put(self, namespace: str, data: Sequence[Mapping[str, Any]], *, near: Ref) -> None:
        """Add values to metrics, durably, all or none; ``data`` is PutMetricData's MetricData.

        Raises
        ------
        InvalidInput
            A value is not legal.
        LimitExceeded
            There would be too many metrics.
        """
        if namespace.startswith("AWS/"):
            raise InvalidInput("Namespace", f"{namespace!r} begins with 'AWS/', which is reserved")
        if len(data) > _MOST_DATA:
            raise InvalidInput(_FIELD, f"{len(data)} members", legal=f"at most {_MOST_DATA}")
        at = now()
        self._store.add(
            [
                _slot(near, namespace, build(Datum, one, field=f"{_FIELD}[{n}]"), at, n)
                for n, one in enumerate(data)
            ]
        )

    def list(self, selection: Selection) -> Sequence[Metric]:
        """List metrics that have values, those of this process included."""
        self._recorder.flush()
        return self._store.list(selection)

    def tallies(
        self, metric: Metric, *, start: datetime, end: datetime, period_s: int
    ) -> Mapping[int, Mapping[str, Tally]]:
        """Sum up a metric in each period, by its beginning (seconds since 1970) and by unit.

        Parameters
        ----------
        metric
            With an empty unit: of all units.
        """
        self._recorder.flush()
        wanted = _window(start, end, period_s)
        slots = self._store.read(
            metric, length_s=wanted.length_s, start=wanted.start, end=wanted.end
        )
        return wanted.group(slots)

    def values(
        self, metric: Metric, stat: str, *, start: datetime, end: datetime, period_s: int
    ) -> Points:
        """Read one statistic of a metric in each period; see ``tallies``.

        Raises
        ------
        InvalidInput
            The statistic or the period is not legal.
        """
        check_statistic(stat)
        points: Points = {}
        for at, by_unit in self.tallies(metric, start=start, end=end, period_s=period_s).items():
            whole = Tally()
            for tally in by_unit.values():
                whole.merge(tally)
            if (value := statistic(whole, stat)) is not None:
                points[at] = value
        return points

    def statistics(self, request: Mapping[str, Any], *, near: Ref) -> Sequence[Mapping[str, Any]]:
        """Answer GetMetricStatistics: a data point for each period and unit that has values.

        Raises
        ------
        InvalidInput
            It asks for no statistic, or for too many data points.
        """
        simple, extended = request.get("Statistics", ()), request.get("ExtendedStatistics", ())
        if not simple and not extended:
            raise InvalidInput("Statistics", "neither these nor ExtendedStatistics are given")
        for name in extended:
            check_statistic(name, field="ExtendedStatistics")
        start, end, period_s = request["StartTime"], request["EndTime"], request["Period"]
        if period_s and (end - start).total_seconds() / period_s > _MOST_DATAPOINTS:
            problem = f"asks for more than {_MOST_DATAPOINTS} data points"
            raise InvalidInput(
                "Period", problem, hint="make the period longer, or the time shorter"
            )
        metric = build(MetricName, request).of(near, request.get("Unit", ""))
        found = self.tallies(metric, start=start, end=end, period_s=period_s)
        points = []
        for at, by_unit in found.items():
            for unit, tally in by_unit.items():
                point: dict[str, Any] = {name: statistic(tally, name) for name in simple}
                more = {name: statistic(tally, name) for name in extended}
                if known := {name: one for name, one in more.items() if one is not None}:
                    point["ExtendedStatistics"] = known
                if point:
                    points.append({"Timestamp": _moment(at), "Unit": unit, **point})
        return points

    def data(
        self,
        documents: Sequence[Mapping[str, Any]],
        *,
        start: datetime,
        end: datetime,
        near: Ref,
    ) -> Sequence[Outcome]:
        """Answer MetricDataQueries, in their order, but for those that return no data.

        Raises
        ------
        InvalidInput, NotSupported
            A query is not legal.
        """
        queries = read_queries(documents)
        _check_size(queries, start, end)
        known = {
            name: self._points(query, start=start, end=end, near=near)
            for name, query in queries.items()
            if query.metric_stat is not None
        }
        metrics = list(known)
        periods = {query.metric_stat.period for query in queries.values() if query.metric_stat}
        times = {at for period_s in periods for at in _window(start, end, period_s).periods}
        for name, query in queries.items():
            if query.expression:
                field = f"MetricDataQueries.{name}.Expression"
                expression = Expression(query.expression, field=field)
                known[name] = expression.points(known, metrics, times)
        return [
            Outcome(queries[one["Id"]], known[one["Id"]])
            for one in documents
            if queries[one["Id"]].return_data
        ]

    def _points(self, query: DataQuery, *, start: datetime, end: datetime, near: Ref) -> Points:
        asked = query.metric_stat
        if asked is None:
            return {}
        metric = asked.metric.of(near, asked.unit)
        return self.values(metric, asked.stat, start=start, end=end, period_s=asked.period)


def _check_size(queries: Mapping[str, DataQuery], start: datetime, end: datetime) -> None:
    periods = [query.metric_stat.period for query in queries.values() if query.metric_stat]
    points = sum((end - start).total_seconds() / period_s for period_s in periods)
    if points > MOST_POINTS:
        problem = f"ask for {points:.0f} data points"
        raise InvalidInput("MetricDataQueries", problem, legal=f"at most {MOST_POINTS}")


def _window(start: datetime, end: datetime, period_s: int) -> Window:
    return window(start.timestamp(), end.timestamp(), period_s, at=now().timestamp())


def _moment(at: int) -> datetime:
    return datetime.fromtimestamp(at, UTC)


def _slot(near: Ref, namespace: str, datum: Datum, at: datetime, number: int) -> Slot:
    field = f"{_FIELD}[{number}]"
    moment = datum.timestamp or at
    age_s = (at - moment).total_seconds()
    if not -_NEWEST_S <= age_s <= _OLDEST_S:
        legal = "two weeks ago to two hours from now"
        raise InvalidInput(f"{field}.Timestamp", moment.isoformat(), legal=legal)
    if datum.storage_resolution not in (1, 60):
        raise InvalidInput(
            f"{field}.StorageResolution", f"{datum.storage_resolution}", legal="1, 60"
        )
    dimensions = ordered(datum.dimensions, field=f"{field}.Dimensions")
    metric = Metric(near.account, near.region, namespace, datum.metric_name, dimensions, datum.unit)
    begins = int(moment.timestamp() // FINEST_S) * FINEST_S
    return Slot(metric, begins, _tally(datum, field))


def _tally(datum: Datum, field: str) -> Tally:
    given = [datum.value is not None, bool(datum.values), datum.statistic_values is not None]
    if sum(given) != 1:
        raise InvalidInput(field, "needs one of Value, Values and StatisticValues")
    if datum.statistic_values is not None:
        return _set(datum.statistic_values, field)
    values = datum.values or (datum.value or 0.0,)
    counts = datum.counts or (1.0,) * len(values)
    if len(values) > _MOST_VALUES or len(counts) != len(values):
        problem = f"{len(values)} Values and {len(counts)} Counts"
        raise InvalidInput(field, problem, legal=f"as many of each, at most {_MOST_VALUES}")
    tally = Tally()
    for value, times in zip(values, counts, strict=True):
        _check(value, f"{field}.Values")
        if not 0 < times <= LARGEST:
            raise InvalidInput(f"{field}.Counts", f"{times}", legal="above 0")
        tally.add(value, times)
    return tally


def _set(known: StatisticSet, field: str) -> Tally:
    where = f"{field}.StatisticValues"
    for value in (known.sum, known.minimum, known.maximum):
        _check(value, where)
    if not 0 < known.sample_count <= LARGEST or known.minimum > known.maximum:
        legal = "SampleCount above 0, Minimum at most Maximum"
        raise InvalidInput(where, f"{known.sample_count} values", legal=legal)
    tally = Tally(known.sample_count, known.sum, known.minimum, known.maximum)
    if known.minimum == known.maximum:  # then all of them are known
        alone = Tally()
        alone.add(known.minimum, known.sample_count)
        tally.buckets = alone.buckets
    return tally


def _check(value: float, field: str) -> None:
    if not math.isfinite(value) or abs(value) > LARGEST:
        raise InvalidInput(field, f"{value}", legal="numbers of a magnitude of 2^360 at most")
