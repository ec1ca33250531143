"""LIKE, and regular expressions: what RE2 and Python read alike, without slow corners."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from clary.expressions.function import Function
from clary.expressions.functions.regex import Pattern, read_pattern
from clary.expressions.functions.text import counterparts, lower
from clary.expressions.types import BIGINT, BOOLEAN, VARCHAR
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable


def _like_source(pattern: str, escape: str) -> str:
    """Turn a LIKE pattern into a regular expression. Raises InvalidInput."""
    source, at = "", 0
    while at < len(pattern):
        letter = pattern[at]
        if letter == escape:
            at += 1
            if at == len(pattern):
                raise InvalidInput("expression", f"the pattern {pattern!r} ends with its escape")
            source += re.escape(pattern[at])
        else:
            source += {"%": ".*", "_": "."}.get(letter, re.escape(letter))
        at += 1
    return re.sub(r"(?:\.\*)+", ".*", source)


def _like(pattern: str, escape: str = "") -> Callable[[str], bool]:
    match = re.compile(_like_source(pattern, escape), re.DOTALL).fullmatch
    return lambda text: match(text) is not None


def _ilike(pattern: str, escape: str = "") -> Callable[[str], bool]:
    match = re.compile(_like_source(lower(pattern), lower(escape)), re.DOTALL).fullmatch
    return lambda text: match(lower(text)) is not None


def _check_like(pattern: str, escape: str = "") -> None:
    if len(escape) > 1:
        raise InvalidInput("expression", f"the escape {escape!r} is not one character")
    _like_source(pattern, escape)


def compiled(pattern: str) -> re.Pattern[str]:
    """Compile a pattern of the language."""
    return re.compile(read_pattern(pattern).source, re.ASCII)


def _matches(pattern: str) -> Callable[[str], bool]:
    search = compiled(pattern).search
    return lambda text: search(text) is not None


def _full_match(pattern: str) -> Callable[[str], bool]:
    match = compiled(pattern).fullmatch
    return lambda text: match(text) is not None


def _extract(pattern: str, group: int = 0) -> Callable[[str], str]:
    search = compiled(pattern).search

    def extract(text: str) -> str:
        found = search(text)
        return (found[group] or "") if found else ""

    return extract


def _check_extract(pattern: str, group: int = 0) -> None:
    groups = read_pattern(pattern).groups
    if not 0 <= group <= min(groups, 9):
        raise InvalidInput("expression", f"{pattern!r} has no group {group}", legal=f"0 … {groups}")


def _replace(pattern: str, replacement: str, options: str = "") -> Callable[[str], str]:
    substitute = compiled(pattern).sub
    template = replacement.replace(r"\0", r"\g<0>")
    count = 0 if options else 1
    return lambda text: substitute(template, text, count=count)


def _check_replace(pattern: str, replacement: str, options: str = "") -> Pattern:
    read = read_pattern(pattern)
    if read.matches_empty:
        raise InvalidInput("expression", f"{pattern!r} matches the empty text: not to replace")
    if options not in ("", "g"):
        raise InvalidInput("expression", f"regexp_replace has no options {options!r}", legal="g")
    for escaped in re.findall(r"\\(.?)", replacement, re.DOTALL):
        if not re.fullmatch(r"[0-9]", escaped) or int(escaped) > read.groups:
            raise InvalidInput(
                "expression",
                rf"\{escaped} in {replacement!r} names no group",
                legal=rf"\0 … \{read.groups}",
            )
    if re.search(r"\\[0-9][0-9]", replacement):
        raise InvalidInput("expression", f"a digit follows a group in {replacement!r}")
    return read


def _like_java(pattern: str, escape: str) -> str:
    return rf"(?s)\A(?:{_like_source(pattern, escape)})\z"


def java_whole(pattern: str) -> str:
    """Write a pattern of a whole text as Java reads it."""
    return rf"\A(?:{read_pattern(pattern).java})\z"


def _java_replacement(pattern: str, replacement: str, options: str = "") -> tuple[str, str]:
    """Write what to replace, and by what; the first alone is found with all that is before it."""
    java, before = read_pattern(pattern).java, 0 if options else 2
    text = "" if options else "$1"
    for group, letters in re.findall(r"\\([0-9])|([^\\]+)", replacement):
        text += f"${int(group) + before}" if group else re.sub(r"([$])", r"\\\1", letters)
    return (java if options else rf"(?s:\A(.*?))({java})"), text


_TWO = (VARCHAR, VARCHAR)
_THREE = (VARCHAR, VARCHAR, VARCHAR)


def _likes(name: str, run: Callable[..., Callable[[str], bool]]) -> tuple[Function, ...]:
    word = name.upper()
    short, long = f"{{0}} {word} {{1}}", f"{{0}} {word} {{1}} ESCAPE {{2}}"
    is_folded = name == "ilike"
    spark = "rlike(translate({0}, {%d}, {%d}), {%d})" if is_folded else "rlike({0}, {%d})"

    def beside(pattern: str, escape: str = "") -> tuple[str, ...]:
        if is_folded:
            return (*counterparts(lower), _like_java(lower(pattern), lower(escape)))
        return (_like_java(pattern, escape),)

    return tuple(
        Function(
            name,
            takes,
            BOOLEAN,
            run,
            text,
            spark % ((first, first + 1, first + 2) if is_folded else (first,)),
            beside,
            constants=tuple(range(1, first)),
            check=_check_like,
        )
        for takes, text, first in ((_TWO, short, 2), (_THREE, long, 3))
    )


FUNCTIONS = (
    *_likes("like", _like),
    *_likes("ilike", _ilike),
    Function(
        "regexp_matches",
        _TWO,
        BOOLEAN,
        _matches,
        spark="rlike({0}, {2})",
        beside=lambda pattern: (read_pattern(pattern).java,),
        constants=(1,),
        check=read_pattern,
    ),
    Function(
        "regexp_full_match",
        _TWO,
        BOOLEAN,
        _full_match,
        spark="rlike({0}, {2})",
        beside=lambda pattern: (java_whole(pattern),),
        constants=(1,),
        check=read_pattern,
    ),
    Function(
        "regexp_extract",
        _TWO,
        VARCHAR,
        _extract,
        "",
        "regexp_extract({0}, {2}, 0)",
        lambda pattern: (read_pattern(pattern).java,),
        constants=(1,),
        check=_check_extract,
    ),
    Function(
        "regexp_extract",
        (VARCHAR, VARCHAR, BIGINT),
        VARCHAR,
        _extract,
        "regexp_extract({0}, {1}, CAST({2} AS INTEGER))",
        "regexp_extract({0}, {3}, CAST({2} AS INT))",
        lambda pattern, _group: (read_pattern(pattern).java,),
        constants=(1, 2),
        check=_check_extract,
    ),
    Function(
        "regexp_replace",
        _THREE,
        VARCHAR,
        _replace,
        spark="regexp_replace({0}, {3}, {4})",
        beside=_java_replacement,
        constants=(1, 2),
        check=_check_replace,
    ),
    Function(
        "regexp_replace",
        (*_THREE, VARCHAR),
        VARCHAR,
        _replace,
        spark="regexp_replace({0}, {4}, {5})",
        beside=_java_replacement,
        constants=(1, 2, 3),
        check=_check_replace,
    ),
)
