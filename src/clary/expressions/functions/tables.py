"""Tables of constants, and vectors: what a category is encoded as."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from clary.expressions.function import Function
from clary.expressions.functions.spark_texts import let
from clary.expressions.render import Dialect, render
from clary.expressions.tree import Constant
from clary.expressions.types import BIGINT, DOUBLE, VARCHAR, Type
from clary.kernel.errors import InvalidInput, LimitExceeded

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

MOST_KEYS = 100_000
_CHUNK = 200
_MOST_DIMENSIONS = 1_000
_PRIME = 2**31 - 1
_DOUBLES = Type("list", DOUBLE)


def table_of(kinds: tuple[Type, Type], table: Mapping[Any, Any], default: Any) -> Function:
    """Make the function from a key to its value.

    Parameters
    ----------
    kinds
        The types of keys and values.
    table
        Values by key; none of them NULL.
    default
        The value of other keys; ``Ellipsis`` makes them fail.

    Raises
    ------
    LimitExceeded
        It has more than 100,000 keys.
    """
    if len(table) > MOST_KEYS:
        raise LimitExceeded(f"a table has at most {MOST_KEYS} keys; this has {len(table)}")
    have, want = kinds
    return Function(
        "lookup",
        (have,),
        want,
        _finding(table, default),
        _duckdb(kinds, table, default),
        _spark(kinds, table, default),
        nulls="seen",
        fails=default is ...,
    )


def _finding(table: Mapping[Any, Any], default: Any) -> Callable[[Any], Any]:
    held = {None: None, **table}
    if default is None:
        return held.get
    if default is not ...:
        return lambda key: held.get(key, default)

    def found(key: Any) -> Any:
        try:
            return held[key]
        except KeyError:
            raise InvalidInput("", f"{key!r} is none of the {len(table)} known values") from None

    return found


def _duckdb(kinds: tuple[Type, Type], table: Mapping[Any, Any], default: Any) -> str:
    """Write a search: by halves down to short lists, whose places DuckDB finds at once."""
    have, want = kinds
    keys = sorted(table)
    chunks = [keys[start : start + _CHUNK] for start in range(0, len(keys), _CHUNK)]

    def search(first: int, end: int) -> str:
        if end - first == 1:
            values = _list([table[one] for one in chunks[first]], want)
            return f"{values}[list_position({_list(chunks[first], have)}, {{0}})]"
        middle = (first + end) // 2
        low, high = search(first, middle), search(middle, end)
        pivot = _written(chunks[middle][0], have, "duckdb")
        return f"CASE WHEN {{0}} < {pivot} THEN {low} ELSE {high} END"

    found = search(0, len(chunks)) if chunks else f"CAST(NULL AS {want.duckdb})"
    if default is None:
        return found
    other = f"CAST(CAST('unknown: ' || CAST({{0}} AS VARCHAR) AS BIGINT) AS {want.duckdb})"
    if default is not ...:
        other = _written(default, want, "duckdb")
    return f"CASE WHEN {{0}} IS NOT NULL THEN coalesce({found}, {other}) END"


def _list(values: Sequence[Any], kind: Type) -> str:
    if kind == DOUBLE:
        texts = ", ".join(f"'{one!r}'" for one in values)
    elif kind == BIGINT:
        texts = ", ".join(map(str, values))
    else:
        texts = ", ".join(_written(one, kind, "duckdb") for one in values)
    return f"CAST([{texts}] AS {kind.duckdb}[])"


def _spark(kinds: tuple[Type, Type], table: Mapping[Any, Any], default: Any) -> str:
    have, want = kinds
    keys = ", ".join(_written(one, have, "spark") for one in table)
    values = ", ".join(_written(one, want, "spark") for one in table.values())
    found = f"try_element_at(map_from_arrays(array({keys}), array({values})), {{0}})"
    if not table:
        found = f"CAST(NULL AS {want.spark})"
    if default is None:
        return found
    other = "raise_error('unknown: ' || CAST({0} AS STRING))"
    if default is not ...:
        other = _written(default, want, "spark")
    return f"CASE WHEN {{0}} IS NOT NULL THEN coalesce({found}, {other}) END"


def _written(value: Any, kind: Type, dialect: Dialect) -> str:
    """Write a constant, without the braces that mark places in a template."""
    text = render(Constant(value, kind), dialect)
    return "(" + text.replace("{", "' || chr(123) || '") + ")" if "{" in text else text


def _one_hot(size: int) -> Callable[[int], list[float]]:
    zeros = [0.0] * size

    def vector(place: int) -> list[float]:
        made = zeros.copy()
        if 0 <= place < size:
            made[place] = 1.0
        return made

    return vector


def _size(size: int) -> None:
    if not isinstance(size, int) or not 1 <= size <= MOST_KEYS:
        raise InvalidInput("expression", f"a vector of {size} values", legal=f"1 … {MOST_KEYS}")


def _factors(dimensions: int) -> list[tuple[int, int]]:
    """Give the two factors of each hash: what SHA-256 makes of its number."""
    digests = (hashlib.sha256(str(one).encode()).digest() for one in range(dimensions))
    return [
        (int.from_bytes(one[:4]) % (_PRIME - 1) + 1, int.from_bytes(one[4:8]) % _PRIME)
        for one in digests
    ]


def _min_hash(dimensions: int) -> Callable[[str], list[float]]:
    factors = _factors(dimensions)

    def hashed(text: str) -> list[float]:
        padded = f" {text} "
        grams = {padded[place : place + 3] for place in range(max(len(padded) - 2, 1))}
        codes = [int(hashlib.md5(one.encode()).hexdigest()[:7], 16) for one in grams]  # noqa: S324 no secret: numbers of texts
        return [min((a * one + b) % _PRIME for one in codes) / float(_PRIME) for a, b in factors]

    return hashed


def _dimensions(dimensions: int) -> None:
    if not isinstance(dimensions, int) or not 1 <= dimensions <= _MOST_DIMENSIONS:
        problem = f"a vector of {dimensions} values"
        raise InvalidInput("expression", problem, legal=f"1 … {_MOST_DIMENSIONS}")


def min_hash_of(dimensions: int) -> Function:
    """Make the min-hash of so many dimensions. Raises InvalidInput."""
    _dimensions(dimensions)
    pairs = ", ".join(f"[{a}, {b}]" for a, b in _factors(dimensions))
    factors = ", ".join(
        f"named_struct('a', CAST({a} AS BIGINT), 'b', CAST({b} AS BIGINT))"
        for a, b in _factors(dimensions)
    )
    codes = (
        "list_transform(range(1, greatest(length({0}) + 1, 2)), lambda "
        "\"#n\": CAST('0x' || left(md5(substring(' ' || {0} || ' ', \"#n\", 3)), 7) AS BIGINT))"
    )
    return Function(
        "min_hash",
        (VARCHAR,),
        _DOUBLES,
        _min_hash(dimensions),
        f"CASE WHEN {{0}} IS NOT NULL THEN list_transform([{pairs}], "
        f'lambda "#f": list_min(list_transform({codes}, lambda "#h": '
        f'("#f"[1] * "#h" + "#f"[2]) % {_PRIME})) '
        f"/ {_PRIME}.0::DOUBLE) END",
        "CASE WHEN {0} IS NOT NULL THEN "
        + let(
            f"transform(array({factors}), f -> CAST(array_min(transform(v.c, "
            f"h -> (f.a * h + f.b) % {_PRIME})) AS DOUBLE) / {_PRIME}D)",
            c=let(
                "transform(sequence(1, greatest(length(v.t) - 2, 1)), n -> "
                "CAST(conv(left(md5(substring(v.t, n, 3)), 7), 16, 10) AS BIGINT))",
                t="' ' || {0} || ' '",
            ),
        )
        + " END",
    )


FUNCTIONS = (
    Function(
        "one_hot",
        (BIGINT, BIGINT),
        _DOUBLES,
        _one_hot,
        'CASE WHEN {0} IS NOT NULL THEN list_transform(range({1}), lambda "#n": '
        'CASE WHEN "#n" = {0} THEN 1.0::DOUBLE ELSE 0.0::DOUBLE END) END',
        let(
            "CASE WHEN v.k IS NOT NULL THEN transform(sequence(0, v.n - 1), "
            "n -> CASE WHEN n = v.k THEN 1.0D ELSE 0.0D END) END",
            k="{0}",
            n="{1}",
        ),
        constants=(1,),
        check=_size,
    ),
)
