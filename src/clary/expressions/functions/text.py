"""Text, by Unicode code points; upper and lower case one to one, whatever stands beside."""

from __future__ import annotations

import re
import sys
from functools import cache
from typing import TYPE_CHECKING

from clary.expressions.function import Function
from clary.expressions.functions.spark_texts import failing, let, plainly, whole
from clary.expressions.types import BIGINT, BOOLEAN, VARCHAR, Type
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_FARTHEST = 2**32 - 1
_MOST_REPEATS = 1_000
_SPACES = " \u00a0\u1680\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))
_CASED_BELOW = 0x20000
_SHARP_S, _CAPITAL_SHARP_S = 0xDF, 0x1E9E
_IOTA_TITLES = {0x1FB3: 0x1FBC, 0x1FC3: 0x1FCC, 0x1FF3: 0x1FFC} | {
    code: code + 8 for first in (0x1F80, 0x1F90, 0x1FA0) for code in range(first, first + 8)
}
_SPECIAL_UPPER = {_SHARP_S: _CAPITAL_SHARP_S} | _IOTA_TITLES
_SPECIAL_LOWER = {0x130: 0x69}


@cache
def _mapping(method: Callable[[str], str]) -> Mapping[int, str | int]:
    """Map every character to its one-character counterpart."""
    found: dict[int, str | int] = {}
    for code in range(_CASED_BELOW):
        other = method(chr(code))
        if len(other) == 1 and other != chr(code):
            found[code] = other
    return found | (_SPECIAL_UPPER if method is str.upper else _SPECIAL_LOWER)


def upper(text: str) -> str:
    """Turn every letter into its upper case, one for one: ``ß`` becomes ``ẞ``."""
    return text.upper() if text.isascii() else text.translate(_mapping(str.upper))


def lower(text: str) -> str:
    """Turn every letter into its lower case, one for one."""
    return text.lower() if text.isascii() else text.translate(_mapping(str.lower))


def _swap(text: str) -> str:
    return "".join([lower(one) if one == upper(one) else upper(one) for one in text])


_SWAP = (
    "array_to_string(list_transform(regexp_extract_all({0}, '(?s).'), lambda one: "
    "CASE WHEN one = upper(one) THEN lower(one) ELSE upper(one) END), '')"
)


def _substring(text: str, start: int, length: int = _FARTHEST) -> str:
    if max(abs(start), abs(length)) > _FARTHEST:
        raise InvalidInput("", f"substring from {start}, {length} long", legal="less than 2 ** 32")
    size = len(text)
    first = start - 1 if start >= 0 else size + start
    end = first + length
    if length < 0:
        first, end = end, first
    return text[max(first, 0) : max(end, 0)]


def _left(text: str, count: int) -> str:
    if count > _FARTHEST:
        raise InvalidInput("", f"the first {count} letters", legal="less than 2 ** 32")
    return text[:count] if count >= 0 else text[: max(len(text) + count, 0)]


def _right(text: str, count: int) -> str:
    if count >= 0:
        return text[max(len(text) - count, 0) :]
    return text[min(-count, len(text)) :]


def _trim(text: str) -> str:
    return text.strip(_SPACES)


def _ltrim(text: str) -> str:
    return text.lstrip(_SPACES)


def _rtrim(text: str) -> str:
    return text.rstrip(_SPACES)


