"""What metrics need of their own: a place for series of slots."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from clary.metrics.model import Metric, Slot


@dataclass(frozen=True, slots=True)
class Selection:
    """Which metrics a list asks for. Unset members do not filter.

    ``dimensions`` must all be there, with the value if it is not None. ``active_since`` is in
    seconds since 1970. The list goes on behind ``after``, in the order of metrics.
    """

    account: str
    region: str
    namespace: str | None = None
    name: str | None = None
    dimensions: Mapping[str, str | None] | None = None
    active_since: int = 0
    after: Metric | None = None
    limit: int = 500


class SeriesStore(Protocol):
    """Slots by metric, at each of the lengths in ``model.KEPT_S``."""

    def add(self, slots: Sequence[Slot]) -> None:
        """Add to what is there, in one transaction, at every length that is still kept.

        Once in a while it prunes, too.

        Raises
        ------
        LimitExceeded
            There would be too many metrics; nothing was added.
        Unavailable
            It cannot be written now.
        """

    def read(self, metric: Metric, *, length_s: int, start: int, end: int) -> Sequence[Slot]:
        """Return the slots of a length that begin in ``[start, end)``, by time and unit.

        ``metric.unit`` is one unit, or empty for all of them. ``length_s`` is a key of
        ``model.KEPT_S``, ``start`` and ``end`` are seconds since 1970.
        """

    def list(self, selection: Selection) -> Sequence[Metric]:
        """List metrics that have slots, in order."""

    def prune(self, at: int) -> None:
        """Remove the slots that are no longer kept at a moment, and metrics without any."""
