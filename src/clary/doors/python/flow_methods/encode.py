# written by tools/flow_methods.py; do not edit
"""Transforms of the group ``encode``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clary.doors.python.flow_methods.chain import Chain

if TYPE_CHECKING:
    from typing import Literal, Self


class Encode(Chain):
    """Transforms of this group."""

    def one_hot(
        self,
        column: str,
        *,
        unseen: Literal["skip", "keep", "error"] = "keep",
        drop_last: bool = False,
    ) -> Self:
        """Make a column of each category: 1.0 where it is, else 0.0."""
        return self._then(
            "encode.one_hot", {"column": column, "unseen": unseen, "drop_last": drop_last}
        )
