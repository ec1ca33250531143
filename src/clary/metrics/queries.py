"""The public documents that ask for metrics, read: MetricStat and MetricDataQuery."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from clary.kernel.codec import build
from clary.kernel.errors import InvalidInput, NotSupported
from clary.metrics.expressions import Expression
from clary.metrics.model import Metric
from clary.metrics.windows import check_period, check_statistic

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from clary.kernel.names import Ref

MOST_QUERIES = 500
FIELD = "MetricDataQueries"


class Dimension(Struct, frozen=True, rename="pascal"):
    """One part of a metric's name."""

    name: str
    value: str


class MetricName(Struct, frozen=True, rename="pascal"):
    """A metric without account, region and unit."""

    namespace: str
    metric_name: str
    dimensions: tuple[Dimension, ...] = ()

    def of(self, near: Ref, unit: str = "") -> Metric:
        """Name it in full; an empty unit stands for all."""
        dimensions = ordered(self.dimensions)
        return Metric(near.account, near.region, self.namespace, self.metric_name, dimensions, unit)


class MetricStat(Struct, frozen=True, rename="pascal"):
    """A statistic of a metric in each period."""

    metric: MetricName
    period: int
    stat: str
    unit: str = ""


class DataQuery(Struct, frozen=True, rename="pascal"):
    """A statistic, or an expression over others; by ``return_data`` part of the answer."""

    id: str
    metric_stat: MetricStat | None = None
    expression: str = ""
    label: str = ""
    return_data: bool = True
    period: int = 0
    account_id: str = ""

    @property
    def title(self) -> str:
        """What the answer calls it."""
        return self.label or (self.metric_stat.metric.metric_name if self.metric_stat else self.id)


def ordered(
    dimensions: Sequence[Dimension], *, field: str = "Dimensions"
) -> tuple[tuple[str, str], ...]:
    """Order dimensions by name. Raises InvalidInput for a name that is given twice."""
    found = {one.name: one.value for one in dimensions}
    if len(found) < len(dimensions):
        raise InvalidInput(field, "a name is given twice")
    return tuple(sorted(found.items()))


def read_queries(
    documents: Sequence[Mapping[str, Any]], *, field: str = FIELD
) -> Mapping[str, DataQuery]:
    """Read queries by id, each behind those that its expression needs.

    Raises
    ------
    InvalidInput, NotSupported
        One is not legal, or needs one that is not there or that needs it.
    """
    queries = build(tuple[DataQuery, ...], documents, field=field)
    if not 0 < len(queries) <= MOST_QUERIES:
        raise InvalidInput(field, f"{len(queries)} queries", legal=f"1 to {MOST_QUERIES}")
    by_id = {query.id: query for query in queries}
    if len(by_id) < len(queries):
        raise InvalidInput(field, "an Id is given twice")
    for query in queries:
        _check(query, field)
    return _in_order(by_id, field)


def _check(query: DataQuery, field: str) -> None:
    where = f"{field}.{query.id}"
    if not (query.id[:1].islower() and query.id.isidentifier() and query.id.isascii()):
        raise InvalidInput(where, "is no Id", legal="[a-z][a-zA-Z0-9_]*")
    if (query.metric_stat is None) != bool(query.expression):
        raise InvalidInput(where, "needs either a MetricStat or an Expression")
    if query.account_id:
        raise NotSupported(f"{where}: clary reads no metrics of other accounts")
    if query.metric_stat is not None:
        check_period(query.metric_stat.period, field=f"{where}.MetricStat.Period")
        check_statistic(query.metric_stat.stat, field=f"{where}.MetricStat.Stat")
    else:
        Expression(query.expression, field=f"{where}.Expression")


def _in_order(by_id: Mapping[str, DataQuery], field: str) -> Mapping[str, DataQuery]:
    done: dict[str, DataQuery] = {
        name: query for name, query in by_id.items() if query.metric_stat is not None
    }
    waiting = {name: query for name, query in by_id.items() if name not in done}
    while waiting:
        ready = [
            name
            for name, query in waiting.items()
            if Expression(query.expression).names <= done.keys()
        ]
        if not ready:
            name, query = next(iter(waiting.items()))
            missing = Expression(query.expression).names - done.keys()
            problem = f"refers to {', '.join(sorted(missing))}"
            raise InvalidInput(f"{field}.{name}.Expression", problem, legal=", ".join(by_id))
        done |= {name: waiting.pop(name) for name in ready}
    return done
