# written by tools/flow_methods.py; do not edit
"""Transforms of the group ``sampling``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clary.doors.python.flow_methods.chain import Chain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Literal, Self


class Sampling(Chain):
    """Transforms of this group."""

    def head(self, rows: int) -> Self:
        """Keep the first rows."""
        return self._then("sampling.limit", {"rows": rows})

    def sample(
        self,
        *,
        rows: int = 0,
        fraction: float = 0.0,
        stratify: Sequence[str] = (),
        seed: int = 0,
        key: Sequence[str] = (),
    ) -> Self:
        """Keep a random part of the rows, each as likely, the same for the same seed, in their order.

        Parameters
        ----------
        rows
            How many; 0: by ``fraction``.
        fraction
            The share of rows, 0 to 1: of all, about; of every stratum to the row, rounded up.
        stratify
            The columns of which every combination is a stratum; ``rows`` are shared out by size.
        key
            Draw by what these columns hold, all rows of a key together: the same on every engine, in
            whatever order rows are. Only of a ``fraction``, which is of keys, about.
        """
        return self._then(
            "sampling.sample",
            {"rows": rows, "fraction": fraction, "stratify": stratify, "seed": seed, "key": key},
        )

    def split(
        self,
        part: str,
        shares: Mapping[str, float],
        *,
        by: Literal["random", "ordered", "stratified", "key"] = "random",
        columns: Sequence[str] = (),
        seed: int = 0,
    ) -> Self:
        """Keep one part of a split; nodes that name the other parts get the other rows.

        Parameters
        ----------
        part
            The part whose rows are kept.
        shares
            The share of each part, in order, together 1: ``{"train": 0.8, "test": 0.2}``.
        by
            ``random``; ``ordered``: by columns, else as rows stand; ``stratified``: the same of every
            combination of columns; ``key``: rows with the same values in columns stay together, and
            shares are of such values, about.
        columns
            What ``by`` goes by.
        """
        return self._then(
            "sampling.split",
            {"part": part, "shares": shares, "by": by, "columns": columns, "seed": seed},
        )
