"""Rows of features as a model's requests, and its answers as rows again."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

import jmespath

from clary.kernel.codec import from_json
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clary.monitoring.programs.clarify_config import Name, Predictor

CSV, LINES, JSON = "text/csv", "application/jsonlines", "application/json"
TYPES = (CSV, LINES, JSON)
Cell = Any


class Exchange:
    """How rows become a request's body, and an answer's body becomes one answer a row.

    Parameters
    ----------
    predictor
        The settings.
    features
        The features' names, in the order of rows.

    Raises
    ------
    InvalidInput
        A media type or a template cannot be used; names the member.
    """

    def __init__(self, predictor: Predictor, features: Sequence[str]) -> None:
        self._features = list(features)
        self.content_type = (predictor.content_type or CSV).lower()
        self.accept = (predictor.accept_type or self.content_type).lower()
        self._content, self._record = predictor.content_template, predictor.record_template
        for member, given in (("content_type", self.content_type), ("accept_type", self.accept)):
            if given not in TYPES:
                raise InvalidInput(
                    f"predictor.{member}", f"{given!r} is not offered", legal=", ".join(TYPES)
                )
        if self.content_type == LINES and "$features" not in self._content:
            raise InvalidInput("predictor.content_template", "has no $features in it")
        if self.content_type == JSON and "$record" not in self._content:
            raise InvalidInput("predictor.content_template", "has neither $records nor $record")

    @property
    def takes_many(self) -> bool:
        """Whether one request may have several rows."""
        return self.content_type != JSON or "$records" in self._content

    def body(self, rows: Sequence[Sequence[Cell]]) -> bytes:
        """Write rows as one request."""
        if self.content_type == CSV:
            text = io.StringIO()
            writer = csv.writer(text, lineterminator="\n")
            writer.writerows([["" if one is None else one for one in row] for row in rows])
            return text.getvalue().encode()
        if self.content_type == LINES:
            lines = (self._content.replace("$features", _json(list(row))) for row in rows)
            return "\n".join(lines).encode()
        records = [self._of_record(row) for row in rows]
        if self.takes_many:
            return self._content.replace("$records", f"[{', '.join(records)}]").encode()
        return self._content.replace("$record", records[0]).encode()

    def _of_record(self, row: Sequence[Cell]) -> str:
        pairs = dict(zip(self._features, row, strict=True))
        text = self._record
        for name, value in pairs.items():
            text = text.replace(f'"${{{name}}}"', _json(value))
        text = text.replace("$features_kvp", _json(pairs))
        text = text.replace("$feature_names", _json(self._features))
        return text.replace("$features", _json(list(row)))

    def answers(self, body: bytes, rows: int) -> list[Any]:
        """Read an answer: one value, list or object a row.

        Raises
        ------
        InvalidInput
            It does not hold so many.
        """
        if self.accept == CSV:
            found = _csv(body, rows)
        elif self.accept == LINES:
            found = [from_json(one, field="the answer") for one in body.splitlines() if one.strip()]
        else:
            found = _documents(from_json(body, field="the answer"), rows)
        if len(found) != rows:
            raise InvalidInput("the answer", f"has {len(found)} predictions for {rows} rows")
        return found


def _csv(body: bytes, rows: int) -> list[Any]:
    lines = [one for one in csv.reader(io.StringIO(body.decode(errors="replace"))) if one]
    cells = [[_number(cell.strip()) for cell in line] for line in lines]
    if len(cells) == 1 and rows > 1 and len(cells[0]) % rows == 0:  # all in one line
        width = len(cells[0]) // rows
        return [cells[0][place * width : (place + 1) * width] for place in range(rows)]
    return cells


def _documents(document: Any, rows: int) -> list[Any]:
    """Find one answer a row: the list of so many that is the document, or is a member of it."""
    if isinstance(document, list) and len(document) == rows:
        return document
    if isinstance(document, dict):
        lists = [one for one in document.values() if isinstance(one, list) and len(one) == rows]
        if lists and len(lists) == len(document) > 1:  # columns
            return [
                dict(zip(document, row, strict=True))
                for row in zip(*document.values(), strict=True)
            ]
        if lists:
            return list(lists[0])
    return [document]


def find(answer: Any, place: Name, *, field: str) -> Any:
    """Take a part of one answer, by its place in a row or a JMESPath expression.

    Raises
    ------
    InvalidInput
        There is none there; names ``field``.

    Examples
    --------
    >>> find([0.2, 0.8], 1, field=""), find({"score": 0.3}, "score", field="")
    (0.8, 0.3)
    """
    if isinstance(answer, list) and str(place).isdigit():
        if int(place) < len(answer):
            return answer[int(place)]
        raise InvalidInput(field, f"an answer has {len(answer)} values, and none at {place}")
    try:
        found = jmespath.search(str(place), answer)
    except jmespath.exceptions.JMESPathError as error:
        raise InvalidInput(field, str(error)) from None
    if found is None:
        raise InvalidInput(field, f"{place!r} finds nothing in the answer {answer!r:.200}")
    return found


def _number(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _json(value: Any) -> str:
    return json.dumps(value, default=str)
