"""Later values that nobody could put in place are refused where they are hidden."""

from __future__ import annotations

import pytest

import clary
from clary.kernel.errors import InvalidInput

pytestmark = pytest.mark.usefixtures("session")


@clary.step
def one() -> int:
    return 1


@clary.step
def shown(value):
    return repr(value)


class Holder:
    def __init__(self, value):
        self.value = value


def closed_over():
    number = one()
    clary.step(lambda: number + 1).options(name="closing")()


@pytest.mark.parametrize(
    ("body", "place", "hint"),
    [
        (lambda: shown(Holder(one())), "step shown, argument value", "pass it as an argument"),
        (lambda: shown({1: one()}), "step shown, argument value", "a dict whose keys are texts"),
        (closed_over, "step closing: its function", "or pass it as an argument"),
    ],
)
def test_a_later_value_within_an_object_is_refused(body, place, hint):
    def hiding():
        body()

    with pytest.raises(InvalidInput, match="result of step one: cannot be hidden") as refused:
        clary.pipeline(hiding).definition()
    assert place in refused.value.message
    assert hint in refused.value.hint
