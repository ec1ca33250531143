"""Texts tested: whether they are numbers, letters, addresses."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from clary.expressions import VARCHAR, Term, col, fn
from clary.flows.steps import edit
from clary.flows.transform import Transform, columns, outputs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from clary.flows.steps import Schema, Step
    from clary.flows.transform import State


def _like(pattern: str) -> Callable[[Term], Term]:
    return lambda text: fn("regexp_full_match", text, pattern)


def _reads(kind: str) -> Callable[[Term], Term]:
    return lambda text: ~text.cast(kind, tries=True).is_null()


_TESTS: dict[str, Callable[[Term], Term]] = {
    "alphabetic": _like("[A-Za-z]+"),
    "alphanumeric": _like("[A-Za-z0-9]+"),
    "ascii": _like(r"[ -~\t\r\n]*"),
    "digits": _like("[0-9]+"),
    "whole_number": _like("[+-]?[0-9]+"),
    "number": _reads("double"),
    "date": _reads("timestamp"),
    "lower": lambda text: (text == fn("lower", text)) & (text != fn("upper", text)),
    "upper": lambda text: (text == fn("upper", text)) & (text != fn("lower", text)),
    "blank": lambda text: fn("trim", text) == "",
    "email": _like(r"[A-Za-z0-9._%+'-]+@[A-Za-z0-9-]+\.[A-Za-z0-9.-]*[A-Za-z]"),
    "url": _like(r"https?://[A-Za-z0-9.-]+[^ ]*"),
}


class String(Transform, frozen=True):
    """Tell of texts whether they pass a test; a missing text stays missing.

    Parameters
    ----------
    columns
        The columns of text, replaced where they stand by true or false.
    test
        Only ASCII letters or digits, one at least: ``alphabetic``, ``alphanumeric``, ``digits``;
        only ASCII: ``ascii``; a ``whole_number``; any ``number`` (``1e5``, ``inf``); a ``date`` or
        time of ISO 8601; all letters, one at least, ``lower`` or ``upper``; ``blank``; the shape of
        an ``email`` address or of a ``url`` of HTTP.
    output
        The name of a new column for what is made of one column.
    """

    operator: ClassVar[str] = "validate.string"
    columns: tuple[str, ...]
    test: Literal[
        "alphabetic",
        "alphanumeric",
        "ascii",
        "digits",
        "whole_number",
        "number",
        "date",
        "lower",
        "upper",
        "blank",
        "email",
        "url",
    ]
    output: str = ""

    def steps(self, schemas: Sequence[Schema], state: State) -> tuple[Step, ...]:  # noqa: ARG002
        """Test each text."""
        [schema] = schemas
        names = outputs(columns(schema, self.columns, VARCHAR), self.output)
        made = {}
        for one, output in names.items():
            text = col(one)
            passes = _TESTS[self.test](text)
            made[output] = f"CASE WHEN {text} IS NOT NULL THEN {passes} END"
        return (edit(schema, dict(made)),)
