"""The nouns of the feature store: groups, their schemas, and records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

FEATURE_GROUP = "feature-group"
FEATURE = "feature"
"""A feature's own description and parameters; named ``<group>/<feature>``."""
STATISTICS = "feature-statistics"
"""What was counted of a version of a group's offline table."""
RETENTION = "feature-retention"
"""How long rows of a group are kept."""
LARGEST_RECORD = 350_000
"""Bytes of a record."""

FeatureType = Literal["Integral", "Fractional", "String"]
CollectionType = Literal["List", "Set", "Vector"]
Value = int | float | str | list[int] | list[float] | list[str] | None
"""A feature's value: int, float or str by its type, a list of those in collections."""


class Feature(Struct, frozen=True):
    """One column of a group.

    Parameters
    ----------
    name
        Unique in its group, ignoring case.
    kind
        What its values are: 64-bit integers, 64-bit floats, text.
    collection
        Set for lists, sets (no order, no repeats; kept sorted) and vectors.
    dimension
        The length of every vector.
    """

    name: str
    kind: FeatureType
    collection: CollectionType | None = None
    dimension: int | None = None


class Schema(Struct, frozen=True):
    """The columns of a group; features are only ever added at the end, which is a new version.

    Parameters
    ----------
    features
        In their order; a record's values stand in the same.
    identifier, event_time
        Names of the features that say which entity a record is of, and when it was true.
    version
        1 at first. A record knows the version it was written with; what it lacks is missing.
    """

    features: tuple[Feature, ...]
    identifier: str
    event_time: str
    version: int = 1


class Record(Struct, frozen=True, gc=False):
    """What is known of one entity at one time.

    Parameters
    ----------
    key
        The identifier, as text.
    event_us
        When it was true: microseconds since 1970, UTC.
    write_us
        When it was written here; breaks ties of equal event times.
    values
        In the order of the schema; None where missing.
    schema
        The version of the schema they were written with.
    is_deleted
        A tombstone: from ``event_us`` on there is nothing.
    expires_us
        When it stops to count online; None: never.
    """

    key: str
    event_us: int
    write_us: int
    values: tuple[Value, ...]
    schema: int = 1
    is_deleted: bool = False
    expires_us: int | None = None


class Snapshot(Struct, frozen=True):
    """An offline table as of one moment: a version's files, and what is not yet part of it.

    Parameters
    ----------
    version
        0 when nothing was ever flushed.
    files
        Its Parquet files.
    unflushed
        The further records with their row numbers, in the order they came.
    """

    version: int
    files: Sequence[str]
    unflushed: Sequence[tuple[int, Record]]


class Backlog(Struct, frozen=True):
    """What waits to become part of an offline table.

    Parameters
    ----------
    oldest_us
        When the first of it came, in microseconds since 1970; None: nothing waits.
    files
        How many files the table has.
    """

    table: str
    size_bytes: int
    oldest_us: int | None
    files: int
