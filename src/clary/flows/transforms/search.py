"""What texts hold: found, taken out, replaced, split."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from clary.expressions import VARCHAR, Term, col, fn, when
from clary.flows.steps import edit
from clary.flows.transform import Transform, column
from clary.flows.transforms.strings import Rewrite
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clary.flows.steps import Schema, Step
    from clary.flows.transform import State

_MOST_PARTS = 1000
_CUT = "\x1f"


class Find(Rewrite, frozen=True, kw_only=True):
    """Tell where a text stands in another, from 0; -1 where it does not.

    Parameters
    ----------
    text
        What is looked for.
    start, end
        Where to look: from the letter ``start`` up to, without, ``end``.
    from_right
        Take the last of its places, those overlapping an earlier one aside.
    """

    operator: ClassVar[str] = "search.find"
    text: str
    start: int = 0
    end: int | None = None
    from_right: bool = False

    def written(self, text: Term) -> Term:
        """Give its place as a whole number."""
        if not self.text or self.start < 0 or (self.end is not None and self.end < self.start):
            problem = f"{self.text!r} from {self.start} to {self.end}"
            raise InvalidInput("text", problem, legal="some text, 0 <= start <= end")
        inside = _between(text, self.start, self.end)
        place = fn("strpos", inside, self.text)
        if self.from_right:
            last = fn("length", fn("split_part", inside, self.text, -1))
            found = fn("length", inside) - last - len(self.text) + self.start
        else:
            found = place - 1 + self.start
        return when(place > 0).then(found).when(place == 0).then(-1).otherwise(None)


class Matches(Rewrite, frozen=True, kw_only=True):
    """Tell whether a pattern is found in a text."""

    operator: ClassVar[str] = "search.matches"
    pattern: str

    def written(self, text: Term) -> Term:
        """Look for it."""
        return fn("regexp_matches", text, self.pattern)


class ExtractPattern(Rewrite, frozen=True, kw_only=True):
    """Take out what a pattern, or one of its groups, matches first; missing where nothing."""

    operator: ClassVar[str] = "search.extract_pattern"
    pattern: str
    group: int = 0

    def written(self, text: Term) -> Term:
        """Take it out."""
        return fn("nullif", fn("regexp_extract", text, self.pattern, self.group), "")


class ExtractBetween(Rewrite, frozen=True, kw_only=True):
    """Take out what stands between two texts; missing where these do not both stand."""

    operator: ClassVar[str] = "search.extract_between"
    left: str
    right: str

    def written(self, text: Term) -> Term:
        """Take out the shortest after the first ``left``."""
        if not self.left or not self.right:
            raise InvalidInput("left", "the texts on both sides are needed")
        begin = fn("strpos", text, self.left)
        rest = fn("substring", text, begin + len(self.left))
        end = fn("strpos", rest, self.right)
        return when((begin > 0) & (end > 0)).then(fn("left", rest, end - 1)).otherwise(None)


class ExtractPosition(Rewrite, frozen=True, kw_only=True):
    """Take out the letters from ``start``, counted from 0, up to ``end``, without that."""

    operator: ClassVar[str] = "search.extract_position"
    start: int = 0
    end: int | None = None

    def written(self, text: Term) -> Term:
        """Take them out."""
        if self.start < 0 or (self.end is not None and self.end < self.start):
            raise InvalidInput("start", f"{self.start} to {self.end}", legal="0 <= start <= end")
        return _between(text, self.start, self.end)


class Replace(Rewrite, frozen=True, kw_only=True):
    """Replace a text wherever it stands."""

    operator: ClassVar[str] = "search.replace"
    old: str
    new: str = ""

    def written(self, text: Term) -> Term:
        """Replace it."""
        return fn("replace", text, self.old, self.new)


class ReplacePattern(Rewrite, frozen=True, kw_only=True):
    r"""Replace whatever a pattern matches; ``\1`` stands for its first group."""

    operator: ClassVar[str] = "search.replace_pattern"
    pattern: str
    new: str = ""

    def written(self, text: Term) -> Term:
        """Replace each match."""
        return fn("regexp_replace", text, self.pattern, self.new, "g")


class PatternToMissing(Rewrite, frozen=True, kw_only=True):
    """Make texts missing in which a pattern is found."""

    operator: ClassVar[str] = "search.pattern_to_missing"
    pattern: str

    def written(self, text: Term) -> Term:
        """Look for it."""
        found = fn("regexp_matches", text, self.pattern)
        return when(found).then(None).otherwise(text)


class Split(Transform, frozen=True):
    """Split a text at a delimiter: into a list, or into so many columns.

    Parameters
    ----------
    column
        The text.
    delimiter
        What stands between the parts: a text, or a pattern with ``is_pattern``.
    parts
        How many columns, ``column_0``, …; 0: one list. What is beyond them is dropped.
    output
        The name of the list, or what the columns' names begin with; empty: the column's own.
    """

    operator: ClassVar[str] = "search.split"
    column: str
    delimiter: str = ","
    is_pattern: bool = False
    parts: int = 0
    output: str = ""

    def steps(self, schemas: Sequence[Schema], state: State) -> tuple[Step, ...]:  # noqa: ARG002
        """Split each."""
        [schema] = schemas
        if not 0 <= self.parts <= _MOST_PARTS:
            raise InvalidInput("parts", f"{self.parts}", legal=f"0 … {_MOST_PARTS}")
        name = column(schema, self.column, VARCHAR)
        parts = divided(col(name), self.delimiter, is_pattern=self.is_pattern)
        start = self.output or name
        if not self.parts:
            return (edit(schema, {start: str(parts)}),)
        made = {f"{start}_{place}": str(parts[place + 1]) for place in range(self.parts)}
        return (edit(schema, made),)


def divided(text: Term, delimiter: str, *, is_pattern: bool) -> Term:
    """Split a text into a list."""
    if is_pattern:
        text, delimiter = fn("regexp_replace", text, delimiter, _CUT, "g"), _CUT
    return fn("string_split", text, delimiter)


def _between(text: Term, start: int, end: int | None) -> Term:
    if not start and end is None:
        return text
    given = (start + 1,) if end is None else (start + 1, end - start)
    return fn("substring", text, *given)
