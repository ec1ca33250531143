"""Texts written otherwise: padded, stripped, in another case, with more before or after."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar, Literal

from clary.expressions import BIGINT, VARCHAR, Term, col, fn, lit, when
from clary.flows.steps import edit
from clary.flows.transform import Transform, column
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clary.flows.steps import Schema, Step
    from clary.flows.transform import State

_SYMBOLS = "!@#$%^&*()_+=-/\\`~{}|<>?"
_WIDEST = 1000
Side = Literal["left", "right", "both"]


class Rewrite(Transform, frozen=True):
    """Write texts otherwise; a missing one stays missing, a whole number becomes its digits.

    Parameters
    ----------
    columns
        The columns, replaced where they stand.
    output
        The name of a new column for what is made of one column.
    """

    columns: tuple[str, ...]
    output: str = ""

    def steps(self, schemas: Sequence[Schema], state: State) -> tuple[Step, ...]:  # noqa: ARG002
        """Write each column."""
        [schema] = schemas
        if self.output and len(self.columns) != 1:
            raise InvalidInput("output", f"{self.output!r} is one name for {len(self.columns)}")
        made = {}
        for one in self.columns:
            name = column(schema, one, VARCHAR, BIGINT, field="columns")
            value = col(name) if schema[name] == VARCHAR else col(name).cast(VARCHAR)
            made[self.output or name] = str(self.written(value))
        return (edit(schema, made),)

    def written(self, text: Term) -> Term:
        """Write one text."""
        raise NotImplementedError


class Pad(Rewrite, frozen=True, kw_only=True):
    """Make texts at least so long by a fill; longer ones stay as they are."""

    operator: ClassVar[str] = "strings.pad"
    width: int
    fill: str = " "
    side: Literal["left", "right"] = "left"

    def written(self, text: Term) -> Term:
        """Fill on one side."""
        return _padded(text, self.width, self.fill, self.side)


class PrependZeros(Rewrite, frozen=True, kw_only=True):
    """Put zeros before texts until they are so long."""

    operator: ClassVar[str] = "strings.prepend_zeros"
    width: int

    def written(self, text: Term) -> Term:
        """Fill with zeros."""
        return _padded(text, self.width, "0", "left")


class Strip(Rewrite, frozen=True):
    """Take letters away from the ends of texts: blanks, tabs, line ends, or those given."""

    operator: ClassVar[str] = "strings.strip"
    characters: str = " \t\r\n"
    side: Side = "both"

    def written(self, text: Term) -> Term:
        """Strip one end or both."""
        name = {"both": "trim", "left": "ltrim", "right": "rtrim"}[self.side]
        return fn(name, text, self.characters)


class Case(Rewrite, frozen=True, kw_only=True):
    """Change the case of letters; ``capitalize``: the first upper, the others lower."""

    operator: ClassVar[str] = "strings.case"
    to: Literal["lower", "upper", "capitalize", "swap"]

    def written(self, text: Term) -> Term:
        """Change letters one for one."""
        if self.to == "capitalize":
            return joined(fn("upper", fn("left", text, 1)), fn("lower", fn("substring", text, 2)))
        return fn({"swap": "swapcase"}.get(self.to, self.to), text)


class Affix(Rewrite, frozen=True):
    """Put a text before and another after."""

    operator: ClassVar[str] = "strings.affix"
    prefix: str = ""
    suffix: str = ""

    def written(self, text: Term) -> Term:
        """Put them together."""
        return joined(self.prefix, text, self.suffix)


class RemoveSymbols(Rewrite, frozen=True):
    """Remove every one of some symbols."""

    operator: ClassVar[str] = "strings.remove_symbols"
    symbols: str = _SYMBOLS

    def written(self, text: Term) -> Term:
        """Remove them all."""
        if not self.symbols:
            raise InvalidInput("symbols", "there are none to remove")
        return fn("regexp_replace", text, letters(self.symbols), "", "g")


def letters(known: str) -> str:
    r"""Write the pattern of one letter among some.

    Examples
    --------
    >>> print(letters("]a-"))
    [\]a\-]
    """
    escaped = re.sub(r"[^\w\s]", lambda found: _escaped(found[0]), known)
    return f"[{escaped}]"


def joined(*texts: Term | str) -> Term:
    """Put texts together; missing where one is."""
    return Term(f"({' || '.join(str(lit(one)) for one in texts)})")


def _escaped(letter: str) -> str:
    return f"\\{letter}" if letter.isascii() else letter


def _padded(text: Term, width: int, fill: str, side: str) -> Term:
    if not 0 <= width <= _WIDEST:
        raise InvalidInput("width", f"{width}", legal=f"0 … {_WIDEST}")
    if not fill:
        raise InvalidInput("fill", "the text to pad with is empty")
    name = "lpad" if side == "left" else "rpad"
    return when(fn("length", text) < width).then(fn(name, text, width, fill)).otherwise(text)
