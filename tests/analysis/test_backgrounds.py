"""Rows that stand for a dataset."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from clary.analysis.backgrounds import as_numbers, numbers, representatives

rows = st.lists(
    st.tuples(st.none() | st.floats(allow_nan=False), st.sampled_from(["a", "b", None])),
    min_size=1,
    max_size=30,
)


@given(rows=rows, count=st.integers(1, 5))
@settings(deadline=None)
def test_there_are_at_most_so_many_of_the_same_width_always_the_same(rows, count):
    table = np.array(rows, dtype=object).reshape(-1, 2)
    found = representatives(table, count, seed=3)
    assert 1 <= len(found) <= min(count, len(rows))
    assert found.tolist() == representatives(table, count, seed=3).tolist()
    known = {one for _, one in rows if one is not None}
    assert {one for _, one in found.tolist() if one is not None} <= known


def test_heaps_are_found():
    generator = np.random.default_rng(1)
    heaps = [(0.0, "x"), (100.0, "y"), (-50.0, "z")]
    table = np.array(
        [[at + generator.normal(), name] for at, name in heaps for _ in range(40)], dtype=object
    )
    found = sorted(representatives(table, 3, seed=1).tolist())
    assert [name for _, name in found] == ["z", "x", "y"]
    assert np.allclose([at for at, _ in found], [-50, 0, 100], atol=1)


def test_what_is_a_number():
    table = np.array([[1, "1", True, None], [2.5, "2", False, None]], dtype=object)
    assert numbers(table) == [True, False, False, True]
    assert as_numbers(table[:, [0, 3]])[0].tolist()[0] == 1
    assert np.isnan(as_numbers(table[:, [0, 3]])[:, 1]).all()
