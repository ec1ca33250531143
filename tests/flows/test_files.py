"""Flows as files: what is written is whole, and nothing else is touched."""

import pytest

from clary.flows import files
from clary.flows.fitted import NOTHING, Fitted, Learned
from clary.flows.model import Flow, Node
from clary.kernel.errors import InvalidInput

FLOW = Flow((Node("rows", "source", {"path": "rows.csv"}),))
LEARNED = Fitted({"rows": Learned("0" * 16, (("a", "bigint"),), {})})


def test_a_flow_comes_back_with_what_it_has_learned(tmp_path):
    path = files.write(tmp_path / "a.flow.json", FLOW, LEARNED)
    assert files.read(path) == (FLOW, LEARNED)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["a.fitted.json", "a.flow.json"]
    files.write(path, FLOW, NOTHING)
    assert files.read(path) == (FLOW, NOTHING)
    assert [one.name for one in tmp_path.iterdir()] == ["a.flow.json"]


def test_what_is_learned_follows_no_link(tmp_path):
    path = files.write(tmp_path / "a.flow.json", FLOW, NOTHING)
    mine = tmp_path / "mine.txt"
    mine.write_text("mine")
    (tmp_path / "a.fitted.json").symlink_to(mine)
    files.write_fitted(path, LEARNED)
    assert mine.read_text() == "mine"
    assert files.read(path) == (FLOW, LEARNED)


def test_the_link_that_somebody_saves_to_stays_one(tmp_path):
    real, link = tmp_path / "real.flow.json", tmp_path / "a.flow.json"
    link.symlink_to(real)
    files.write(link, FLOW, NOTHING)
    assert link.is_symlink()
    assert files.read(real) == (FLOW, NOTHING)


@pytest.mark.parametrize("name", ["a.flow.json", "a.fitted.json"])
def test_a_file_that_is_too_large_is_not_read(tmp_path, name):
    path = files.write(tmp_path / "a.flow.json", FLOW, LEARNED)
    with (tmp_path / name).open("r+b") as file:
        file.truncate(1 << 30)
    with pytest.raises(InvalidInput, match="is larger than"):
        files.read(path)
