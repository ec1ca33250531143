"""What the methods of every group stand on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from clary.doors.python.flows import Flow


class Chain:
    """A flow that grows by one transform a call."""

    def _then(self, operator: str, given: Mapping[str, Any], others: Sequence[Flow] = ()) -> Self:
        """Give the flow with one more node, over this one's rows and those of others."""
        raise NotImplementedError
