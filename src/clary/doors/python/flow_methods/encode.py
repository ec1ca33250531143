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
        style: Literal["columns", "vector"] = "columns",
        output: str = "",
    ) -> Self:
        """Make a column, or a place in a vector, of each category: 1.0 where it is, else 0.0.

        Parameters
        ----------
        column
            The column, which they replace unless there is an ``output``.
        unseen
            What missing and new categories become: ``keep``: one category more, ``unknown``, the last;
            ``skip``: their rows are dropped; ``error``.
        drop_last
            Leave the last category out: it is all zeros.
        style
            ``columns``, named ``<column>_<category>``, or one ``vector``.
        output
            The name of the vector, or what stands before the ``_`` in the names of columns.
        """
        return self._then(
            "encode.one_hot",
            {
                "column": column,
                "unseen": unseen,
                "drop_last": drop_last,
                "style": style,
                "output": output,
            },
        )

    def ordinal(
        self,
        column: str,
        *,
        unseen: Literal["skip", "keep", "error", "nan"] = "keep",
        output: str = "",
    ) -> Self:
        """Number categories from 0.0, the most frequent first.

        Parameters
        ----------
        column
            The column, replaced where it stands.
        unseen
            What missing and new categories become: ``keep``: one number more; ``skip``: their rows are
            dropped; ``nan``; ``error``.
        output
            The name of a new column instead.
        """
        return self._then("encode.ordinal", {"column": column, "unseen": unseen, "output": output})

    def similarity(
        self,
        *columns: str,
        dimensions: int = 30,
        style: Literal["columns", "vector"] = "vector",
        output: str = "",
    ) -> Self:
        """Make vectors of texts, near for similar texts: min-hashes of their 3-grams, 0 to 1.

        Parameters
        ----------
        columns
            The columns. Missing texts count as empty ones.
        dimensions
            How many hashes, 1 to 1,000.
        style
            One ``vector`` where the column stands, or ``columns`` named ``<column>_<number>``.
        output
            The name of the vector, or what stands before the ``_``, where there is one column.
        """
        return self._then(
            "encode.similarity",
            {"columns": columns, "dimensions": dimensions, "style": style, "output": output},
        )

    def target_encode(
        self, *columns: str, target: str, smoothing: float = 10.0, output: str = ""
    ) -> Self:
        """Replace categories by the mean of a target, drawn towards the mean of all where they are few.

        Parameters
        ----------
        columns
            The columns, replaced where they stand. Missing and new categories become the mean of all.
        target
            A column of numbers or of true and false.
        smoothing
            How many rows the mean of all counts for, beside those of the category.
        output
            The name of a new column for what is made of one column.
        """
        return self._then(
            "encode.target",
            {"columns": columns, "target": target, "smoothing": smoothing, "output": output},
        )
