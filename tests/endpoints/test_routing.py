"""Routes are drawn by weight."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from clary.endpoints.model import Route
from clary.endpoints.routing import Table

_ROUTES = st.lists(
    st.builds(
        Route,
        st.sampled_from("abc"),
        st.sampled_from(["f1", "f2", "f3"]),
        st.integers(0, 9).map(float),
        st.none() | st.just(50.0),
    ),
    max_size=6,
)
_DRAWS = st.floats(0, 1, exclude_max=True)


@given(_ROUTES, _DRAWS, st.sampled_from(["", "a", "b", "d"]))
def test_a_pick_is_the_route_whose_share_holds_the_draw(
    routes: list[Route], draw: float, variant: str
) -> None:
    """An exact, slow search finds the same route."""
    legal = [
        at
        for at, route in enumerate(routes)
        if route.shadow is None and (not variant or route.variant == variant)
    ]
    total = sum(routes[at].weight for at in legal)
    found = Table(routes).pick(draw, variant)
    if not legal or (total == 0 and not variant):
        assert found is None
        return
    if total == 0:
        assert found in legal
        return
    target, passed = Fraction(draw * total), Fraction(0)
    for at in legal:
        passed += Fraction(routes[at].weight)
        if target < passed:
            break
    else:
        at = max(one for one in legal if routes[one].weight)
    assert found == at


@given(_ROUTES)
def test_every_route_gets_its_share(routes: list[Route]) -> None:
    """Of evenly spread draws, each route answers as many as its weight says."""
    table = Table(routes)
    total = sum(route.weight for route in routes if route.shadow is None)
    draws = 400
    picks = [table.pick((number + 0.5) / draws) for number in range(draws)]
    for at, route in enumerate(routes):
        if total and route.shadow is None:
            assert abs(picks.count(at) - draws * route.weight / total) <= 1
        else:
            assert at not in picks
