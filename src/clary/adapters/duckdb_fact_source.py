"""The groups of a view as the source of logged facts: what their history says of a request."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from clary.adapters.duckdb_session import library
from clary.features.point_in_time import Question
from clary.features.skew import Truth
from clary.features.view_log import keys_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from clary.features.batch import Batch
    from clary.features.definitions import Checked
    from clary.features.facts import Fact
    from clary.features.point_in_time import PointInTime

_AT, _KNOWN = "request at", "request known"
"""Columns beside the identifiers; no feature's name has a space."""


class GroupSource:
    """The port ``Source`` over the offline records of the groups that a view reads.

    Parameters
    ----------
    checked
        The view. Its aggregates and what requests bring are not looked up.
    batch
        Names the groups' files.
    joins
        What joins.
    """

    def __init__(self, checked: Checked, batch: Batch, joins: PointInTime) -> None:
        self._identifiers = checked.identifiers
        self._sources = batch.sources()
        self._joins = joins
        self._places = {
            column: f"{group}.{feature}"
            for group in checked.view.sources
            for feature, column in checked.view.columns(group).items()
        }
        self.columns = list(self._places)

    def known(self, facts: Sequence[Fact]) -> Sequence[Mapping[str, Truth]]:
        """Say what is true at the times of requests; see ``Source``."""
        if not self._sources or not facts:
            return [{} for _ in facts]
        labels = self._labels(facts)
        ageless = [replace(source, ttl_us=None) for source in self._sources]
        found = zip(
            self._joined(labels, Question(self._sources, _AT)),
            self._joined(labels, Question(self._sources, _AT, known_at=_KNOWN)),
            self._joined(labels, Question(ageless, _AT)),
            strict=True,
        )
        return [
            {name: Truth(now[name], then[name], old[name]) for name in self.columns}
            for now, then, old in found
        ]

    def _labels(self, facts: Sequence[Fact]) -> Any:
        pa = library("pyarrow")
        keys = [keys_of(fact.entity, self._identifiers) for fact in facts]
        moment = pa.timestamp("us", "UTC")
        columns = {
            name: pa.array([one[name] for one in keys], pa.string()) for name in self._identifiers
        }
        columns[_AT] = pa.array([fact.event_us for fact in facts], moment)
        columns[_KNOWN] = pa.array([fact.write_us for fact in facts], moment)
        return pa.table(columns)

    def _joined(self, labels: Any, question: Question) -> list[dict[str, Any]]:
        table = self._joins.join(labels, question)
        columns = [table[place].to_pylist() for place in self._places.values()]
        return [dict(zip(self._places, row, strict=True)) for row in zip(*columns, strict=True)]
