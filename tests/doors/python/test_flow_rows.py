"""Rows of flows as they are shown."""

from __future__ import annotations

import sys

import pytest

import clary


@pytest.fixture
def rows():
    return clary.Flow([{"id": 1, "said": "<b>"}, {"id": 2, "said": None}]).preview()


def test_they_are_printed_with_their_size(rows):
    assert repr(rows).splitlines()[-1] == "2 rows, 2 columns"
    one = clary.Flow([{"id": 1}]).preview()
    assert repr(one).splitlines()[-1] == "1 row, 1 column"


def test_notebooks_show_a_table_whatever_is_installed(rows, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    assert rows._repr_html_() == (
        "<table><tr><th title='int64'>id</th><th title='string'>said</th></tr>"
        "<tr><td>1</td><td>&lt;b&gt;</td></tr><tr><td>2</td><td></td></tr></table>"
        "<p>2 rows, 2 columns</p>"
    )


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_a_frame_of_what_is_not_installed_is_refused(rows, library, monkeypatch):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(clary.NotSupported, match=f"needs the package {library}") as refused:
        getattr(rows, f"to_{library}")()
    assert refused.value.hint == f"pip install {library}"
