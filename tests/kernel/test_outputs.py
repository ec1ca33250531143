"""Outputs that steps declare."""

import pytest

from clary.kernel.errors import InvalidInput
from clary.kernel.outputs import OutputParameter, declared, listed, typed


@pytest.mark.parametrize(
    ("kind", "value", "read"),
    [
        ("String", "a", "a"),
        ("String", 5, "5"),
        ("String", {"a": [1]}, '{"a":[1]}'),
        ("Integer", "-12", -12),
        ("Integer", 7, 7),
        ("Integer", 7.0, 7),
        ("Float", "0.5", 0.5),
        ("Float", 2, 2.0),
        ("Boolean", "True", True),
        ("Boolean", False, False),
    ],
)
def test_values_are_read_by_type(kind, value, read):
    found = OutputParameter("o", kind).read(value)
    assert (found, type(found)) == (read, type(read))


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("Integer", "1.5"),
        ("Integer", True),
        ("Integer", "9" * 30),
        ("Float", "nan"),
        ("Float", True),
        ("Float", []),
        ("Boolean", 1),
        ("Boolean", "yes"),
        ("String", "x" * 1025),
    ],
)
def test_what_is_of_another_type_is_refused(kind, value):
    with pytest.raises(InvalidInput, match="o: "):
        OutputParameter("o", kind).read(value)


def test_every_declared_output_must_be_given():
    outputs = declared({"OutputParameters": [{"OutputName": "a"}, {"OutputName": "b"}]})
    assert listed(typed(outputs, {"a": "1", "b": True, "c": 0})) == [
        {"Name": "a", "Value": "1"},
        {"Name": "b", "Value": "true"},
    ]
    with pytest.raises(InvalidInput, match="b: is declared as an output and not given"):
        typed(outputs, {"a": "1", "b": None})
