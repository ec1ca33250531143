"""The part of regular expressions that RE2 and Python read alike, in linear or polynomial time.

alternatives := sequence { "|" sequence };  sequence := { atom [quantifier] }
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from clary.kernel.errors import InvalidInput

_SPACES = r"\t\n\f\r "
_CLASSES = {"d": "0-9", "w": "0-9A-Za-z_", "s": _SPACES}
_CONTROLS = "nrtf"
_QUANTIFIER = re.compile(r"(?:[*+?]|\{([0-9]{1,3})(?:(,)([0-9]{1,3})?)?\})\??")
_SPECIAL = set("\\.+*?()|[]{}^$")
_MOST_DEPTH = 20


@dataclass(frozen=True)
class Pattern:
    """A pattern as Python writes it.

    Parameters
    ----------
    source
        For ``re.compile`` with ``re.ASCII``.
    groups
        How many groups it captures.
    matches_empty
        It may match the empty text.
    """

    source: str
    groups: int
    matches_empty: bool

    @property
    def java(self) -> str:
        """The pattern as Java reads it: of ASCII letters, and only a line feed ends a line."""
        return "(?d)" + _ANCHORS.sub(lambda found: _JAVA.get(found[0], found[0]), self.source)


_W = "[0-9A-Za-z_]"
_ANCHORS = re.compile(r"\\.", re.DOTALL)
_JAVA = {
    r"\Z": r"\z",
    r"\b": f"(?:(?<={_W})(?!{_W})|(?<!{_W})(?={_W}))",
    r"\B": f"(?:(?<={_W})(?={_W})|(?<!{_W})(?!{_W}))",
}


@dataclass(frozen=True)
class _Part:
    source: str
    matches_empty: bool
    repeats: bool = False
    is_anchor: bool = False


@lru_cache(1024)
def read_pattern(pattern: str) -> Pattern:
    """Read a pattern. Raises InvalidInput for what the two engines could read differently."""
    reader = _Reader(pattern)
    part = reader.alternatives(0)
    if reader.at != len(pattern):
        raise reader.refusal("an unmatched )")
    return Pattern(part.source, reader.groups, part.matches_empty)


class _Reader:
    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.at = 0
        self.groups = 0

    def refusal(self, problem: str) -> InvalidInput:
        return InvalidInput(
            "expression",
            f"the pattern {self.pattern[:80]!r} at {self.at}: {problem}",
            legal=r"letters, ., [ ], \d \w \s, ( ), |, ^ $ \b, * + ? {m,n}",
        )

    def next(self) -> str:
        return self.pattern[self.at : self.at + 1]

    def take(self) -> str:
        letter = self.next()
        if not letter:
            raise self.refusal("it ends too early")
        self.at += 1
        return letter

    def alternatives(self, depth: int) -> _Part:
        if depth > _MOST_DEPTH:
            raise self.refusal(f"over {_MOST_DEPTH} levels deep")
        parts = [self.sequence(depth)]
        while self.next() == "|":
            self.at += 1
            parts.append(self.sequence(depth))
        return _Part(
            "|".join(part.source for part in parts),
            any(part.matches_empty for part in parts),
            repeats=len(parts) > 1 or parts[0].repeats,
        )

    def sequence(self, depth: int) -> _Part:
        parts: list[_Part] = []
        while self.next() not in ("", "|", ")"):
            parts.append(self.quantified(self.atom(depth)))
        return _Part(
            "".join(part.source for part in parts),
            all(part.matches_empty for part in parts),
            repeats=any(part.repeats for part in parts),
        )

    def quantified(self, part: _Part) -> _Part:
        found = _QUANTIFIER.match(self.pattern, self.at)
        if not found:
            return part
        word = found[0]
        least, most = found[1], found[3] if found[2] else found[1]
        if part.is_anchor or part.matches_empty:
            raise self.refusal("a quantifier after what may match the empty text")
        if part.repeats and word.rstrip("?"):
            raise self.refusal("a quantifier of a group with alternatives or quantifiers inside")
        if least and most and int(least) > int(most):
            raise self.refusal("the least is over the most")
        self.at = found.end()
        if _QUANTIFIER.match(self.pattern, self.at):
            raise self.refusal("a quantifier of a quantifier")
        empty = word[0] in "*?" or (least is not None and int(least) == 0)
        return _Part(part.source + word, empty, repeats=True)

    def atom(self, depth: int) -> _Part:
        letter = self.take()
        if letter == "(":
            return self.group(depth)
        if letter == "[":
            return _Part(self.letters(), matches_empty=False)
        if letter == "\\":
            return self.escaped()
        if letter == ".":
            return _Part(".", matches_empty=False)
        if letter in "^$":
            source = r"\A" if letter == "^" else r"\Z"
            return _Part(source, matches_empty=True, is_anchor=True)
        if letter in _SPECIAL:
            self.at -= 1
            raise self.refusal(f"an unexpected {letter}")
        return _Part(re.escape(letter), matches_empty=False)

    def group(self, depth: int) -> _Part:
        captures = self.next() != "?"
        if captures:
            self.groups += 1
        elif self.pattern.startswith("?:", self.at):
            self.at += 2
        else:
            raise self.refusal("flags and look-around are not part of this language")
        inner = self.alternatives(depth + 1)
        if self.take() != ")":
            raise self.refusal("a ) is missing")
        opening = "(" if captures else "(?:"
        return _Part(f"{opening}{inner.source})", inner.matches_empty, repeats=inner.repeats)

    def escaped(self) -> _Part:
        letter = self.take()
        if letter in "bB":
            return _Part(f"\\{letter}", matches_empty=True, is_anchor=True)
        if letter.lower() in _CLASSES:
            sign = "^" if letter.isupper() else ""
            return _Part(f"[{sign}{_CLASSES[letter.lower()]}]", matches_empty=False)
        return _Part(self.literal(letter), matches_empty=False)

    def literal(self, letter: str) -> str:
        if letter in _CONTROLS:
            return f"\\{letter}"
        if letter.isascii() and not letter.isalnum() and letter != "_":
            return re.escape(letter)
        raise self.refusal(f"the escape \\{letter}")

    def letters(self) -> str:
        """Read what stands between [ and ]."""
        source = "[^" if self.next() == "^" else "["
        self.at += len(source) - 1
        first = self.at
        while self.next() != "]" or self.at == first:
            source += self.range()
        self.at += 1
        return source + "]"

    def range(self) -> str:
        low = self.letter()
        if len(low) > 2:
            return low
        if self.next() != "-" or self.pattern.startswith("-]", self.at):
            return low
        self.at += 1
        high = self.letter()
        if len(high) > 2 or _code(low) > _code(high):
            raise self.refusal("a range that is empty")
        return f"{low}-{high}"

    def letter(self) -> str:
        """Read a letter, escaped, or what a named class holds, which is longer."""
        letter = self.take()
        if letter in "[]":
            raise self.refusal(f"an unescaped {letter} inside [ ]")
        if letter != "\\":
            return re.escape(letter) if letter.isascii() and not letter.isalnum() else letter
        named = self.take()
        if named in _CLASSES:
            return _CLASSES[named]
        return self.literal(named)


def _code(letter: str) -> int:
    controls = {"\\n": 10, "\\r": 13, "\\t": 9, "\\f": 12}
    return controls.get(letter, ord(letter[-1]))
