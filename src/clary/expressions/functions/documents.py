"""Values inside of texts of JSON; missing where a text is no JSON, or holds no such value.

A place is a JSON pointer: ``/address/city``.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from clary.expressions.function import Function
from clary.expressions.functions.casts import TRIED
from clary.expressions.types import (
    BIGINT,
    BOOLEAN,
    DOUBLE,
    LARGEST,
    SMALLEST,
    VARCHAR,
    Type,
)
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable

_LONGEST_NUMBER = 30
_TO_DOUBLE = next(one.run for one in TRIED if one.takes == (VARCHAR,) and one.gives == DOUBLE)


class _Number(str):
    __slots__ = ()


class _Whole(_Number):
    __slots__ = ()


def _refused(word: str) -> Any:
    raise ValueError(word)


def _first(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    return dict(reversed(pairs))


_DECODER = json.JSONDecoder(
    parse_float=_Number, parse_int=_Whole, parse_constant=_refused, object_pairs_hook=_first
)


def _read(text: str | None) -> Any:
    if text is None:
        return None
    try:
        found = _DECODER.decode(text)
        if "\\u" in text:
            json.dumps(found, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return None
    return found


def _place(pointer: str) -> Callable[[str | None], Any]:
    steps = [one.replace("~1", "/").replace("~0", "~") for one in pointer.split("/")[1:]]

    def found(text: str | None) -> Any:
        here = _read(text)
        for step in steps:
            if isinstance(here, dict):
                here = here.get(step)
            elif isinstance(here, list) and re.fullmatch("0|[1-9][0-9]{0,8}", step):
                here = here[int(step)] if int(step) < len(here) else None
            else:
                return None
        return here

    return found


def _check(pointer: str) -> None:
    if not re.fullmatch(r"(/([^~/]|~[01])*)+", pointer) or re.search("/(/|$)", pointer):
        legal = "a JSON pointer: /address/city"
        raise InvalidInput("expression", f"the place {pointer!r}", legal=legal)


def _text(pointer: str) -> Callable[[str | None], str | None]:
    place = _place(pointer)

    def text(document: str | None) -> str | None:
        found = place(document)
        return found if type(found) is str else None

    return text


def _bigint(pointer: str) -> Callable[[str | None], int | None]:
    place = _place(pointer)

    def number(document: str | None) -> int | None:
        found = place(document)
        if not isinstance(found, _Whole) or len(found) > _LONGEST_NUMBER:
            return None
        return value if SMALLEST <= (value := int(found)) <= LARGEST else None

    return number


def _double(pointer: str) -> Callable[[str | None], float | None]:
    place = _place(pointer)

    def number(document: str | None) -> float | None:
        found = place(document)
        if not isinstance(found, _Number):
            return None
        return 0.0 if found == "-0" else _TO_DOUBLE(str(found))  # type: ignore[operator]  # a function

    return number


def _boolean(pointer: str) -> Callable[[str | None], bool | None]:
    place = _place(pointer)

    def truth(document: str | None) -> bool | None:
        found = place(document)
        return found if isinstance(found, bool) else None

    return truth


_STRINGS = r'"(?:[^"\\]|\\.)*"'
_VALID = (
    f"json_valid({{0}}) AND NOT regexp_matches("
    f"regexp_replace({{0}}, '(?s){_STRINGS}', '\"\"', 'g'), "
    r"'(?i),\s*[\]}]|nan|inf')"
)


def _function(name: str, gives: Type, run: Callable[..., Any], kinds: str) -> Function:
    sql = (
        f"CASE WHEN {_VALID} THEN CASE WHEN json_type({{0}}, {{1}}) IN ({kinds}) "
        f"THEN TRY_CAST(json_extract_string({{0}}, {{1}}) AS {gives.duckdb}) END END"
    )
    return Function(
        name, (VARCHAR, VARCHAR), gives, run, sql, None, constants=(1,), check=_check, nulls="seen"
    )


FUNCTIONS = (
    _function("json_text", VARCHAR, _text, "'VARCHAR'"),
    _function("json_bigint", BIGINT, _bigint, "'BIGINT', 'UBIGINT'"),
    _function("json_double", DOUBLE, _double, "'BIGINT', 'UBIGINT', 'HUGEINT', 'DOUBLE'"),
    _function("json_boolean", BOOLEAN, _boolean, "'BOOLEAN'"),
)
