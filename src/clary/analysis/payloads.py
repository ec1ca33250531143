"""Bodies of requests and answers as rows: CSV, JSON, JSON lines, or their bytes in base64."""

from __future__ import annotations

import csv
from binascii import Error as Base64Error
from binascii import a2b_base64
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from clary.analysis.attributes import MISSING
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from clary.analysis.attributes import Attribute

_CONTAINERS: Final = ("predictions", "instances", "outputs", "results")
"""Members under which containers put the rows of a document."""
_decode = msgspec.json.Decoder().decode


class Payload(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """One side of a captured request, or its label.

    Parameters
    ----------
    data
        Its text, or its bytes in base64.
    encoding
        How ``data`` is to be read.
    observed_content_type
        The media type; empty where it was not observed.
    """

    data: str
    encoding: Literal["CSV", "JSON", "BASE64"] = "CSV"
    observed_content_type: str = ""

    def rows(self) -> list[Any]:
        """Return its rows: lists of texts for CSV, documents or values for JSON.

        Raises
        ------
        InvalidInput
            It is not what its encoding says.
        """
        document = self.document()
        return document if isinstance(document, list) else [document]

    def document(self) -> Any:
        """Return all of it as JSON would have it; a list of rows where it is CSV or JSON lines.

        The rows of a document such as ``{"predictions": [...]}`` are what is in the list.

        Raises
        ------
        InvalidInput
            It is not what its encoding says.
        """
        whole = self.whole()
        return next(iter(_lists(whole)), whole) if isinstance(whole, dict) else whole

    def whole(self) -> Any:
        """Return all of it as it stands; a list of rows where it is CSV or JSON lines.

        Raises
        ------
        InvalidInput
            It is not what its encoding says.
        """
        if self.encoding == "CSV":
            return _csv(self.data)
        if self.encoding == "JSON":
            return _json(self.data)
        try:
            text = a2b_base64(self.data, strict_mode=True).decode()
        except (Base64Error, UnicodeDecodeError):
            problem = f"is no text in base64 ({self.observed_content_type or 'of no type'})"
            raise InvalidInput("data", problem) from None
        is_json = "json" in self.observed_content_type or text.lstrip()[:1] in ("{", "[")
        return _json(text) if is_json else _csv(text)

    def values(self, place: Attribute | None) -> list[Any]:
        """Return one value a row.

        Parameters
        ----------
        place
            Looked for in the whole document first and then in each of its rows; None takes a row's
            first cell or only member.

        Raises
        ------
        InvalidInput
            A row has nothing there, or the data is not what its encoding says.
        """
        whole = self.whole()
        if place is not None and isinstance(whole, dict):
            found = place.find(whole)
            if found is not MISSING:
                return found if isinstance(found, list) else [found]
        rows = next(iter(_lists(whole)), whole) if isinstance(whole, dict) else whole
        return [_value(row, place) for row in (rows if isinstance(rows, list) else [rows])]


def _lists(document: dict[str, Any]) -> list[list[Any]]:
    """Return the lists that may be a document's rows, the likeliest first."""
    named = [document[name] for name in _CONTAINERS if isinstance(document.get(name), list)]
    return named or [one for one in document.values() if len(document) == 1 and _is_rows(one)]


def _is_rows(value: Any) -> bool:
    return isinstance(value, list)


def _csv(text: str) -> list[list[str]]:
    try:
        return [row for row in csv.reader(text.splitlines(), strict=True) if row]
    except csv.Error as error:
        raise InvalidInput("data", f"is no CSV: {error}") from None


def _json(text: str) -> Any:
    try:
        return _decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        lines = [line for line in text.splitlines() if line.strip()]
        if len(lines) < 2:
            raise InvalidInput("data", f"is no JSON: {error}") from None
    try:
        return [_decode(line) for line in lines]
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidInput("data", f"is no JSON: {error}") from None


def _value(row: Any, place: Attribute | None) -> Any:
    if place is None:
        return _only(row)
    found = place.find(row)
    if found is MISSING and place.index == 0 and not isinstance(row, dict | list):
        return row
    if found is not MISSING:
        return found
    held = ", ".join(row) if isinstance(row, dict) else f"{_width(row)} cells without names"
    raise InvalidInput("data", f"has nothing at {place.text!r}; it has {held[:200]}")


def _width(row: Any) -> int:
    return len(row) if isinstance(row, list) else 1


def _only(row: Any) -> Any:
    if isinstance(row, list) and row:
        return row[0]
    if isinstance(row, dict):
        if len(row) != 1:
            problem = f"has the members {', '.join(row)[:200]}; an attribute has to name one"
            raise InvalidInput("data", problem)
        return next(iter(row.values()))
    return row