def _padding(text: str, count: int, fill: str) -> str:
    missing = count - len(text)
    if missing > 0 and not fill:
        raise InvalidInput("", "the text to pad with is empty")
    return (fill * (missing // len(fill) + 1))[:missing] if missing > 0 else ""


def _lpad(count: int) -> Callable[[str, str], str]:
    return lambda text, fill: _padding(text, count, fill) + text[:count]


def _rpad(count: int) -> Callable[[str, str], str]:
    return lambda text, fill: text[:count] + _padding(text, count, fill)


def _repeat(count: int) -> Callable[[str], str]:
    return lambda text: text * count


def _count(count: int) -> None:
    if not 0 <= count <= _MOST_REPEATS:
        raise InvalidInput("expression", f"a length of {count}", legal=f"0 … {_MOST_REPEATS}")


def _split_part(separator: str) -> Callable[[str, int], str]:
    def part(text: str, place: int) -> str:
        parts = text.split(separator)
        index = place - 1 if place > 0 else len(parts) + place
        return parts[index] if place and 0 <= index < len(parts) else ""

    return part


def _separator(separator: str) -> None:
    if not separator:
        raise InvalidInput("expression", "the separator is empty")


def _replace(text: str, old: str, new: str) -> str:
    return text.replace(old, new) if old else text


def _concat(*texts: str | None) -> str:
    return "".join([text for text in texts if text is not None])


def _concat_ws(separator: str | None, *texts: str | None) -> str | None:
    if separator is None:
        return None
    return separator.join([text for text in texts if text is not None])


def _position(text: str, part: str) -> int:
    return text.find(part) + 1


def _code(text: str) -> int:
    return ord(text[0]) if text else 0


def _character(code: int) -> str:
    if not 0 <= code <= sys.maxunicode or 0xD800 <= code <= 0xDFFF:
        raise InvalidInput("", f"{code} is no Unicode code point")
    return chr(code)


def _blanks() -> tuple[str]:
    return (_SPACES,)


def counterparts(changed: Callable[[str], str]) -> tuple[str, str]:
    """List the letters that a change of case changes, and what each becomes."""
    both = _mapping(str.upper).keys() | _mapping(str.lower).keys()
    letters = [one for one in map(chr, sorted(both)) if changed(one) != one]
    return "".join(letters), "".join(map(changed, letters))


TRANSLATED = "translate({0}, {1}, {2})"
"""Letters one for one, as Java's own changes of case are not."""
_TOO_FAR = (
    "v.t IS NOT NULL AND v.s IS NOT NULL AND v.n IS NOT NULL AND NOT "
    f"(v.s BETWEEN -{_FARTHEST} AND {_FARTHEST} AND v.n BETWEEN -{_FARTHEST} AND {_FARTHEST})"
)
_INSIDE = (
    "CASE WHEN v.f IS NOT NULL AND v.e IS NOT NULL THEN substring(v.t, "
    f"{whole('greatest(least(v.f, v.e), 0) + 1', 1)}, "
    f"{whole('greatest(v.f, v.e, 0) - greatest(least(v.f, v.e), 0)', 0)}) END"
)
_ENDS = (
    f"CASE WHEN v.t IS NOT NULL AND v.n BETWEEN -{_FARTHEST} AND {_FARTHEST} THEN "
    "CASE WHEN v.s >= 0 THEN v.s - 1 ELSE length(v.t) + v.s END END"
)
_PART = (
    "element_at(transform(transform(transform(array(named_struct('t', {0}, 's', {1}, 'n', %s)), "
    f"v -> named_struct('t', v.t, 'n', v.n, 'f', "
    f"{failing(_TOO_FAR, _ENDS, 'a place over 2 ** 32')})), "
    f"v -> named_struct('t', v.t, 'f', v.f, 'e', v.f + v.n)), v -> {_INSIDE}), 1)"
)
_LEFT = let(
    failing(
        f"v.t IS NOT NULL AND v.n > {_FARTHEST}",
        f"substring(v.t, 1, {whole('CASE WHEN v.n >= 0 THEN v.n ELSE length(v.t) + v.n END', 0)})",
        "a place over 2 ** 32",
    ),
    t="{0}",
    n="{1}",
)
_SKIPPED = (
    f"CASE WHEN v.n >= 0 THEN length(v.t) - v.n WHEN v.n < 0 THEN -greatest(v.n, -{_FARTHEST}) END"
)
_RIGHT = let(f"substring(v.t, {whole(f'({_SKIPPED}) + 1', 1)})", t="{0}", n="{1}")
_ONE, _TWO = (VARCHAR,), (VARCHAR, VARCHAR)
_PADS = (VARCHAR, BIGINT, VARCHAR)
FUNCTIONS = (
    Function("||", _TWO, VARCHAR, "{0} + {1}", "{0} || {1}", "{0} || {1}"),
    Function(
        "concat", _ONE, VARCHAR, _concat, spark="concat_ws('', {*})", is_variadic=True, nulls="seen"
    ),
    Function("concat_ws", _TWO, VARCHAR, _concat_ws, is_variadic=True, nulls="seen"),
    Function("length", _ONE, BIGINT, len, spark="CAST(length({0}) AS BIGINT)"),
    Function("len", _ONE, BIGINT, len, spark="CAST(length({0}) AS BIGINT)"),
    Function("upper", _ONE, VARCHAR, upper, "", TRANSLATED, lambda: counterparts(upper)),
    Function("lower", _ONE, VARCHAR, lower, "", TRANSLATED, lambda: counterparts(lower)),
    Function("swapcase", _ONE, VARCHAR, _swap, _SWAP, TRANSLATED, lambda: counterparts(_swap)),
    *(
        Function(name, (VARCHAR, *rest), VARCHAR, _substring, spark=text, fails=True)
        for name in ("substring", "substr")
        for rest, text in (
            ((BIGINT,), plainly("substring({0}, %s)", _PART % _FARTHEST)),
            ((BIGINT, BIGINT), plainly("substring({0}, %s)", _PART % "{2}")),
        )
    ),
    Function(
        "left", (VARCHAR, BIGINT), VARCHAR, _left, spark=plainly("left({0}, %s)", _LEFT), fails=True
    ),
    Function("right", (VARCHAR, BIGINT), VARCHAR, _right, spark=plainly("right({0}, %s)", _RIGHT)),
    *(
        Function(
            name,
            _PADS,
            VARCHAR,
            run,
            f"{name}({{0}}, CAST({{1}} AS INTEGER), {{2}})",
            failing(
                "{2} = '' AND length({0}) < {1}",
                f"{name}({{0}}, CAST({{1}} AS INT), {{2}})",
                "the text to pad with is empty",
            ),
            constants=(1,),
            check=_count,
            fails=True,
        )
        for name, run in (("lpad", _lpad), ("rpad", _rpad))
    ),
    Function(
        "repeat",
        (VARCHAR, BIGINT),
        VARCHAR,
        _repeat,
        spark="repeat({0}, CAST({1} AS INT))",
        constants=(1,),
        check=_count,
    ),
    Function(
        "split_part",
        (VARCHAR, VARCHAR, BIGINT),
        VARCHAR,
        _split_part,
        spark="CASE WHEN {2} = 0 THEN left({0}, 0) "
        f"ELSE split_part({{0}}, {{1}}, {whole('{2}')}) END",
        constants=(1,),
        check=_separator,
    ),
    Function(
        "string_split",
        _TWO,
        Type("list", VARCHAR),
        lambda separator: lambda text: text.split(separator),
        spark="split({0}, {2}, -1)",
        beside=lambda separator: (re.escape(separator),),
        constants=(1,),
        check=_separator,
    ),
    Function("trim", _ONE, VARCHAR, _trim, spark="trim(BOTH {1} FROM {0})", beside=_blanks),
    Function("ltrim", _ONE, VARCHAR, _ltrim, spark="trim(LEADING {1} FROM {0})", beside=_blanks),
    Function("rtrim", _ONE, VARCHAR, _rtrim, spark="trim(TRAILING {1} FROM {0})", beside=_blanks),
    Function("trim", _TWO, VARCHAR, "{0}.strip({1})", spark="trim(BOTH {1} FROM {0})"),
    Function("ltrim", _TWO, VARCHAR, "{0}.lstrip({1})", spark="trim(LEADING {1} FROM {0})"),
    Function("rtrim", _TWO, VARCHAR, "{0}.rstrip({1})", spark="trim(TRAILING {1} FROM {0})"),
    Function("replace", (VARCHAR, VARCHAR, VARCHAR), VARCHAR, _replace),
    Function("contains", _TWO, BOOLEAN, "{1} in {0}"),
    Function("starts_with", _TWO, BOOLEAN, "{0}.startswith({1})", spark="startswith({*})"),
    Function("ends_with", _TWO, BOOLEAN, "{0}.endswith({1})", spark="endswith({*})"),
    Function("strpos", _TWO, BIGINT, _position, spark="CAST(instr({*}) AS BIGINT)"),
    Function("instr", _TWO, BIGINT, _position, spark="CAST(instr({*}) AS BIGINT)"),
    Function(
        "ascii", _ONE, BIGINT, _code, "CAST(ascii({0}) AS BIGINT)", "CAST(ascii({0}) AS BIGINT)"
    ),
    Function("chr", (BIGINT,), VARCHAR, _character, "chr(CAST({0} AS INTEGER))", None, fails=True),
)
