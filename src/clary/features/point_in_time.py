"""What was true of each label's entity at the label's time: the question, and who answers it."""

from __future__ import annotations

from collections.abc import Sequence  # noqa: TC003 - the same
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from clary.features.model import Schema  # noqa: TC001 - a source is read back from JSON

LARGEST_FAN_OUT = 6.0
"""Pairs of a row and a label of one entity, for each row and label, up to which all are tried."""

Form = Literal["arrow", "pandas", "polars"]
Method = Literal["pairs", "asof"]


@dataclass(frozen=True, slots=True)
class Source:
    """The rows of one group at one version, as far as a question needs them.

    Parameters
    ----------
    name
        The group's; its features are named ``<name>.<feature>`` in the answer.
    schema
        Its columns.
    files
        The Parquet files of the version, see ``OfflineStore.files``.
    names
        The features asked for, in order.
    key
        The column of the labels that holds the group's identifier.
    ttl_us
        The age at the label's time from which a row does not count; None: any.
    since_us
        Rows from before this time were removed: labels of then are refused; None: none were.
    """

    name: str
    schema: Schema
    files: Sequence[str]
    names: Sequence[str]
    key: str
    ttl_us: int | None = None
    since_us: int | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of all groups.

    Parameters
    ----------
    sources
        The groups, each once.
    time
        The column of the labels that holds the time ``t``: timestamps (UTC where they have no
        zone), ISO-8601 texts, or seconds since 1970.
    known_at_us
        Only rows that were written until then count; None: all.
    known_at
        The column of the labels that says the same for each label; empty: none.
    """

    sources: Sequence[Source]
    time: str
    known_at_us: int | None = None
    known_at: str = ""


@dataclass(frozen=True, slots=True)
class Encoded:
    """A table as the bytes of a Parquet file that depend on its cells and types alone."""

    data: bytes
    rows: int


class PointInTime(Protocol):
    """The engine that joins labels with the rows of groups.

    The truth at ``t`` is the row with the latest ``event_us <= t``, of those the latest
    ``write_us``, of those the latest ``row``; there is none when it is deleted, or as old as the
    group's TTL. Tables are opaque here: Arrow inside, other forms at the edges.
    """

    def table(self, frame: Any) -> Any:
        """Take an Arrow table, or a pandas or Polars frame. Raises InvalidInput."""

    def join(self, labels: Any, question: Question) -> Any:
        """Append the features asked for to each label, in the order of the labels.

        Raises
        ------
        InvalidInput
            A column is missing, a time cannot be read or lies before ``since_us``, or a key cannot
            be the identifier's type.
        LimitExceeded
            The engine's memory does not do, even with its scratch files.
        """

    def version(self) -> dict[str, str]:
        """Say which libraries, at which versions, answer."""

    def encode(self, table: Any) -> Encoded:
        """Write a table as Parquet, the same bytes for the same cells."""

    def decode(self, data: bytes) -> Any:
        """Read a table back."""

    def convert(self, table: Any, form: Form) -> Any:
        """Give a table as a frame of another library."""


def method(fan_out: float, *, known_per_label: bool) -> Method:
    """Choose how rows and labels meet.

    Trying all pairs of an entity streams, and is the faster while entities have few rows or few
    labels; ordered ``ASOF`` is the other. It cannot ask for each label's own time of knowing.

    Parameters
    ----------
    fan_out
        How many pairs of a row and a label of the same entity there are, for each row and label.
    known_per_label
        Whether each label has its own time of knowing.

    Examples
    --------
    >>> method(1.0, known_per_label=False), method(500.0, known_per_label=False)
    ('pairs', 'asof')
    """
    return "pairs" if known_per_label or fan_out <= LARGEST_FAN_OUT else "asof"
