"""Words of texts, and how often each of many is among them."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from typing import TYPE_CHECKING

from clary.expressions.function import Function
from clary.expressions.functions.patterns import compiled
from clary.expressions.functions.regex import read_pattern
from clary.expressions.functions.spark_texts import let
from clary.expressions.types import BIGINT, DOUBLE, VARCHAR, Type
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Count = Callable[[Sequence[str | None]], list[float]]

MOST = 10_000
_WORDS, _VECTOR = Type("list", VARCHAR), Type("list", DOUBLE)


def _all(pattern: str) -> Callable[[str], list[str]]:
    search = compiled(pattern).finditer
    return lambda text: [one[0] for one in search(text)]


def _check_all(pattern: str) -> None:
    if read_pattern(pattern).matches_empty:
        raise InvalidInput("expression", f"{pattern!r} matches the empty text: not all its places")


def _long(least: int) -> Callable[[Sequence[str | None]], list[str]]:
    return lambda found: [one for one in found if one is not None and len(one) >= least]


def _distinct(least: int) -> Callable[[Sequence[str | None]], list[str]]:
    chosen = _long(least)
    return lambda found: sorted(set(chosen(found)))


def _read(words: str, weights: str) -> tuple[list[str], list[float]]:
    """Read the two lists. Raises InvalidInput."""
    try:
        names, factors = json.loads(words), json.loads(weights)
        numbers = [float(one) for one in factors]
    except (TypeError, ValueError):
        raise InvalidInput("expression", "words and weights are no JSON lists") from None
    is_listed = isinstance(names, list) and all(isinstance(one, str) for one in names)
    if not is_listed or len(names) != len(numbers) or len(names) > MOST:
        legal = f"at most {MOST} words, each with its weight"
        raise InvalidInput("expression", "words and weights do not fit each other", legal=legal)
    return names, numbers


def _count(words: str, weights: str) -> Count:
    names, numbers = _read(words, weights)
    pairs = list(zip(names, numbers, strict=True))

    def count(found: Sequence[str | None]) -> list[float]:
        counts = Counter(found)
        return [counts[name] * number for name, number in pairs]

    return count


def bucket(word: str, size: int) -> int:
    """Tell which of so many numbers a word adds to."""
    return int(hashlib.md5(word.encode(), usedforsecurity=False).hexdigest()[:8], 16) % size


def _hash(weights: str) -> Count:
    numbers = _weights(weights)
    size = len(numbers)

    def count(found: Sequence[str | None]) -> list[float]:
        counts = Counter(bucket(one, size) for one in found if one is not None)
        return [counts[place] * number for place, number in enumerate(numbers)]

    return count


def _weights(weights: str) -> list[float]:
    """Read a list that is not empty. Raises InvalidInput."""
    try:
        numbers = [float(one) for one in json.loads(weights)]
    except (TypeError, ValueError):
        numbers = []
    if not 1 <= len(numbers) <= MOST:
        raise InvalidInput("expression", "weights are no JSON list", legal=f"1 … {MOST} numbers")
    return numbers


_PLACED = (
    "list_aggregate(list_transform(list_filter({0}, lambda t: t IS NOT NULL), lambda t: "
    "CAST('0x' || left(md5(t), 8) AS BIGINT) % json_array_length({1})::BIGINT), 'histogram')"
)


def _sql(histogram: str, names: str, weights: str) -> str:
    """Count by a histogram, which DuckDB makes once a row, and look up each."""
    pairs = f"list_zip({names}, {weights})"
    counted = (
        f"list_transform([{histogram}], lambda h: list_transform({pairs}, "
        f"lambda p: coalesce(h[p[1]], 0)::DOUBLE * p[2]))[1]"
    )
    return f"CASE WHEN {{0}} IS NOT NULL THEN {counted} END"


_COUNTED = "CAST(size(filter(v.l, %s)) AS DOUBLE)"
_KNOWN = "CASE WHEN v.l IS NOT NULL THEN %s END"
FUNCTIONS = (
    Function(
        "regexp_extract_all",
        (VARCHAR, VARCHAR),
        _WORDS,
        _all,
        spark="regexp_extract_all({0}, {2}, 0)",
        beside=lambda pattern: (read_pattern(pattern).java,),
        constants=(1,),
        check=_check_all,
    ),
    Function(
        "long_words",
        (_WORDS, BIGINT),
        _WORDS,
        _long,
        "list_filter({0}, lambda t: length(t) >= {1})",
        "filter({0}, t -> length(t) >= {1})",
        constants=(1,),
    ),
    Function(
        "distinct_words",
        (_WORDS, BIGINT),
        _WORDS,
        _distinct,
        "list_sort(list_distinct(list_filter({0}, lambda t: length(t) >= {1})))",
        "array_sort(array_distinct(filter({0}, t -> length(t) >= {1})))",
        constants=(1,),
    ),
    Function(
        "count_words",
        (_WORDS, VARCHAR, VARCHAR),
        _VECTOR,
        _count,
        _sql(
            "list_aggregate({0}, 'histogram')",
            "from_json({1}, '[\"VARCHAR\"]')",
            "from_json({2}, '[\"DOUBLE\"]')",
        ),
        let(
            _KNOWN % f"transform(arrays_zip(v.n, v.w), p -> {_COUNTED % 'l -> l <=> p.n'} * p.w)",
            l="{0}",
            n="from_json({1}, 'ARRAY<STRING>')",
            w="from_json({2}, 'ARRAY<DOUBLE>')",
        ),
        constants=(1, 2),
        check=_read,
    ),
    Function(
        "hash_words",
        (_WORDS, VARCHAR),
        _VECTOR,
        _hash,
        _sql(
            _PLACED,
            "range(json_array_length({1})::BIGINT)",
            "from_json({1}, '[\"DOUBLE\"]')",
        ),
        let(
            _KNOWN % f"transform(v.w, (w, k) -> {_COUNTED % 'l -> l <=> k'} * w)",
            l="transform(filter({0}, t -> t IS NOT NULL), t -> "
            "CAST(conv(left(md5(t), 8), 16, 10) AS BIGINT) % json_array_length({1}))",
            w="from_json({1}, 'ARRAY<DOUBLE>')",
        ),
        constants=(1,),
        check=_weights,
    ),
)
