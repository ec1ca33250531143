"""The models' regular expressions: Java's dialect, run so that none can hang."""

from __future__ import annotations

import re
from dataclasses import dataclass

import regex

_TIMEOUT_S = 1.0
_SHORT = 4096
_ANY = r"[^\n\r\u0085\u2028\u2029]"
# Java's predefined and POSIX classes know ASCII only; members of a class, without brackets.
_ESCAPES = {"w": "a-zA-Z0-9_", "d": "0-9", "s": r" \t\n\x0b\f\r"}
_POSIX = {
    "Lower": "a-z",
    "Upper": "A-Z",
    "ASCII": r"\x00-\x7f",
    "Alpha": "a-zA-Z",
    "Digit": "0-9",
    "Alnum": "a-zA-Z0-9",
    "Punct": r"!-/:-@\[-`{-~",
    "Graph": "!-~",
    "Print": " -~",
    "Blank": r" \t",
    "Cntrl": r"\x00-\x1f\x7f",
    "XDigit": "0-9a-fA-F",
    "Space": r" \t\n\x0b\f\r",
}
_SURROGATES = re.compile(r"\\u(D[89AB][0-9A-F]{2})\\u(D[C-F][0-9A-F]{2})", re.IGNORECASE)
_TOKEN = re.compile(r"\\[pP]\{\w+\}|\\.|.", re.DOTALL)


def translate(pattern: str) -> str:
    r"""Write a Java regular expression in the dialect of the ``regex`` package.

    Differences that are taken care of: ``\w \d \s`` and POSIX classes are ASCII; ``.`` stops at
    every line end; ``\z``; supplementary characters as pairs of surrogates.

    Examples
    --------
    >>> translate(r"\d+\z")
    '[0-9]+\\Z'
    """
    pattern = _SURROGATES.sub(_join_surrogates, pattern)
    inside = False
    pieces = []
    for match in _TOKEN.finditer(pattern):
        piece = match[0]
        if piece.startswith("\\"):
            piece = _escape(piece, inside=inside)
        elif inside:
            piece, inside = ("\\[" if piece == "[" else piece), piece != "]"
        elif piece == "[":
            inside = True
        elif piece == ".":
            piece = _ANY
        pieces.append(piece)
    return "".join(pieces)


def _join_surrogates(match: re.Match[str]) -> str:
    high, low = int(match[1], 16), int(match[2], 16)
    return f"\\U{0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00):08X}"


def _escape(token: str, *, inside: bool) -> str:
    kind = token[1]
    members = _POSIX.get(token[3:-1]) if kind in "pP" else _ESCAPES.get(kind.lower())
    if members is None:
        return r"\Z" if kind == "z" else token
    if kind.islower():
        return members if inside else f"[{members}]"
    # a negated class inside another has no plain equivalent; the package's own is close
    return token if inside else f"[^{members}]"


class TooCostly(Exception):
    """A match took too long to decide."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """A compiled pattern; ``source`` is as the model writes it.

    A pattern without groups takes polynomial time at worst, so that short values are matched by
    the standard library, which is faster; everything else has a time limit.
    """

    source: str
    quick: re.Pattern[str] | None
    thorough: regex.Pattern[str]

    def matches(self, value: str) -> bool:
        """Say whether all of ``value`` matches. Raises TooCostly."""
        short = len(value) <= _SHORT
        if self.quick is not None and short:
            return self.quick.fullmatch(value) is not None
        try:
            found = self.thorough.fullmatch(value, timeout=_TIMEOUT_S, concurrent=not short)
        except TimeoutError:
            raise TooCostly from None
        return found is not None


def compile_pattern(source: str) -> Pattern:
    """Compile a model's pattern.

    Raises
    ------
    regex.error
        It is none that we can read.
    """
    text = translate(source)
    try:
        quick = None if "(" in text else re.compile(text)
    except re.error:
        quick = None
    return Pattern(source, quick, regex.compile(text))
