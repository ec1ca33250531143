"""The documents of records: a name and a text for each value; compiled for a group's features."""

from __future__ import annotations

from itertools import chain
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import msgspec

from clary.features.values import as_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from clary.features.model import Feature, Schema, Value
    from clary.kernel.ports import JsonObject

_json = msgspec.json.Encoder().encode
_OTHERWISE = (b"e", b"n", b'"', b"0.0000")
"""In a JSON array of numbers: one that JSON writes otherwise than ``as_text``, or is none."""


def document(name: str, value: Value) -> JsonObject:
    """Write the document of a value."""
    if isinstance(value, list):
        return {"FeatureName": name, "ValueAsStringList": [as_text(one) for one in value]}
    return {"FeatureName": name, "ValueAsString": as_text(value)}


class RecordWriter:
    """Writes values of records as JSON, as ``document`` has them, without making the documents.

    Parameters
    ----------
    schema
        The features of a group.
    names
        Which of them, in this order; empty: all.
    """

    def __init__(self, schema: Schema, names: Sequence[str] = ()) -> None:
        places = {feature.name: at for at, feature in enumerate(schema.features)}
        self._names = list(dict.fromkeys(names or places))
        self._places = [places[name] for name in self._names]
        self._width = max(self._places) + 1
        chosen = [schema.features[at] for at in self._places]
        numbers = [at for at, one in enumerate(chosen) if _is_number(one)]
        others = [at for at, one in enumerate(chosen) if not _is_number(one)]
        order = {at: place for place, at in enumerate((*numbers, *others))}
        self._count = len(numbers)
        self._numbers = _getter([self._places[at] for at in numbers])
        self._others = _getter([self._places[at] for at in others]) if others else None
        self._ordered = _getter([order[at] for at in range(len(chosen))])
        self._template = b"[" + b",".join(map(_piece, chosen)) + b"]"

    def write(self, records: Sequence[Sequence[Value]]) -> list[bytes]:
        """Write the JSON array of each record's values; missing ones are left out."""
        if records and min(map(len, records)) < self._width:  # older than some feature
            missing = (None,) * self._width
            records = [(*values, *missing[len(values) :]) for values in records]
        numbers = _json(list(chain.from_iterable(map(self._numbers, records))))
        if any(one in numbers for one in _OTHERWISE):
            if len(records) == 1:
                return [self._written(records[0])]
            return [text for one in records for text in self.write([one])]
        texts = numbers[1:-1].split(b",")
        starts = range(0, len(records) * self._count, self._count or 1)
        rows = [texts[at : at + self._count] for at in starts] or [[] for _ in records]
        if self._others is None:
            return [self._template % tuple(row) for row in rows]
        return [self._mixed(row, values) for row, values in zip(rows, records, strict=True)]

    def _mixed(self, texts: list[bytes], values: Sequence[Value]) -> bytes:
        others = self._others(values) if self._others else ()
        if None in others:
            return self._written(values)
        return self._template % self._ordered([*texts, *map(_text, others)])

    def _written(self, values: Sequence[Value]) -> bytes:
        named = zip(self._names, self._places, strict=True)
        return _json([document(name, values[at]) for name, at in named if values[at] is not None])


def _getter(places: Sequence[int]) -> Callable[[Any], tuple[Any, ...]]:
    """Make what takes the items at places of a sequence, as a tuple."""
    if len(places) > 1:
        return itemgetter(*places)
    return lambda row: tuple(row[at] for at in places)


def _is_number(feature: Feature) -> bool:
    return feature.kind != "String" and feature.collection is None


def _piece(feature: Feature) -> bytes:
    name = _json(feature.name).replace(b"%", b"%%")
    member = b"ValueAsStringList" if feature.collection else b"ValueAsString"
    text = b'"%b"' if _is_number(feature) else b"%b"
    return b'{"FeatureName":' + name + b',"' + member + b'":' + text + b"}"


def _text(value: Value) -> bytes:
    return _json([as_text(one) for one in value] if isinstance(value, list) else value)
