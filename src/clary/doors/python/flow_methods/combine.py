# written by tools/flow_methods.py; do not edit
"""Transforms of the group ``combine``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clary.doors.python.flow_methods.chain import Chain

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Literal, Self

    from clary.doors.python.flows import Flow


class Combine(Chain):
    """Transforms of this group."""

    def concatenate(
        self, *others: Flow, distinct: bool = False, indicator: str = "", labels: Sequence[str] = ()
    ) -> Self:
        """Put the rows of inputs one after another; a column that one has not is missing there.

        Parameters
        ----------
        distinct
            Keep the first of rows that are the same.
        indicator
            The name of a column that tells where a row is from.
        labels
            What it tells, one an input; else ``0``, ``1``, ….
        """
        return self._then(
            "combine.concatenate",
            {"distinct": distinct, "indicator": indicator, "labels": labels},
            others,
        )

    def join(
        self,
        other: Flow,
        *,
        on: Sequence[str | Sequence[str]] = (),
        how: Literal["inner", "left", "right", "full", "left_anti", "left_semi", "cross"] = "inner",
    ) -> Self:
        """Join two inputs. Missing keys match nothing.

        Rows come in the order of the left's, what matches one of them in the order of the right's;
        last are those of the right that match nothing.

        Columns that both have, in whatever case, are called ``name_0`` and ``name_1`` afterwards, with
        ``_dup`` where such a name is taken.

        Parameters
        ----------
        on
            The keys: a name that both have, or the left's and the right's; at most ten.
        how
            Which rows: ``left_semi`` and ``left_anti`` keep the left's columns alone.
        """
        return self._then("combine.join", {"on": on, "how": how}, (other,))
