"""Graphs of any transforms at random: joins, groups, pivots, series, samples and all the rest.

Each is grown a node at a time; what is refused must say at which node. Then the same cells come
from the flow saved and loaded, from each record alone, from the SQL and from the Python that are
exported; and other rows get the same columns by what was learned. ``whole.check(seed)`` does it.
"""

import pytest
from whole import check


@pytest.mark.parametrize("block", range(4))
def test_flows_are_the_same_everywhere(block):
    for seed in range(block * 20, block * 20 + 20):
        check(seed)


@pytest.mark.long
@pytest.mark.parametrize("block", range(50))
def test_many_flows_are_the_same_everywhere(block):
    for seed in range(10_000 + block * 40, 10_000 + block * 40 + 40):
        check(seed)
