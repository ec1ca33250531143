"""Which route a request takes: by weight, or by the variant it names."""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from clary.endpoints.model import Route


class Table:
    """The routes of one endpoint, ready to be drawn from; each is named by its position.

    Parameters
    ----------
    routes
        As the endpoint's body lists them. Shadows are never drawn.

    Examples
    --------
    >>> from clary.endpoints.model import Route
    >>> table = Table([Route("a", "f1", 3.0), Route("b", "f2", 1.0), Route("b", "f3", 1.0)])
    >>> [table.pick(draw) for draw in (0.0, 0.59, 0.6, 0.99)]
    [0, 0, 1, 2]
    >>> [table.pick(draw, "b") for draw in (0.49, 0.5)], table.pick(0.5, "c")
    ([1, 2], None)
    """

    def __init__(self, routes: Sequence[Route]) -> None:
        served = [at for at, route in enumerate(routes) if route.shadow is None]
        by_variant: dict[str, list[int]] = {}
        for at in served:
            by_variant.setdefault(routes[at].variant, []).append(at)
        weights = [max(0.0, route.weight) for route in routes]
        self._all = _Draws(served, weights)
        self._named: Mapping[str, _Draws] = {
            name: _Draws(members, weights) for name, members in by_variant.items()
        }
        self.variants = tuple(by_variant)

    def pick(self, draw: float, variant: str = "") -> int | None:
        """Return the position of the route that a request takes; None when there is none.

        Parameters
        ----------
        draw
            A number in [0, 1).
        variant
            Its name, where only that may answer; one whose weight is 0 then answers too.
        """
        if not variant:
            return self._all.at(draw)
        named = self._named.get(variant)
        return None if named is None else named.at(draw) if named.total else named.any(draw)


class _Draws:
    """Positions with weights."""

    def __init__(self, positions: Sequence[int], weights: Sequence[float]) -> None:
        self._positions = positions
        self._sums = list(accumulate(weights[at] for at in positions))
        self.total = self._sums[-1] if self._sums else 0.0
        # rounding may bring a draw to the very end: the last that has a weight takes it
        self._last = next((at for at in reversed(positions) if weights[at] > 0), None)

    def at(self, draw: float) -> int | None:
        """Return the position whose share holds ``draw``; None when nothing has a weight."""
        place = bisect_right(self._sums, draw * self.total)
        return self._positions[place] if place < len(self._sums) else self._last

    def any(self, draw: float) -> int:
        """Return one of the positions, all alike."""
        return self._positions[int(draw * len(self._positions))]
