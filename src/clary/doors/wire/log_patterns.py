"""CloudWatch's filter patterns of terms."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from clary.kernel.errors import NotSupported

_TERM = re.compile(r'([?-]?)(?:"((?:[^"\\]|\\.)*)"|(\S+))')


@dataclass(frozen=True, slots=True)
class LogPattern:
    """Terms to find in a line; an empty pattern matches every line.

    ``a b`` needs both, ``?a ?b`` one of them, ``-a`` none; ``"a b"`` is one term.

    Examples
    --------
    >>> LogPattern('error -"not found"').matches("error: disk full")
    True

    Raises
    ------
    NotSupported
        It is a pattern of JSON members, of columns or a regular expression.
    """

    source: str
    needed: tuple[str, ...] = field(init=False)
    any_of: tuple[str, ...] = field(init=False)
    unwanted: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        text = self.source.strip()
        if text[:1] in ("{", "[", "%"):
            raise NotSupported(
                f"clary does not offer the filter pattern {text[:80]!r}",
                hint="legal: terms, as in: error ?warning -debug",
            )
        terms: dict[str, list[str]] = {"": [], "?": [], "-": []}
        for sign, quoted, bare in _TERM.findall(text):
            terms[sign].append(bare or re.sub(r"\\(.)", r"\1", quoted))
        object.__setattr__(self, "needed", tuple(terms[""]))
        object.__setattr__(self, "any_of", tuple(terms["?"]))
        object.__setattr__(self, "unwanted", tuple(terms["-"]))

    def matches(self, text: str) -> bool:
        """Say whether a line matches; capitals count."""
        return (
            all(term in text for term in self.needed)
            and not any(term in text for term in self.unwanted)
            and (not self.any_of or any(term in text for term in self.any_of))
        )
