import operator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clary.kernel.errors import InvalidInput
from clary.pipelines.steps import ConditionStep, FailStep, holds

NUMBERS = st.integers(-3, 3) | st.sampled_from([-1.5, 0.0, 1.0, 2.5])
ORDERS = {
    "GreaterThan": operator.gt,
    "GreaterThanOrEqualTo": operator.ge,
    "LessThan": operator.lt,
    "LessThanOrEqualTo": operator.le,
    "Equals": operator.eq,
}
COMPARISONS = st.builds(
    lambda kind, left, right: {"Type": kind, "LeftValue": left, "RightValue": right},
    st.sampled_from(sorted(ORDERS)),
    NUMBERS,
    NUMBERS,
)
MEMBERSHIPS = st.builds(
    lambda query, values: {"Type": "In", "QueryValue": query, "Values": values},
    NUMBERS,
    st.lists(NUMBERS, min_size=1, max_size=3),
)
CONDITIONS = st.recursive(
    COMPARISONS | MEMBERSHIPS,
    lambda inner: (
        st.builds(lambda one: {"Type": "Not", "Condition": one}, inner)
        | st.builds(
            lambda several: {"Type": "Or", "Conditions": several},
            st.lists(inner, min_size=1, max_size=3),
        )
    ),
)


def naive(condition):
    match condition["Type"]:
        case "Not":
            return not naive(condition["Condition"])
        case "Or":
            return True in [naive(inner) for inner in condition["Conditions"]]
        case "In":
            return condition["QueryValue"] in condition["Values"]
        case kind:
            return ORDERS[kind](condition["LeftValue"], condition["RightValue"])


@given(CONDITIONS)
def test_conditions_hold_as_they_read(condition):
    ConditionStep().check({"Name": "C", "Arguments": {"Conditions": [condition]}})
    assert holds(condition) is naive(condition)


@pytest.mark.parametrize(
    ("left", "right", "equal"),
    [(True, 1, False), ("1", 1, False), (1, 1.0, True), ("a", "a", True), (False, False, True)],
)
def test_values_of_different_types_are_not_equal(left, right, equal):
    assert holds({"Type": "Equals", "LeftValue": left, "RightValue": right}) is equal
    assert holds({"Type": "In", "QueryValue": left, "Values": ["z", right]}) is equal


@pytest.mark.parametrize(("left", "right"), [("1", 2), (True, False), (None, 1), ([1], [2])])
def test_what_has_no_order_is_an_error(left, right):
    with pytest.raises(InvalidInput, match="cannot be ordered"):
        holds({"Type": "LessThan", "LeftValue": left, "RightValue": right})


@pytest.mark.parametrize(
    ("conditions", "field"),
    [
        (None, "Arguments.Conditions"),
        ([], "Arguments.Conditions"),
        ([5], "Arguments.Conditions[0].Type"),
        ([{"Type": "Near"}], "Arguments.Conditions[0].Type"),
        ([{"Type": []}], "Arguments.Conditions[0].Type"),
        ([{"Type": "Equals", "LeftValue": 1}], "Arguments.Conditions[0].RightValue"),
        (
            [{"Type": "Equals", "LeftValue": 1, "RightValue": {}}],
            "Arguments.Conditions[0].RightValue",
        ),
        ([{"Type": "In", "QueryValue": 1, "Values": 2}], "Arguments.Conditions[0].Values"),
        ([{"Type": "In", "QueryValue": 1, "Values": [[]]}], "Arguments.Conditions[0].Values[0]"),
        ([{"Type": "Or", "Conditions": []}], "Arguments.Conditions[0].Conditions"),
        (
            [{"Type": "Or", "Conditions": [{"Type": "Not"}]}],
            "Arguments.Conditions[0].Conditions[0].Condition",
        ),
    ],
)
def test_malformed_conditions_are_refused_by_member(conditions, field):
    arguments = {} if conditions is None else {"Conditions": conditions}
    with pytest.raises(InvalidInput) as caught:
        ConditionStep().check({"Name": "C", "Arguments": arguments})
    assert caught.value.field == field


def test_a_fail_message_is_text():
    FailStep().check({"Name": "F"})
    FailStep().check({"Name": "F", "Arguments": {"ErrorMessage": {"Get": "Parameters.x"}}})
    with pytest.raises(InvalidInput, match="ErrorMessage"):
        FailStep().check({"Name": "F", "Arguments": {"ErrorMessage": [1]}})
