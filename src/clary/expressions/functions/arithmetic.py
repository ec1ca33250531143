"""Numbers and their operators; 64-bit integers do not wrap, they fail."""

from __future__ import annotations

import math

from clary.expressions.function import Function
from clary.expressions.types import BIGINT, DOUBLE, LARGEST, SMALLEST
from clary.kernel.errors import InvalidInput


def whole(value: int) -> int:
    """Return a number that fits into 64 bits. Raises InvalidInput for others."""
    if SMALLEST <= value <= LARGEST:
        return value
    raise InvalidInput("", f"{value} does not fit into 64 bits")


def _add(left: int, right: int) -> int:
    return whole(left + right)


def _subtract(left: int, right: int) -> int:
    return whole(left - right)


def _multiply(left: int, right: int) -> int:
    return whole(left * right)


def _negate(value: int) -> int:
    return whole(-value)


def _quotient(left: int, right: int) -> int:
    """Divide towards zero."""
    if right == 0:
        raise InvalidInput("", f"{left} // 0: division by zero")
    quotient = abs(left) // abs(right)
    return whole(quotient if (left < 0) == (right < 0) else -quotient)


def _remainder(left: int, right: int) -> int:
    """Return what is left of a division towards zero: of the sign of ``left``."""
    return left - right * _quotient(left, right)


def _divide(left: float, right: float) -> float:
    if right:
        return left / right
    if left != left or left == 0:  # noqa: PLR0124 - tells NaN in a third of the time of isnan
        return math.nan
    return math.copysign(math.inf, left) * math.copysign(1.0, right)


def _modulo(left: float, right: float) -> float:
    if right == 0 or math.isinf(left):
        return math.nan
    return math.fmod(left, right)


def power(base: float, exponent: float) -> float:
    """Raise to a power as C does: no number is NaN, what is too large is infinite."""
    try:
        return math.pow(base, exponent)
    except OverflowError:
        return math.copysign(math.inf, base if exponent % 2 == 1 else 1.0)
    except ValueError:
        if base == 0:
            return math.copysign(math.inf, base if exponent % 2 == 1 else 1.0)
        return math.nan


_SPARK_DIVISION = (
    "CASE WHEN {0} IS NULL OR {1} IS NULL THEN NULL WHEN {1} <> 0D THEN {0} / {1} "
    "WHEN isnan({0}) OR {0} = 0D THEN CAST('NaN' AS DOUBLE) "
    "WHEN ({0} > 0D) = (CAST({1} AS STRING) = '0.0') THEN CAST('Infinity' AS DOUBLE) "
    "ELSE CAST('-Infinity' AS DOUBLE) END"
)
_SPARK_MODULO = (
    "CASE WHEN {0} IS NOT NULL AND {1} = 0D THEN CAST('NaN' AS DOUBLE) ELSE {0} % {1} END"
)
SPARK_POWER = (
    "CASE WHEN {1} IS NOT NULL AND "
    "({0} = 1D OR ({0} = -1D AND abs({1}) = CAST('Infinity' AS DOUBLE))) THEN 1D "
    "ELSE power({0}, {1}) END"
)
"""C's power of one is one, whatever the exponent; Java's need not be."""
_INTEGERS, _FLOATS = (BIGINT, BIGINT), (DOUBLE, DOUBLE)
FUNCTIONS = (
    Function("+", _INTEGERS, BIGINT, _add, "{0} + {1}", "{0} + {1}", fails=True),
    Function("+", _FLOATS, DOUBLE, "{0} + {1}", "{0} + {1}", "{0} + {1}"),
    Function("-", _INTEGERS, BIGINT, _subtract, "{0} - {1}", "{0} - {1}", fails=True),
    Function("-", _FLOATS, DOUBLE, "{0} - {1}", "{0} - {1}", "{0} - {1}"),
    Function("*", _INTEGERS, BIGINT, _multiply, "{0} * {1}", "{0} * {1}", fails=True),
    Function("*", _FLOATS, DOUBLE, "{0} * {1}", "{0} * {1}", "{0} * {1}"),
    Function("/", _FLOATS, DOUBLE, _divide, "{0} / {1}", _SPARK_DIVISION),
    Function("//", _INTEGERS, BIGINT, _quotient, "{0} // {1}", "{0} DIV {1}", fails=True),
    Function(
        "%", _INTEGERS, BIGINT, _remainder, "{0} % {1}", "{0} - {1} * ({0} DIV {1})", fails=True
    ),
    Function("%", _FLOATS, DOUBLE, _modulo, "{0} % {1}", _SPARK_MODULO),
    Function("**", _FLOATS, DOUBLE, power, "{0} ** {1}", SPARK_POWER),
    Function("negative", (BIGINT,), BIGINT, _negate, "-{0}", "-{0}", fails=True),
    Function("negative", (DOUBLE,), DOUBLE, "-{0}", "-{0}", "-{0}"),
    Function("&", _INTEGERS, BIGINT, "{0} & {1}", "{0} & {1}", "{0} & {1}"),
    Function("|", _INTEGERS, BIGINT, "{0} | {1}", "{0} | {1}", "{0} | {1}"),
)
