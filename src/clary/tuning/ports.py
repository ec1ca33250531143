"""What tuning needs of its own: a search that proposes values and learns from what they gave."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from clary.tuning.ranges import Range

Sampling = Literal["Bayesian", "Random"]


class Study(Protocol):
    """What was tried of one algorithm, in memory: our own tables hold it for good.

    Two studies that were told the same, in the order of the numbers, propose the same.
    """

    def ask(self, number: int) -> Mapping[str, str]:
        """Propose values for the next trial, and count it as running."""

    def add(self, number: int, values: Mapping[str, str]) -> None:
        """Count a trial as running whose values came from elsewhere.

        Values outside the ranges are left out of what is learned.
        """

    def tell(self, number: int, value: float | None) -> None:
        """Say what a running trial gave; None when it failed."""


class Studies(Protocol):
    """Opens studies."""

    def require(self) -> None:
        """Refuse when this installation cannot search. Raises NotSupported."""

    def open(
        self, ranges: Sequence[Range], sampling: Sampling, *, maximize: bool, seed: int
    ) -> Study:
        """Begin a study that knows nothing yet. Raises NotSupported."""
