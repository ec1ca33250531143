"""Where in a model's answer a value stands: an index, a name, or a path such as ``$.a[0].b``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterable

Step: TypeAlias = str | int | None
"""A member's name, an item's place, or None for every item."""

MISSING: Final = object()
"""What stands for a value that is not there; None is a value."""
_STEP: Final = re.compile(
    r"""\.?(?P<name>[^\s.\[\]'"$*]+)|\[(?P<index>\d{1,9})\]|(?P<every>\[\*?\])"""
    r"""|\[(?P<quote>['"])(?P<quoted>.+?)(?P=quote)\]"""
)
_LONGEST: Final = 1000
_LEGAL: Final = "an index (0), a name (score) or a path ($.predictions[0].score)"


@dataclass(frozen=True, slots=True)
class Attribute:
    """A place in each row of a dataset.

    Parameters
    ----------
    text
        As it was given.
    steps
        From the outside in; one whole number is the place of a cell in a row.
    """

    text: str
    steps: tuple[Step, ...]

    @property
    def index(self) -> int | None:
        """The place of a cell, where the attribute is nothing else."""
        return self.steps[0] if len(self.steps) == 1 and isinstance(self.steps[0], int) else None

    @property
    def name(self) -> str | None:
        """The name of a column, where the attribute is nothing else."""
        return self.steps[0] if len(self.steps) == 1 and isinstance(self.steps[0], str) else None

    def find(self, document: Any) -> Any:
        """Return what stands at this place of a document; ``MISSING`` where there is nothing.

        ``[*]`` and ``[]`` give a list of what stands there in each item.

        Examples
        --------
        >>> attribute("$.a[*].b", field="").find({"a": [{"b": 1}, {"b": 2}]})
        [1, 2]
        """
        return _find(document, self.steps)


def attribute(text: str, *, field: str) -> Attribute:
    """Read an attribute.

    Raises
    ------
    InvalidInput
        It is none of the three; names ``field``.

    Examples
    --------
    >>> attribute("predictions[0].score", field="").steps
    ('predictions', 0, 'score')
    >>> attribute("1", field="").index
    1
    """
    text = text.strip()
    if text.isascii() and text.isdecimal() and len(text) < 10:
        return Attribute(text, (int(text),))
    rest = text.removeprefix("$")
    steps: list[Step] = []
    while rest and len(text) <= _LONGEST:
        match = _STEP.match(rest)
        if match is None:
            break
        steps.append(_step(match))
        rest = rest[match.end() :]
    if rest or not steps:
        raise InvalidInput(field, f"{text[:100]!r} names no place in an answer", legal=_LEGAL)
    return Attribute(text, tuple(steps))


def _step(match: re.Match[str]) -> Step:
    if match["every"]:
        return None
    if match["index"]:
        return int(match["index"])
    return match["name"] or match["quoted"]


def _find(document: Any, steps: tuple[Step, ...]) -> Any:
    for place, step in enumerate(steps):
        if step is None:
            return _every(document, steps[place + 1 :])
        document = _inside(document, step)
        if document is MISSING:
            return MISSING
    return document


def _every(items: Any, steps: tuple[Step, ...]) -> Any:
    if not isinstance(items, list):
        return MISSING
    found = [_find(item, steps) for item in items]
    return MISSING if _any_missing(found) else found


def _any_missing(found: Iterable[Any]) -> bool:
    return any(one is MISSING for one in found)


def _inside(document: Any, step: str | int) -> Any:
    if isinstance(step, str):
        return document.get(step, MISSING) if isinstance(document, dict) else MISSING
    if isinstance(document, list) and step < len(document):
        return document[step]
    return MISSING
