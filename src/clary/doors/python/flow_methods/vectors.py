# written by tools/flow_methods.py; do not edit
"""Transforms of the group ``vectors``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clary.doors.python.flow_methods.chain import Chain

if TYPE_CHECKING:
    from typing import Literal, Self


class Vectors(Chain):
    """Transforms of this group."""

    def assemble(
        self,
        *columns: str,
        output: str,
        missing: Literal["skip", "keep"] = "skip",
        drops: bool = False,
    ) -> Self:
        """Put numbers and vectors together to one vector; missing where one of them is.

        Parameters
        ----------
        columns
            The columns in order; of a vector as many numbers as the longest has when it is fitted.
        output
            The name of the vector.
        missing
            ``keep``: missing numbers stand in the vector as NaN.
        drops
            Drop the columns.
        """
        return self._then(
            "vectors.assemble",
            {"columns": columns, "output": output, "missing": missing, "drops": drops},
        )

    def flatten_vector(
        self, column: str, *, size: int = 0, output: str = "", drops: bool = True
    ) -> Self:
        """Make a column of each number of a vector: ``column_0`` and so on.

        Parameters
        ----------
        size
            How many; 0: as many as the longest has, which is learned.
        drops
            Drop the vector.
        """
        return self._then(
            "vectors.flatten", {"column": column, "size": size, "output": output, "drops": drops}
        )

    def principal_components(
        self,
        *columns: str,
        output: str,
        variance: float = 0.95,
        components: int = 0,
        drops: bool = True,
    ) -> Self:
        """Turn numbers to their principal components: few that tell most of how rows differ.

        Rows with a missing number, or one that is not finite, are not learned from, and get none.

        Parameters
        ----------
        columns
            Numbers, or vectors.
        output
            The name of the vector of components, the largest variance first; a component's largest
            factor is positive.
        variance
            The least share of all variance that the components tell together, over 0 to 1.
        components
            How many there are; 0: by ``variance``.
        """
        return self._then(
            "vectors.principal_components",
            {
                "columns": columns,
                "output": output,
                "variance": variance,
                "components": components,
                "drops": drops,
            },
        )
