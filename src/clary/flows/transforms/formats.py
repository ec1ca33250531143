"""Formats of dates as ``strptime`` says them, read by expressions: the same on every engine."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from clary.expressions import TIMESTAMP, Term, fn, when
from clary.flows.transforms.strings import joined
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping

ISO = "iso"
COMMON = (
    ISO, "%Y/%m/%d", "%Y/%m/%d %H:%M:%S", "%Y%m%d", "%m/%d/%Y", "%d/%m/%Y", "%m/%d/%Y %H:%M",
    "%m/%d/%Y %H:%M:%S", "%d/%m/%Y %H:%M", "%d/%m/%Y %H:%M:%S", "%m/%d/%Y %I:%M %p",
    "%m/%d/%Y %I:%M:%S %p", "%d.%m.%Y", "%d.%m.%Y %H:%M", "%d.%m.%Y %H:%M:%S", "%m-%d-%Y",
    "%d-%m-%Y", "%m/%d/%y", "%d/%m/%y", "%d-%b-%Y", "%d %b %Y", "%b %d, %Y", "%d %B %Y",
    "%B %d, %Y",
)  # fmt: skip
"""What is tried for texts of an unknown format, the first wins among equals."""
_MONTHS = "janfebmaraprmayjunjulaugsepoctnovdec"
_NAMES = "january|february|march|april|may|june|july|august|september|october|november|december"
_SHORT = "|".join(_MONTHS[at : at + 3] for at in range(0, 36, 3))
_PATTERNS = {
    "Y": r"(\d\d\d\d)", "y": r"(\d\d)", "m": r"(\d\d?)", "d": r"(\d\d?)", "H": r"(\d\d?)",
    "I": r"(\d\d?)", "M": r"(\d\d?)", "S": r"(\d\d?)", "f": r"(\d{1,6})", "p": "([ap]m)",
    "b": f"({_SHORT})", "B": f"({_NAMES})",
}  # fmt: skip
_WRITTEN = {"F": "%Y-%m-%d", "T": "%H:%M:%S", "D": "%m/%d/%y", "R": "%H:%M"}


def read(text: Term, form: str) -> Term:
    """Read a timestamp from a text; missing where it is none of the format.

    Parameters
    ----------
    form
        ``iso``, or letters and ``%Y %y %m %d %H %I %M %S %f %p %b %B %F %T %D %R %%``; English
        names of months in any case, blanks around the text aside.

    Raises
    ------
    InvalidInput
        The format has another directive, one twice, or no date.
    """
    if form == ISO:
        return text.cast(TIMESTAMP, tries=True)
    pattern, places = _pattern(form)
    known = fn("trim", fn("lower", text))
    found = {name: fn("regexp_extract", known, pattern, at) for name, at in places.items()}
    return _written(found).cast(TIMESTAMP, tries=True)


def _pattern(form: str) -> tuple[str, dict[str, int]]:
    form = re.sub(r"%([FTDR])", lambda word: _WRITTEN[word[1]], form)
    places: dict[str, int] = {}
    pattern = ""
    for directive, letter in re.findall(r"%(.?)|([^%])", form.strip(), re.DOTALL):
        if letter or directive == "%":
            pattern += _literal((letter or "%").lower())
        elif directive not in _PATTERNS or directive in places:
            legal = " ".join(f"%{one}" for one in (*_PATTERNS, *_WRITTEN, "%"))
            raise InvalidInput("format", f"{form!r} has %{directive} or has it twice", legal=legal)
        else:
            places[directive] = len(places) + 1
            pattern += _PATTERNS[directive]
    _checked(form, places)
    return f"^{pattern}$", places


def _checked(form: str, places: Mapping[str, int]) -> None:
    has_date = {"Y", "y"} & set(places) and {"m", "b", "B"} & set(places) and "d" in places
    if not has_date or ("I" in places) != ("p" in places) or {"I", "H"} <= set(places):
        legal = "year, month and day; %I with %p and without %H"
        raise InvalidInput("format", f"{form!r} tells no moment", legal=legal)


def _literal(letter: str) -> str:
    is_plain = letter.isalnum() or letter in " _" or not letter.isascii()
    return letter if is_plain else f"\\{letter}"


def _written(found: Mapping[str, Term]) -> Term:
    """Write what was found as ISO 8601."""
    time = joined(_two(_hour(found)), ":", _two(found.get("M")), ":", _two(found.get("S")))
    if "f" in found:
        time = joined(time, ".", fn("rpad", found["f"], 6, "0"))
    return joined(_year(found), "-", _month(found), "-", _two(found["d"]), " ", time)


def _year(found: Mapping[str, Term]) -> Term:
    if "Y" in found:
        return found["Y"]
    short = found["y"]
    return joined(when(short < "69").then("20").otherwise("19"), short)


def _month(found: Mapping[str, Term]) -> Term:
    if "m" in found:
        return _two(found["m"])
    name = fn("left", found.get("b", found.get("B")), 3)
    place = (fn("strpos", _MONTHS, name) + 2) // 3
    return _two(place.cast("varchar"))


def _hour(found: Mapping[str, Term]) -> Term | None:
    if "I" not in found:
        return found.get("H")
    told, late = found["I"].cast("bigint", tries=True), found["p"] == "pm"
    hour = when(late).then(told % 12 + 12).otherwise(told % 12)
    return when(told.between(1, 12)).then(hour.cast("varchar")).otherwise("99")


def _two(text: Term | None) -> Term:
    return fn("lpad", text, 2, "0") if text is not None else fn("lpad", "0", 2, "0")
