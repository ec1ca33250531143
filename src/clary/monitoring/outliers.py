"""The captured rows behind violations of data quality: how many, why, and a few of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct

from clary.analysis import checks, deviations
from clary.analysis.deviations import Range

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from clary.analysis import statistics
    from clary.analysis.constraints import Constraints, Feature
    from clary.analysis.deviations import Column, Group, Shift
    from clary.analysis.statistics import Statistics
    from clary.monitoring.captured import Captured

MOST_EXAMPLES = 5


class Example(Struct, frozen=True):
    """A row that is outside: its value, and the request that it is of."""

    value: str | None
    at: str
    event_id: str
    inference_id: str


class Rows(Struct, frozen=True):
    """Rows that are outside for one reason: ``count`` of ``of`` rows ``what``."""

    what: str
    count: int
    of: int
    examples: tuple[Example, ...] = ()


def outliers(
    read: Captured,
    required: Constraints,
    known: Statistics | None,
    shifts: Mapping[str, Sequence[Shift]],
) -> dict[str, tuple[Rows, ...]]:
    """Find the rows that are outside the baseline, by column and reason.

    Parameters
    ----------
    read
        The rows.
    required, known
        The baseline; its statistics may be gone.
    shifts
        The columns to look at, and where their distributions moved to; nowhere: they did not.
    """
    places = {name: at for at, name in enumerate(checks.names_of(read.columns, required))}
    ranges = dict(_ranges(known)) if known else {}
    return {
        feature.name: tuple(_rows(read, places[feature.name], feature, ranges, moved))
        for feature in required.features
        if (moved := shifts.get(feature.name)) is not None and feature.name in places
    }


def _rows(
    read: Captured,
    place: int,
    feature: Feature,
    ranges: Mapping[str, Range],
    moved: Sequence[Shift],
) -> Iterator[Rows]:
    column = deviations.column(read.table.column(read.columns[place]))
    for group in _groups(column, feature, ranges.get(feature.name), moved):
        yield Rows(group.what, group.rows, len(column.texts), _examples(read, column, group))


def _groups(
    column: Column, feature: Feature, known: Range | None, moved: Sequence[Shift]
) -> Iterator[Group]:
    told = np.zeros(len(column.texts), dtype=np.bool_)
    for group in deviations.outside(column, feature, known):
        told |= group.is_in
        yield group
    gainer = max(moved, key=lambda one: one.gained, default=None)
    if gainer is not None and gainer.gained > 0:
        group = deviations.gained(column, gainer)
        if (group.is_in & ~told).any():
            yield group


def _examples(read: Captured, column: Column, group: Group) -> tuple[Example, ...]:
    """Take some rows of a group, evenly over the time."""
    there = np.flatnonzero(group.is_in)
    chosen = np.linspace(0, len(there) - 1, min(MOST_EXAMPLES, len(there)), dtype=np.int64)
    places = there[chosen].tolist()
    asked = read.requests(places)
    values = column.texts.take(places).to_pylist()
    return tuple(Example(value, **one) for value, one in zip(values, asked, strict=True))


def _ranges(known: Statistics) -> Iterator[tuple[str, Range]]:
    for feature in known.features:
        found: statistics.NumericalStatistics | None = feature.numerical_statistics
        if found is not None and found.min is not None and found.max is not None:
            yield feature.name, Range(found.min, found.max)
