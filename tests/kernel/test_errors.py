"""Errors say what to do about them."""

from __future__ import annotations

import traceback

from clary.kernel.errors import InvalidInput, NotSupported


def test_a_traceback_ends_with_the_hint():
    error = NotSupported("there is no x", hint="pip install x")
    assert "".join(traceback.format_exception(error)).endswith("there is no x\npip install x\n")
    assert str(error) == error.message == "there is no x"


def test_where_there_is_no_hint_nothing_follows():
    assert "".join(traceback.format_exception(InvalidInput("a", "b"))).endswith("a: b\n")
