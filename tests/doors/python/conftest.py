"""A home that this process works on."""

from __future__ import annotations

import pytest

from clary.doors.python.session import connect


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    with connect(tmp_path_factory.mktemp("python") / "home") as opened:
        yield opened
