"""Metric math: arithmetic on series of numbers, such as ``100 * errors / requests``."""

from __future__ import annotations

import ast
import math
import operator
import re
from typing import TYPE_CHECKING, TypeAlias

from clary.kernel.errors import InvalidInput, NotSupported

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

Points: TypeAlias = dict[int, float]
"""Numbers by the beginning of their period, in seconds since 1970."""
Value: TypeAlias = "float | Points | list[Points]"

FUNCTIONS = "ABS, AVG, CEIL, FILL, FLOOR, IF, MAX, METRICS, MIN, SUM"
_LONGEST = 2048
_DEEPEST = 300
_OPERATORS: Mapping[type, Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_ROUNDED: Mapping[str, Callable[[float], float]] = {
    "ABS": abs,
    "CEIL": math.ceil,
    "FLOOR": math.floor,
}
_SUMMED: Mapping[str, Callable[[Sequence[float]], float]] = {
    "SUM": sum,
    "AVG": lambda values: sum(values) / len(values),
    "MIN": min,
    "MAX": max,
}
_LEGAL = re.compile(r"[\w\s+\-*/()\[\],.<>=!]+", re.ASCII)
_SEARCHES = ("SEARCH(", "SELECT ", "ANOMALY_DETECTION_BAND(", "DB_PERF_INSIGHTS(", "LAMBDA(")


class Expression:
    """A parsed expression.

    Parameters
    ----------
    text
        Numbers, ids of other queries, ``+ - * /``, comparisons (1 or 0), parentheses, lists
        ``[m1, m2]``, and the functions in ``FUNCTIONS``.
    field
        Where it stands, for errors.

    Raises
    ------
    InvalidInput
        It is none.
    NotSupported
        It is one that clary cannot evaluate.

    Examples
    --------
    >>> Expression("100 * m1 / m2").points({"m1": {0: 1.0, 60: 2.0}, "m2": {0: 4.0}})
    {0: 25.0}
    """

    def __init__(self, text: str, *, field: str = "Expression") -> None:
        self._text, self._field = text, field
        if text.lstrip().upper().startswith(_SEARCHES):
            raise NotSupported(f"{field}: clary cannot evaluate {text[:80]!r}")
        if len(text) > _LONGEST or not _LEGAL.fullmatch(text):
            raise InvalidInput(field, f"{text[:80]!r} is no expression")
        try:
            self._tree = ast.parse(text.strip(), mode="eval").body
        except (SyntaxError, ValueError, MemoryError, RecursionError):
            raise InvalidInput(field, f"{text[:80]!r} is no expression") from None
        if _depth(self._tree) > _DEEPEST:
            raise InvalidInput(field, "is nested too deeply")

    @property
    def names(self) -> set[str]:
        """The ids it refers to."""
        called = {node.func for node in ast.walk(self._tree) if isinstance(node, ast.Call)}
        return {
            node.id
            for node in ast.walk(self._tree)
            if isinstance(node, ast.Name) and node not in called
        }

    @property
    def takes_all(self) -> bool:
        """Whether it refers to every metric: ``METRICS()``."""
        return any(
            isinstance(node, ast.Name) and node.id == "METRICS" for node in ast.walk(self._tree)
        )

    def points(
        self, known: Mapping[str, Points], metrics: Iterable[str] = (), times: Iterable[int] = ()
    ) -> Points:
        """Evaluate it: where all that it needs is known, and the result is a number.

        Parameters
        ----------
        known
            What each id stands for.
        metrics
            The ids that ``METRICS()`` stands for.
        times
            The periods that ``FILL`` fills, and that a constant result is repeated for.
        """
        scope = _Scope(self, known, [known[name] for name in metrics], sorted(times))
        value = scope.value(self._tree)
        if isinstance(value, list):
            raise InvalidInput(self._field, f"{self._text[:80]!r} gives several series, not one")
        if not isinstance(value, dict):
            value = dict.fromkeys(scope.times, float(value))
        return {at: number for at, number in sorted(value.items()) if math.isfinite(number)}

    def refused(self, what: str) -> InvalidInput:
        """Say what in it cannot be evaluated."""
        return InvalidInput(self._field, f"{what} in {self._text[:80]!r}")


class _Scope:
    """What the names of one evaluation stand for."""

    def __init__(
        self,
        expression: Expression,
        known: Mapping[str, Points],
        metrics: list[Points],
        times: list[int],
    ) -> None:
        self._expression = expression
        self._known = known
        self._metrics = metrics
        self.times = times

    def value(self, node: ast.expr) -> Value:
        """Evaluate a part."""
        match node:
            case ast.Constant(value=int() | float() as number):
                return _safely(operator.mul, number, 1.0)
            case ast.Name(id=name) if name in self._known:
                return self._known[name]
            case ast.List(elts=items):
                return [self._series(item) for item in items]
            case ast.Call(func=ast.Name(id=name), args=args, keywords=[]):
                return self._call(name, args)
        return self._calculated(node)

    def _calculated(self, node: ast.expr) -> Value:
        match node:
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return _each(operator.sub, 0.0, self.value(operand), self._refuse)
            case (
                ast.BinOp(left=left, op=op, right=right)
                | ast.Compare(left=left, ops=[op], comparators=[right])
            ) if type(op) in _OPERATORS:
                function = _OPERATORS[type(op)]
                return _each(function, self.value(left), self.value(right), self._refuse)
        raise self._refuse(f"{ast.unparse(node)[:40]!r} is not understood")

    def _refuse(self, what: str) -> InvalidInput:
        return self._expression.refused(what)

    def _series(self, node: ast.expr) -> Points:
        value = self.value(node)
        if isinstance(value, dict):
            return value
        raise self._refuse(f"{ast.unparse(node)[:40]!r} is no series")

    def _call(self, name: str, args: Sequence[ast.expr]) -> Value:
        match name, args:
            case "METRICS", []:
                return self._metrics
            case (("ABS" | "CEIL" | "FLOOR"), [one]):
                function = _ROUNDED[name]
                return _each(lambda value, _: function(value), self.value(one), 0.0, self._refuse)
            case (("SUM" | "AVG" | "MIN" | "MAX"), [one]):
                return self._summed(name, self.value(one))
            case "FILL", [one, filling]:
                return self._filled(self._series(one), self.value(filling))
            case "IF", [condition, yes, *no] if len(no) <= 1:
                return self._chosen(self.value(condition), self.value(yes), no)
        raise NotSupported(
            f"metric math: clary has no {name!r} of {len(args)} arguments",
            hint=f"legal: {FUNCTIONS}",
        )

    def _summed(self, name: str, value: Value) -> Value:
        function = _SUMMED[name]
        if isinstance(value, dict):
            return function(list(value.values())) if value else math.nan
        if not isinstance(value, list):
            return value
        by_time: dict[int, list[float]] = {}
        for points in value:
            for at, number in points.items():
                by_time.setdefault(at, []).append(number)
        return {at: function(numbers) for at, numbers in by_time.items()}

    def _filled(self, points: Points, filling: Value) -> Points:
        if isinstance(filling, list):
            raise self._refuse("FILL takes a number or a series")
        other = filling if isinstance(filling, dict) else dict.fromkeys(self.times, filling)
        return {**other, **points}

    def _chosen(self, condition: Value, yes: Value, no: Sequence[ast.expr]) -> Value:
        """Take ``yes`` where the condition is not 0, else ``no``, else nothing."""
        other = self.value(no[0]) if no else math.nan
        if isinstance(condition, float):
            return yes if condition else other
        if not isinstance(condition, dict) or isinstance(yes, list) or isinstance(other, list):
            raise self._refuse("IF takes series and numbers")
        chosen = {at: _at(yes if true else other, at) for at, true in condition.items()}
        return {at: number for at, number in chosen.items() if not math.isnan(number)}


def _at(value: float | Points, at: int) -> float:
    return value.get(at, math.nan) if isinstance(value, dict) else value


def _each(
    function: Callable[[float, float], float],
    left: Value,
    right: Value,
    refuse: Callable[[str], InvalidInput],
) -> Value:
    """Apply a function where both sides are known; what it cannot divide is left out."""
    if isinstance(left, list) or isinstance(right, list):
        raise refuse("arithmetic on several series at once")
    times = [set(side) for side in (left, right) if isinstance(side, dict)]
    if not times:
        return _safely(function, _at(left, 0), _at(right, 0))
    return {
        at: result
        for at in sorted(set.intersection(*times))
        if not math.isnan(result := _safely(function, _at(left, at), _at(right, at)))
    }


def _safely(function: Callable[[float, float], float], left: float, right: float) -> float:
    try:
        return float(function(left, right))
    except (ArithmeticError, ValueError):
        return math.nan


def _depth(node: ast.AST) -> int:
    deepest, level = 0, [node]
    while level:
        deepest += 1
        level = [child for one in level for child in ast.iter_child_nodes(one)]
    return deepest
