"""Which running training jobs are not worth their time, by the objective values they log.

A curve is the sequence of those values, one an epoch.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_ENOUGH = 3
"""Fewer curves than this say nothing about another."""
_REDUCTION = 3
"""Hyperband lets one in so many go on."""


def falls_behind(
    curve: Sequence[float], others: Iterable[Sequence[float]], *, maximize: bool
) -> bool:
    """Say whether the last value is worse than the median of the others' running averages.

    The averages are those up to the same epoch; a curve that ended before it is not compared.

    Examples
    --------
    >>> falls_behind([9.0, 8.0], [[5.0, 3.0], [9.0, 4.0], [9.0, 5.0]], maximize=False)
    True
    """
    epoch = len(curve)
    averages = [statistics.fmean(one[:epoch]) for one in others if len(one) >= epoch > 0]
    if len(averages) < _ENOUGH:
        return False
    median = statistics.median(averages)
    return curve[-1] < median if maximize else curve[-1] > median


@dataclass(frozen=True, slots=True)
class Hyperband:
    """Successive halving in several brackets, each of which begins to halve later than the last.

    Nobody waits for anybody: a training job that reaches a rung is compared with those of its
    bracket that have reached it before (L. Li et al., JMLR 18, 2018; asynchronous as L. Li et
    al., MLSys 2020).

    Parameters
    ----------
    least, most
        The epochs that a training job gets at least and at most.
    """

    least: int
    most: int

    def rungs(self, number: int) -> list[int]:
        """Return the epochs at which a trial is compared; at the last, it has had all it gets."""
        deepest = self._deepest()
        sizes = [
            math.ceil((deepest + 1) / (level + 1) * _REDUCTION**level)
            for level in range(deepest, -1, -1)
        ]
        place = number % sum(sizes)
        level = deepest
        for size in sizes:
            if place < size:
                break
            place -= size
            level -= 1
        return [self.most // _REDUCTION**step for step in range(level, -1, -1)]

    def loses(
        self,
        number: int,
        curve: Sequence[float],
        others: Iterable[tuple[int, Sequence[float]]],
        *,
        since: int = 0,
        maximize: bool,
    ) -> bool:
        """Say whether a trial is to be stopped: it lost at a rung, or goes on beyond the last.

        One that ends by itself at the last is let end, since it writes its model then.

        Parameters
        ----------
        number, curve
            The trial.
        others
            Number and curve of every other trial.
        since
            So many values of the curve were judged before: a trial is compared when it reaches a
            rung, not again when others do.
        """
        if len(curve) > self.most:
            return True
        rungs = self.rungs(number)
        sign = 1.0 if maximize else -1.0
        rivals = [other for rival, other in others if self.rungs(rival) == rungs]
        for rung in rungs[:-1]:
            if since < rung <= len(curve):
                reached = [sign * one[rung - 1] for one in rivals if len(one) >= rung]
                ahead = sum(other > sign * curve[rung - 1] for other in reached)
                if ahead >= max(1, (len(reached) + 1) // _REDUCTION):
                    return True
        return False

    def _deepest(self) -> int:
        level = 0
        while self.most // _REDUCTION ** (level + 1) >= self.least:
            level += 1
        return level
