"""MLflow's language of search: filters, and orders. Reading takes time linear in their length."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeVar

from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping

T = TypeVar("T")
LONGEST = 6_000
MOST_CLAUSES = 100
_KEY = r"(`[^`]*+`|\"[^\"]*+\"|[\w./-]++)"
_NAME = re.compile(rf"\s*+(?:(`\w++`|\"\w++\"|\w++)\s*+\.\s*+{_KEY}|{_KEY})")
_OPERATOR = re.compile(
    r"\s*+(<=|>=|!=|=|<|>|(?:NOT\s++)?IN\b|I?LIKE\b|IS\s++(?:NOT\s++)?NULL\b)", re.IGNORECASE
)
_STRING = r"'[^']*+'|\"[^\"]*+\""
_VALUE = re.compile(
    rf"\s*+({_STRING}|[-+]?(?:\d++\.?\d*+|\.\d++)(?:e[-+]?\d++)?+(?![\w.]))", re.IGNORECASE
)
_LIST = re.compile(rf"\s*+\(\s*+((?:{_STRING})(?:\s*+,\s*+(?:{_STRING}))*+)\s*+,?+\s*+\)")
_ONE = re.compile(_STRING)
_AND = re.compile(r"\s++AND\b", re.IGNORECASE)
_DIRECTION = re.compile(r"\s++(ASC|DESC)\b", re.IGNORECASE)
_END = re.compile(r"\s*+\Z")

Kind = Literal["metric", "param", "tag", "attribute", "dataset"]
Value = str | float | None
Look = Callable[[Kind, str], Sequence[Value]]
"""Gives the values of something under a name: none, one, or (of datasets) several."""

_KINDS: dict[str, Kind] = {
    **dict.fromkeys(("metric", "metrics"), "metric"),
    **dict.fromkeys(("param", "params", "parameter", "parameters"), "param"),
    **dict.fromkeys(("tag", "tags"), "tag"),
    **dict.fromkeys(("attribute", "attributes", "attr", "run"), "attribute"),
    **dict.fromkeys(("dataset", "datasets"), "dataset"),
}
_NUMBERS = {"=", "!=", "<", "<=", ">", ">="}
_TEXTS = {"=", "!=", "LIKE", "ILIKE", "IN", "NOT IN"}
_NULLS = {"IS NULL", "IS NOT NULL"}


@dataclass(frozen=True, slots=True)
class Clause:
    """A comparison of what a name stands for."""

    kind: Kind
    key: str
    operator: str
    value: str | float | Sequence[str] = ""

    def holds(self, look: Look) -> bool:
        """Say whether it is true of something."""
        found = [one for one in look(self.kind, self.key) if one is not None]
        if self.operator in _NULLS:
            return bool(found) == (self.operator == "IS NOT NULL")
        compare = _COMPARE[self.operator]
        return any(compare(one, self.value) for one in found)


@dataclass(frozen=True, slots=True)
class Names:
    """The names that are legal in a search.

    Parameters
    ----------
    attributes
        Attributes under every name they have, with the name ``look`` is asked for.
    numbers
        The attributes that are numbers.
    kinds
        What else may be named.
    """

    attributes: Mapping[str, str]
    numbers: frozenset[str] = frozenset()
    kinds: Sequence[Kind] = ()

    def read(self, text: str, place: int, field: str) -> tuple[Kind, str, int]:
        """Read a name; returns what kind it is, its key, and where it ends."""
        match = _NAME.match(text, place)
        if match is None:
            raise _wrong(field, text, place, "a name such as metrics.loss")
        prefix, inner, alone = match.groups()
        kind = _KINDS.get(_bare(prefix)) if prefix else "attribute"
        if kind is None or (kind != "attribute" and kind not in self.kinds):
            legal = ", ".join([*self.kinds, "attribute"])
            raise _wrong(field, text, place, f"names below {legal}")
        key = _bare(inner or alone)
        if kind == "attribute":
            if key not in self.attributes:
                raise _wrong(field, text, place, ", ".join(sorted(self.attributes)))
            key = self.attributes[key]
        return kind, key, match.end()


def parse(text: str, names: Names, *, field: str = "filter") -> list[Clause]:
    """Read a filter: comparisons joined by AND.

    Raises
    ------
    InvalidInput
        It is malformed, names what there is not, or is too long; says where and what is legal.
    """
    if len(text) > LONGEST:
        raise InvalidInput(field, f"{len(text)} characters", legal=f"at most {LONGEST}")
    clauses: list[Clause] = []
    place = 0
    while not _END.match(text, place):
        if clauses:
            joined = _AND.match(text, place)
            if joined is None:
                raise _wrong(field, text, place, "AND")
            place = joined.end()
        clause, place = _clause(text, place, names, field)
        clauses.append(clause)
        if len(clauses) > MOST_CLAUSES:
            raise InvalidInput(field, "too many comparisons", legal=f"at most {MOST_CLAUSES}")
    return clauses


def _clause(text: str, place: int, names: Names, field: str) -> tuple[Clause, int]:
    kind, key, place = names.read(text, place, field)
    is_number = kind == "metric" or (kind == "attribute" and key in names.numbers)
    legal = _NUMBERS if is_number else _TEXTS | (_NULLS if kind in ("param", "tag") else set())
    match = _OPERATOR.match(text, place)
    word = " ".join(match[1].upper().split()) if match else ""
    if match is None or word not in legal:
        raise _wrong(field, text, place, ", ".join(sorted(legal)))
    if word in _NULLS:
        return Clause(kind, key, word), match.end()
    if word in ("IN", "NOT IN"):
        listed = _LIST.match(text, match.end())
        if listed is None:
            raise _wrong(field, text, match.end(), "a list of quoted texts: ('a', 'b')")
        return Clause(
            kind, key, word, [_bare(one) for one in _ONE.findall(listed[1])]
        ), listed.end()
    value = _VALUE.match(text, match.end())
    if value is None or (value[1][0] in "'\"") == is_number:
        raise _wrong(field, text, match.end(), "a number" if is_number else "a quoted text")
    read = float(value[1]) if is_number else _bare(value[1])
    return Clause(kind, key, word, read), value.end()


@dataclass(frozen=True, slots=True)
class Order:
    """What a list is sorted by; what has no value, or one that is no number, comes last."""

    kind: Kind
    key: str
    is_descending: bool = False

    def sort(self, found: Sequence[T], look: Callable[[T], Look]) -> list[T]:
        """Sort stably."""
        keyed = [(next(iter(look(one)(self.kind, self.key)), None), one) for one in found]
        known = [(key, one) for key, one in keyed if key is not None and not _is_nan(key)]
        known.sort(key=lambda pair: _rank(pair[0]), reverse=self.is_descending)
        odd = [one for key, one in keyed if _is_nan(key)]
        absent = [one for key, one in keyed if key is None]
        return [one for _, one in known] + odd + absent


def parse_order(texts: Sequence[str], names: Names) -> list[Order]:
    """Read what a list is to be sorted by. Raises InvalidInput as ``parse`` does."""
    orders = []
    if len(texts) > MOST_CLAUSES:
        raise InvalidInput("order_by", f"{len(texts)} keys", legal=f"at most {MOST_CLAUSES}")
    for text in texts:
        if len(text) > LONGEST:
            raise InvalidInput("order_by", f"{len(text)} characters", legal=f"at most {LONGEST}")
        kind, key, place = names.read(text, 0, "order_by")
        direction = _DIRECTION.match(text, place)
        if not _END.match(text, direction.end() if direction else place):
            raise _wrong("order_by", text, place, "ASC or DESC")
        orders.append(Order(kind, key, direction is not None and direction[1].upper() == "DESC"))
    return orders


def ordered(found: Sequence[T], orders: Sequence[Order], look: Callable[[T], Look]) -> list[T]:
    """Sort by several keys, the first before the second."""
    rows = list(found)
    for order in reversed(orders):
        rows = order.sort(rows, look)
    return rows


def like(text: str, pattern: str) -> bool:
    """Match a pattern: ``%`` stands for any text, ``_`` for any character.

    Examples
    --------
    >>> like("xgboost-3", "xg%_3"), like("xgboost", "boost")
    (True, False)
    """
    first, *rest = pattern.split("%")
    if not rest:
        return len(text) == len(first) and _piece(first).match(text) is not None
    last = rest.pop()
    if len(text) < len(first) + len(last):
        return False
    end = len(text) - len(last)
    if not (_piece(first).match(text) and _piece(last).match(text, end)):
        return False
    place = len(first)
    for piece in filter(None, rest):
        match = _piece(piece).search(text, place, end)
        if match is None:
            return False
        place = match.end()
    return place <= end


def _piece(text: str) -> re.Pattern[str]:
    return re.compile(re.escape(text).replace("_", "."), re.DOTALL)


def _bare(text: str) -> str:
    return text[1:-1] if text[:1] in "'\"`" and text[:1] else text


def _is_nan(value: Value) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _rank(value: str | float) -> tuple[bool, str | float]:
    return isinstance(value, str), value


def _wrong(field: str, text: str, place: int, legal: str) -> InvalidInput:
    there = text[place : place + 40].strip()
    return InvalidInput(field, f"{there!r} at character {place}", legal=legal)


_COMPARE: dict[str, Callable[..., bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "LIKE": like,
    "ILIKE": lambda one, pattern: like(one.lower(), pattern.lower()),
    "IN": lambda one, legal: one in legal,
    "NOT IN": lambda one, legal: one not in legal,
}
