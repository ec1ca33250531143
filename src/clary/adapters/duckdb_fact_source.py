"""The groups of a view as the source of logged facts: what their history says of a request."""

from __future__ import annotations

from dataclasses import replace
from itertools import starmap
from typing import TYPE_CHECKING, Any

from clary.adapters.duckdb_session import library
from clary.features.batch import aggregated
from clary.features.point_in_time import Question
from clary.features.skew import Truth
from clary.features.view_engine import Asked
from clary.features.view_log import keys_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from clary.features.batch import Batch
    from clary.features.definitions import Checked
    from clary.features.facts import Fact
    from clary.features.point_in_time import PointInTime

_AT, _KNOWN, _SETTLED = "request at", "request known", "request settled"
"""Columns beside the identifiers; no feature's name has a space."""
_LAG_US = 10_000_000
"""By then aggregates have followed what was written."""


class GroupSource:
    """The port ``Source`` over the offline records of the groups that a view reads.

    Parameters
    ----------
    checked
        The view. What requests bring is not looked up.
    batch
        Names the groups' files, and computes aggregates.
    joins
        What joins.
    """

    def __init__(self, checked: Checked, batch: Batch, joins: PointInTime) -> None:
        self._identifiers = checked.identifiers
        self._batch = batch
        self._sources = batch.sources()
        self._joins = joins
        self._places = {
            column: f"{group}.{feature}"
            for group in checked.view.sources
            for feature, column in checked.view.columns(group).items()
        }
        self._windowed = {name: aggregated(name) for name in checked.view.aggregates}
        self.columns = [*self._places, *self._windowed]

    def known(self, facts: Sequence[Fact]) -> Sequence[Mapping[str, Truth]]:
        """Say what is true at the times of requests; see ``Source``."""
        if not self.columns or not facts:
            return [{} for _ in facts]
        labels = self._labels(facts)
        latest, windowed = self._latest(labels), self._aggregates(labels)
        truths = zip(*(latest | windowed).values(), strict=True)
        return [dict(zip(self.columns, row, strict=True)) for row in truths]

    def _latest(self, labels: Any) -> dict[str, Sequence[Truth]]:
        """Give the truths of the groups' latest values, by column."""
        if not self._sources:
            return {}
        ageless = [replace(source, ttl_us=None) for source in self._sources]
        now, then, old = (
            self._joins.join(labels, question)
            for question in (
                Question(self._sources, _AT),
                Question(self._sources, _AT, known_at=_KNOWN),
                Question(ageless, _AT),
            )
        )
        return {
            name: _truths(now[place], then[place], old[place], then[place])
            for name, place in self._places.items()
        }

    def _aggregates(self, labels: Any) -> dict[str, Sequence[Truth]]:
        """Give the truths of aggregates, by column; they have no age."""
        if not self._windowed:
            return {}
        now, then, settled = (
            self._batch.windowed(labels, Asked("", _AT, known_at=known), {})
            for known in ("", _KNOWN, _SETTLED)
        )
        return {
            name: _truths(now[place], then[place], now[place], settled[place])
            for name, place in self._windowed.items()
        }

    def _labels(self, facts: Sequence[Fact]) -> Any:
        pa = library("pyarrow")
        keys = [keys_of(fact.entity, self._identifiers) for fact in facts]
        moment = pa.timestamp("us", "UTC")
        columns = {
            name: pa.array([one[name] for one in keys], pa.string()) for name in self._identifiers
        }
        columns[_AT] = pa.array([fact.event_us for fact in facts], moment)
        for name, lag_us in ((_KNOWN, 0), (_SETTLED, _LAG_US)):
            columns[name] = pa.array([fact.write_us - lag_us for fact in facts], moment)
        return pa.table(columns)


def _truths(*columns: Any) -> Sequence[Truth]:
    return list(starmap(Truth, zip(*(one.to_pylist() for one in columns), strict=True)))
