"""What was learned, from files that may hold anything."""

import pytest

import clary
from clary.flows.fitted import digest
from clary.flows.model import Node
from clary.kernel.errors import InvalidInput


@pytest.mark.parametrize("text", [b"{", b"\xff", b"[" * 100_000, b"[]", b'{"nodes": {"a": 5}}'])
def test_a_state_that_is_none_is_told_with_the_file(text, tmp_path):
    place = clary.Flow([{"a": 1}]).save(tmp_path / "a.flow.json")
    (tmp_path / "a.fitted.json").write_bytes(text)
    with pytest.raises(InvalidInput, match=r"a\.flow\.json: fitted"):
        clary.Flow.load(place)


def test_a_node_that_there_is_not_is_told_when_the_flow_is_opened(tmp_path):
    place = clary.Flow([{"a": 1}]).save(tmp_path / "a.flow.json")
    with pytest.raises(InvalidInput, match="no node 'b'"):
        clary.Flow.load(place, node="b")


def test_a_parameter_that_says_its_default_changes_nothing():
    short = Node("n", "numeric.standard", {"columns": ["a"]}, ("s",))
    long = Node("n", "numeric.standard", {"columns": ["a"], "center": True}, ("s",))
    other = Node("n", "numeric.standard", {"columns": ["a"], "center": False}, ("s",))
    assert digest(short) == digest(long) != digest(other)
