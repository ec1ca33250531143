"""Functions of numbers; outside of their domain they are NaN or infinite, as in C."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from clary.expressions.function import Function
from clary.expressions.functions.arithmetic import SPARK_POWER, power, whole
from clary.expressions.functions.spark_texts import let
from clary.expressions.types import BIGINT, BOOLEAN, DOUBLE
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable

_WHOLE_ABOVE = 2.0**52


def _absolute(value: int) -> int:
    return whole(abs(value))


def _sign(value: float) -> int:
    return (value > 0) - (value < 0)


def half_away(value: float) -> float:
    """Round to a whole number, halves away from zero."""
    size = abs(value)
    if not size < _WHOLE_ABOVE:
        return value
    floor = math.floor(size)
    return math.copysign(floor + (size - floor >= 0.5), value)


def _round_to(digits: int) -> Callable[[float], float]:
    scale = math.pow(10.0, abs(digits))

    def fraction(value: float) -> float:
        rounded = half_away(value * scale) / scale
        return rounded if math.isfinite(rounded) else value

    def tens(value: float) -> float:
        rounded = half_away(value / scale) * scale
        return rounded if math.isfinite(rounded) else value

    return fraction if digits >= 0 else tens


def _round_whole_to(digits: int) -> Callable[[int], int]:
    scale = 10 ** max(-digits, 0)
    half = scale // 2

    def tens(value: int) -> int:
        size = (abs(value) + half) // scale * scale
        return whole(size if value >= 0 else -size)

    return tens if digits < 0 else whole


def _digits(digits: int) -> None:
    if not -18 <= digits <= 300:
        raise InvalidInput("round", f"{digits} digits", legal="-18 … 300")


def _floor(value: float) -> float:
    return math.copysign(math.floor(value), value) if math.isfinite(value) else value


def _ceil(value: float) -> float:
    return math.copysign(math.ceil(value), value) if math.isfinite(value) else value


def _truncate(value: float) -> float:
    return math.copysign(math.trunc(value), value) if math.isfinite(value) else value


def _within(compute: Callable[[float], float]) -> Callable[[float], float]:
    """Make a function NaN where C's has no value."""

    def bounded(value: float) -> float:
        try:
            return compute(value)
        except ValueError:
            return math.nan

    return bounded


def _logarithm(compute: Callable[[float], float]) -> Callable[[float], float]:
    def bounded(value: float) -> float:
        if value > 0:
            return compute(value)
        return -math.inf if value == 0 else math.nan

    return bounded


def _exponential(value: float) -> float:
    try:
        return math.exp(value)
    except OverflowError:
        return math.inf


def _real(
    name: str, compute: Callable[[float], float], sql: str = "", spark: str | None = ""
) -> Function:
    return Function(name, (DOUBLE,), DOUBLE, compute, sql, spark)


def _scales(digits: int) -> tuple[float, float]:
    """Give what to multiply by before and after: one of them is 1."""
    scale = math.pow(10.0, abs(digits))
    return (scale, 1.0) if digits >= 0 else (1.0, scale)


_ROUNDED = (
    "CASE WHEN isnan({0}) OR abs({0}) >= 4503599627370496D THEN {0} ELSE signum({0}) * "
    "(CAST(floor(abs({0})) AS DOUBLE) "
    "+ CASE WHEN abs({0}) - CAST(floor(abs({0})) AS DOUBLE) >= 0.5D THEN 1D ELSE 0D END) END"
)
_SCALED = f"named_struct('x', v.x, 'r', {_ROUNDED.format('(v.x * v.s / v.t)')} / v.s * v.t)"
_ROUNDED_TO = (
    f"element_at(transform(transform(array(named_struct('x', {{0}}, 's', {{2}}, 't', {{3}})), "
    f"v -> {_SCALED}), v -> CASE WHEN isnan(v.r) OR abs(v.r) = CAST('Infinity' AS DOUBLE) "
    f"THEN v.x ELSE v.r END), 1)"
)
_TRUNCATED = (
    "CASE WHEN isnan({0}) OR abs({0}) > 9e18D THEN {0} ELSE CAST(CAST({0} AS BIGINT) AS DOUBLE) END"
)
_LOGARITHM = (
    "CASE WHEN {0} > 0D THEN %s({0}) WHEN {0} = 0D THEN CAST('-Infinity' AS DOUBLE) "
    "WHEN {0} IS NOT NULL THEN CAST('NaN' AS DOUBLE) END"
)
_FLOOR = "CASE WHEN isnan({0}) OR abs({0}) > 9e18D THEN {0} ELSE CAST(%s({0}) AS DOUBLE) END"
_TEST = "(isnan({0}) OR abs({0}) = CAST('Infinity' AS DOUBLE))"

