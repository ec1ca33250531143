"""The step kinds that belong to pipelines themselves: Condition and Fail."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

from clary.kernel.errors import InvalidInput
from clary.kernel.steps import ImmediateStep, StepResult
from clary.pipelines.expressions import is_expression

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from clary.kernel.ports import Transaction
    from clary.kernel.steps import StepRun

_ORDERS: Mapping[str, Callable[[Any, Any], bool]] = {
    "GreaterThan": operator.gt,
    "GreaterThanOrEqualTo": operator.ge,
    "LessThan": operator.lt,
    "LessThanOrEqualTo": operator.le,
}
_MEMBERS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("Equals", *_ORDERS), ("LeftValue", "RightValue")),
    "In": ("QueryValue", "Values"),
    "Not": ("Condition",),
    "Or": ("Conditions",),
}
_LONGEST_MESSAGE = 3072


class ConditionStep(ImmediateStep):
    """Decides between IfSteps (all conditions hold) and ElseSteps."""

    def check(self, step: Mapping[str, Any]) -> None:
        """Refuse conditions of an unknown type or without their members."""
        field = "Arguments.Conditions"
        conditions = step.get("Arguments", {}).get("Conditions")
        if not isinstance(conditions, list) or not conditions:
            raise InvalidInput(field, "no list of conditions")
        for index, condition in enumerate(conditions):
            _check_condition(condition, f"{field}[{index}]")

    def start(self, run: StepRun, transaction: Transaction) -> StepResult:  # noqa: ARG002 - port
        """Evaluate the conditions, at once."""
        outcome = all(holds(condition) for condition in run.arguments["Conditions"])
        return StepResult(
            "Succeeded",
            properties={"Outcome": outcome},
            metadata={"Condition": {"Outcome": str(outcome)}},
            branch="IfSteps" if outcome else "ElseSteps",
        )


class FailStep(ImmediateStep):
    """Fails the execution with a message."""

    def check(self, step: Mapping[str, Any]) -> None:
        """Refuse a message that is neither text nor an expression."""
        message = step.get("Arguments", {}).get("ErrorMessage", "")
        if not isinstance(message, str) and not is_expression(message):
            raise InvalidInput("Arguments.ErrorMessage", "not a text")

    def start(self, run: StepRun, transaction: Transaction) -> StepResult:  # noqa: ARG002 - port
        """Fail, at once."""
        message = str(run.arguments.get("ErrorMessage", ""))[:_LONGEST_MESSAGE]
        return StepResult("Failed", metadata={"Fail": {"ErrorMessage": message}}, reason=message)


def holds(condition: Mapping[str, Any]) -> bool:
    """Say whether a condition with resolved operands holds.

    Equals and In compare values of different types as different (1 and 1.0 are one type); the
    order of a number and a text is an error.

    Raises
    ------
    InvalidInput
        Its operands cannot be ordered.

    Examples
    --------
    >>> holds({"Type": "LessThanOrEqualTo", "LeftValue": 5.3, "RightValue": 6})
    True
    """
    match condition["Type"]:
        case "Not":
            return not holds(condition["Condition"])
        case "Or":
            return any(holds(inner) for inner in condition["Conditions"])
        case "In":
            return any(_equal(condition["QueryValue"], value) for value in condition["Values"])
        case "Equals":
            return _equal(condition["LeftValue"], condition["RightValue"])
        case kind:
            left, right = condition["LeftValue"], condition["RightValue"]
            if _sort(left) != _sort(right) or _sort(left) not in {"number", "text"}:
                raise InvalidInput(kind, f"{left!r} and {right!r} cannot be ordered")
            return _ORDERS[kind](left, right)


def _equal(left: Any, right: Any) -> bool:
    return _sort(left) == _sort(right) and bool(left == right)


def _sort(value: Any) -> str:
    if isinstance(value, bool):
        return "truth"
    if isinstance(value, int | float):
        return "number"
    return "text" if isinstance(value, str) else "other"


def _check_condition(condition: Any, place: str) -> None:
    kind = condition.get("Type") if isinstance(condition, dict) else None
    members = _MEMBERS.get(kind) if isinstance(kind, str) else None
    if members is None:
        raise InvalidInput(f"{place}.Type", f"no condition {kind!r}", legal=", ".join(_MEMBERS))
    for member in members:
        if member not in condition:
            raise InvalidInput(f"{place}.{member}", f"missing from {kind}")
        _check_member(condition[member], member, f"{place}.{member}")


def _check_member(value: Any, member: str, place: str) -> None:
    if member == "Condition":
        _check_condition(value, place)
    elif member in {"Conditions", "Values"}:
        if not isinstance(value, list) or not value:
            raise InvalidInput(place, "not a list with elements")
        for index, item in enumerate(value):
            inner = f"{place}[{index}]"
            (_check_condition if member == "Conditions" else _check_operand)(item, inner)
    else:
        _check_operand(value, place)


def _check_operand(value: Any, place: str) -> None:
    if not isinstance(value, str | int | float | bool) and not is_expression(value):
        legal = "a text, a number, true, false or an expression"
        raise InvalidInput(place, "not a value", legal=legal)
