"""A view over many rows: joined with the history of its groups, then computed."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace as replaced

from clary.features.definitions import EVENT_TIME
from clary.features.point_in_time import Question, Source
from clary.features.training_sets import microseconds
from clary.features.view_engine import Asked, Column, Span, Stream

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from clary.features.definitions import Checked
    from clary.features.definitions import Stream as Windowed
    from clary.features.model import Value
    from clary.features.point_in_time import PointInTime
    from clary.features.ports import OfflineStore
    from clary.features.training_sets import Wanted
    from clary.features.view_engine import ViewEngine
    from clary.kernel.names import Ref


def aggregated(name: str) -> str:
    """Name the column of an aggregate beside labels."""
    return f"aggregates.{name}"


class Batch:
    """Computes a view for labels.

    Parameters
    ----------
    checked
        The view.
    offline
        The history of its groups.
    joins, engine
        What joins and what computes.

    Attributes
    ----------
    versions
        At which versions of their tables groups were aggregated.
    """

    def __init__(
        self, checked: Checked, offline: OfflineStore, joins: PointInTime, engine: ViewEngine
    ) -> None:
        self._checked = checked
        self._offline = offline
        self._joins = joins
        self._engine = engine
        self.versions: dict[Ref, int] = {}

    def aggregated(self, labels: Any, wanted: Wanted) -> Any:
        """Append the view's aggregates to labels of any form. Raises InvalidInput."""
        table = self._joins.table(labels)
        known = wanted.known_at
        known_us = microseconds(known) if isinstance(known, datetime) else None
        column = known if isinstance(known, str) else ""
        return self.windowed(table, Asked("", wanted.time, known_us, column), wanted.keys or {})

    def windowed(self, table: Any, asked: Asked, keys: Mapping[str, str]) -> Any:
        """Append the aggregates to a table: ``aggregated(name)`` is the column of each.

        Parameters
        ----------
        asked
            Its key is none: ``keys`` says by group which column has it, the identifier's else.
        """
        for stream in self._checked.streams:
            key = keys.get(stream.group.ref.name, stream.group.schema.identifier)
            question = replace(asked, key=key)
            table = self._engine.aggregate(table, question, self._stream(stream))
        return table

    def wanted(self, wanted: Wanted) -> Wanted:
        """Say what to ask of the groups beside labels that have the aggregates."""
        view = self._checked.view
        names = [f"{group}.{one}" for group in view.sources for one in view.columns(group)]
        if not names:  # something must be asked for: what is known already
            stream = self._checked.streams[0].group
            names = [f"{stream.ref.name}.{stream.schema.identifier}"]
        groups = {one.partition(".")[0] for one in names}
        keys = {group: key for group, key in (wanted.keys or {}).items() if group in groups}
        return replace(wanted, features=names, keys=keys)

    def finished(self, joined: Any) -> Any:
        """Compute the features of labels that were joined; gives the labels' columns and them.

        A feature takes the place of a column of its name. Raises InvalidInput where an expression
        fails.
        """
        own = {column.name for column in self._read().values()} - self._checked.view.inputs.keys()
        stream = [
            f"{one.group.ref.name}.{one.group.schema.identifier}" for one in self._checked.streams
        ]
        made = self._made()
        gone = own | made.keys() | set(stream)
        kept = [name for name in joined.column_names if name not in gone]
        return self._engine.beside(joined, kept, self._engine.compute(joined, self._read(), made))

    def stored(self, keys: Sequence[str], at_us: int) -> Sequence[Mapping[str, Value]]:
        """Compute what needs no request of entities at a time, by feature, for each entity.

        Only what was written until that time counts.
        """
        (identifier,) = self._checked.identifiers
        asked = self._engine.asked(identifier, keys, at_us)
        asked = self.windowed(asked, Asked(identifier, EVENT_TIME, at_us), {})
        if self._checked.view.sources:
            asked = self._joins.join(asked, Question(self.sources(), EVENT_TIME, at_us))
        every = self._made()
        made = {feature.name: every[feature.name] for feature in self._checked.stored}
        return self._engine.rows(self._engine.compute(asked, self._read(), made))

    def sources(self) -> Sequence[Source]:
        """Give the groups whose latest values it reads, with all that was acknowledged."""
        return [self._source(group) for group in self._checked.view.sources]

    def keys(self, after_us: int, until_us: int) -> list[str]:
        """List the entities whose features may have changed in ``(after_us, until_us]``.

        Those with rows in that time, or written in it, and those with rows that left a window.
        """
        longest = {
            stream.group.ref: max(one.window_us for one in stream.aggregates)
            for stream in self._checked.streams
        }
        found: set[str] = set()
        for group in self._checked.groups.values():
            first_us = after_us - longest.get(group.ref, 0)
            files = self._files(group.offline_table)
            events, writes = Span(first_us, until_us), Span(after_us, until_us)
            found.update(self._engine.keys(group.schema, files, events, writes))
        return sorted(found)

    def _made(self) -> dict[str, str]:
        pairs = zip(self._checked.features, self._checked.expressions, strict=True)
        return {feature.name: expression.sql() for feature, expression in pairs}

    def _stream(self, stream: Windowed) -> Stream:
        named = [replaced(one, name=aggregated(one.name)) for one in stream.aggregates]
        table = stream.group.offline_table
        version = self._offline.flush(table)
        self.versions[stream.group.ref] = version
        files = self._offline.files(table, version)
        return Stream(stream.group.schema, files, stream.read, named)

    def _source(self, group: str) -> Source:
        found = self._checked.groups[group]
        return Source(
            group,
            found.schema,
            self._files(found.offline_table),
            list(self._checked.view.columns(group)),
            found.schema.identifier,
            found.ttl_us,
        )

    def _files(self, table: str) -> Sequence[str]:
        return self._offline.files(table, self._offline.flush(table))

    def _read(self) -> Mapping[str, Column]:
        """Say where the columns that expressions read are beside labels."""
        view, types = self._checked.view, self._checked.columns
        places = {
            name: f"{group}.{feature}"
            for group in view.sources
            for feature, name in view.columns(group).items()
        }
        places |= {name: aggregated(name) for name in view.aggregates}
        places |= {name: name for name in view.inputs}
        return {name: Column(places[name], kind.duckdb) for name, kind in types.items()}