FUNCTIONS = (
    Function("abs", (BIGINT,), BIGINT, _absolute, fails=True),
    Function("abs", (DOUBLE,), DOUBLE, "abs({0})"),
    Function(
        "sign", (BIGINT,), BIGINT, _sign, "CAST(sign({0}) AS BIGINT)", "CAST(sign({0}) AS BIGINT)"
    ),
    Function(
        "sign",
        (DOUBLE,),
        BIGINT,
        _sign,
        "CAST(sign({0}) AS BIGINT)",
        "CASE WHEN isnan({0}) THEN CAST(0 AS BIGINT) ELSE CAST(signum({0}) AS BIGINT) END",
    ),
    _real("floor", _floor, spark=_FLOOR % "floor"),
    _real("ceil", _ceil, spark=_FLOOR % "ceil"),
    _real("ceiling", _ceil, spark=_FLOOR % "ceil"),
    _real("trunc", _truncate, spark=_TRUNCATED),
    _real("round", half_away, spark=let(_ROUNDED.format("v.x"), x="{0}")),
    Function(
        "round",
        (DOUBLE, BIGINT),
        DOUBLE,
        _round_to,
        "round({0}, CAST({1} AS INTEGER))",
        _ROUNDED_TO,
        _scales,
        constants=(1,),
        check=_digits,
    ),
    Function("round", (BIGINT,), BIGINT, "{0}"),
    Function(
        "round",
        (BIGINT, BIGINT),
        BIGINT,
        _round_whole_to,
        "round({0}, CAST({1} AS INTEGER))",
        None,
        constants=(1,),
        check=_digits,
        fails=True,
    ),
    _real("sqrt", _within(math.sqrt)),
    _real("cbrt", math.cbrt),
    _real("exp", _exponential),
    _real("ln", _logarithm(math.log), spark=_LOGARITHM % "ln"),
    _real("log10", _logarithm(math.log10), spark=_LOGARITHM % "log10"),
    _real("log", _logarithm(math.log10), spark=_LOGARITHM % "log10"),
    _real("log2", _logarithm(math.log2), spark=_LOGARITHM % "log2"),
    Function("pow", (DOUBLE, DOUBLE), DOUBLE, power, spark=SPARK_POWER),
    Function("power", (DOUBLE, DOUBLE), DOUBLE, power, spark=SPARK_POWER),
    _real("sin", _within(math.sin)),
    _real("cos", _within(math.cos)),
    _real("tan", _within(math.tan)),
    _real("asin", _within(math.asin)),
    _real("acos", _within(math.acos)),
    _real("atan", math.atan),
    Function("atan2", (DOUBLE, DOUBLE), DOUBLE, math.atan2, spark=None),
    Function("pi", (), DOUBLE, lambda: math.pi),
    Function("isnan", (DOUBLE,), BOOLEAN, "{0} != {0}", spark="({0} = CAST('NaN' AS DOUBLE))"),
    Function(
        "isinf", (DOUBLE,), BOOLEAN, math.isinf, spark="(abs({0}) = CAST('Infinity' AS DOUBLE))"
    ),
    Function("isfinite", (DOUBLE,), BOOLEAN, math.isfinite, spark=f"(NOT {_TEST})"),
)
