"""Statistics of features: what a version of a group's offline table holds, counted once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from clary.features.model import STATISTICS
from clary.kernel.clock import now
from clary.kernel.codec import build, plain
from clary.kernel.errors import InvalidInput
from clary.kernel.resource import Query, Resource

if TYPE_CHECKING:
    from clary.features.model import Schema
    from clary.features.ports import OfflineStore
    from clary.features.records import Group
    from clary.features.service import Features
    from clary.kernel.names import Ref
    from clary.kernel.ports import MetadataStore

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
MOST_BINS = 20
MOST_VALUES = 10
LONGEST_VALUE = 200
"""Characters of a frequent text that are told apart."""
_KEPT = 20
"""Versions of a group whose statistics are kept."""


class Bin(Struct, frozen=True):
    """How many numbers lie in ``[start, end)``; in the last bin ``end`` counts too."""

    start: float
    end: float
    count: int


class Frequent(Struct, frozen=True):
    """A value and how many rows have it; a text is cut to 200 characters."""

    value: int | str
    count: int


class FeatureStatistics(Struct, frozen=True):
    """What the values of a feature are like.

    Parameters
    ----------
    feature, type
        Its name; ``Integral``, ``List of String``, …
    missing, present
        Rows without and with a value.
    distinct
        How many values differ, within some percent.
    nan, infinite
        How many are no number, and how many infinite; the members below leave them out.
    is_of_lengths
        Whether the members below are of lengths: of texts in characters, of collections in
        elements.
    minimum, maximum, mean, deviation
        None where there is nothing; the deviation is that of a sample.
    quantiles
        By share, within about a percent of rank.
    histogram
        At most 20 bins of one width.
    frequent
        The most frequent values of texts and whole numbers, which may miss some that are nearly as
        frequent; counts are exact. Identifiers and event times have none.
    """

    feature: str
    type: str
    missing: int
    present: int
    distinct: int
    nan: int = 0
    infinite: int = 0
    is_of_lengths: bool = False
    minimum: float | int | None = None
    maximum: float | int | None = None
    mean: float | None = None
    deviation: float | None = None
    quantiles: dict[str, float] = {}
    histogram: Sequence[Bin] = ()
    frequent: Sequence[Frequent] = ()


class Measured(Struct, frozen=True):
    """The statistics of a table.

    Parameters
    ----------
    rows
        How many there are; those that delete an entity are not counted in anything else.
    deletions
        How many of them delete an entity.
    entities
        How many there are, within some percent.
    """

    rows: int
    deletions: int
    entities: int
    features: Sequence[FeatureStatistics]


class Span(Struct, frozen=True):
    """From when to when the rows of a table are, in microseconds since 1970; None: no rows."""

    rows: int = 0
    oldest_event_us: int | None = None
    newest_event_us: int | None = None
    newest_write_us: int | None = None


class StatisticsEngine(Protocol):
    """Reads tables in bounded memory; files as ``OfflineStore.files`` names them."""

    def measure(self, schema: Schema, files: Sequence[str]) -> Measured:
        """Count what a table holds. Raises LimitExceeded when its memory does not do."""

    def span(self, files: Sequence[str]) -> Span:
        """Say from when to when the rows are."""


class GroupStatistics(Struct, frozen=True):
    """The statistics of a group at a version of its offline table, and when they were counted."""

    group: str
    version: int
    at: str
    measured: Measured


class Statistics:
    """Counts what is in offline tables, once for each version, and keeps it.

    Parameters
    ----------
    store
        Where it is kept.
    features, offline, engine
        The groups, their rows, and what counts.
    """

    def __init__(
        self,
        store: MetadataStore,
        features: Features,
        offline: OfflineStore,
        engine: StatisticsEngine,
    ) -> None:
        self._store = store
        self._features = features
        self._offline = offline
        self._engine = engine

    def of(self, ref: Ref) -> GroupStatistics:
        """Give the statistics of all rows of a group as they are now.

        Raises
        ------
        NotFound
            There is no such group.
        InvalidInput
            It has no offline store.
        """
        group = offline(self._features.group(ref))
        version = self._offline.flush(group.offline_table)
        place = ref.sibling(STATISTICS, f"{ref.name}/{group.uid}/{group.schema.version}", version)
        kept = self._store.get(place)
        if kept is not None:
            return build(GroupStatistics, kept.body)
        files = self._offline.files(group.offline_table, version)
        moment = now()
        made = GroupStatistics(
            ref.name, version, moment.isoformat(), self._engine.measure(group.schema, files)
        )
        if version:
            self._keep(Resource(place, plain(made), moment, moment, parent=ref))
        return made

    def forget(self, ref: Ref) -> None:
        """Forget what was counted of a group, as its rows are no longer what they were."""
        kept = self._kept(ref)
        if kept:
            with self._store.begin() as change:
                for one in kept:
                    if change.get(one.ref) is not None:
                        change.delete(one.ref)

    def _keep(self, made: Resource) -> None:
        older = self._kept(made.parent)[_KEPT - 1 :] if made.parent else ()
        with self._store.begin(durable=False) as change:
            for one in older:
                if change.get(one.ref) is not None:
                    change.delete(one.ref)
            if change.get(made.ref) is None:
                change.insert(made)

    def _kept(self, group: Ref) -> Sequence[Resource]:
        query = Query(STATISTICS, group.account, group.region, parent=group, limit=1_000)
        return self._store.select(query).items


def offline(group: Group) -> Group:
    """Refuse a group that keeps no history. Raises InvalidInput."""
    if not group.is_offline:
        raise InvalidInput(
            "feature group", f"{group.ref.name} has no offline store", legal="one that has"
        )
    return group


def joined(span: Span, more: Sequence[tuple[int, int]]) -> Span:
    """Add the event and write times of further rows.

    Examples
    --------
    >>> joined(Span(), [(5, 9), (7, 8)])
    Span(rows=2, oldest_event_us=5, newest_event_us=7, newest_write_us=9)
    """
    if not more:
        return span
    events, writes = zip(*more, strict=True)
    ends = (span.oldest_event_us, span.newest_event_us, span.newest_write_us)
    oldest, newest, written = (() if one is None else (one,) for one in ends)
    return Span(
        span.rows + len(more),
        min(*oldest, *events, events[0]),
        max(*newest, *events, events[0]),
        max(*written, *writes, writes[0]),
    )
