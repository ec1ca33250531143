"""What a group knows at every record: how values are read, checked and placed."""

from __future__ import annotations

import math
import operator
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from clary.features.model import LARGEST_RECORD, Record
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from clary.features.model import Feature, Schema, Value
    from clary.kernel.names import Ref

    Read = Callable[[object], Value]

LATEST_US = 300_000_000
"""How far event times may lie in the future: clocks differ."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_FIRST_S, _LAST_S = -62_135_596_800.0, 253_402_300_799.0
_INTEGER = re.compile(r"[+-]?[0-9]{1,40}", re.ASCII)
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", re.ASCII)
_ODD_NUMBERS = frozenset({"nan", "inf", "infinity"})
_MOMENT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?"
    r"(Z|[+-][0-9]{2}:?[0-9]{2})",
    re.ASCII,
)
_SHOWN = 64
_INT64 = "a whole number from -9223372036854775808 to 9223372036854775807"
_FLOAT = "a number"
_MOMENTS = "yyyy-MM-dd'T'HH:mm:ssZ, a fraction of a second allowed (2026-01-31T12:00:00.000Z)"
_SECONDS = "seconds since 1970, of the years 1 to 9999"


@dataclass(frozen=True, slots=True)
class Group:
    """A feature group as the data plane needs it.

    Parameters
    ----------
    ref
        Its name.
    uid
        Differs from that of every other group, of the same name too.
    schema
        Its features.
    is_online
        Whether its latest records are kept.
    offline_table
        What its table is called in the offline store: ``bucket/prefix``; empty without one.
    ttl_us
        How long records count online that do not say so themselves; None: for ever.
    catalog_table
        What SQL calls its offline table; empty without one.
    readers, text_readers
        How a feature's value is read, by name, with its place: from a Python value, and from text
        or a list of texts.
    """

    ref: Ref
    uid: str
    schema: Schema
    is_online: bool
    ttl_us: int | None
    offline_table: str
    catalog_table: str
    readers: Mapping[str, tuple[int, Read]] = field(init=False, repr=False, compare=False)
    text_readers: Mapping[str, tuple[int, Read]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        features = self.schema.features
        readers = {one.name: (at, _reader(one, _VALUES)) for at, one in enumerate(features)}
        texts = {one.name: (at, _reader(one, _TEXTS)) for at, one in enumerate(features)}
        at, _ = readers[self.schema.event_time]
        if features[at].kind == "String":
            readers[self.schema.event_time] = (at, _moment_text)
        object.__setattr__(self, "readers", readers)
        object.__setattr__(self, "text_readers", texts)

    @property
    def is_offline(self) -> bool:
        """Whether all of its records are kept."""
        return bool(self.offline_table)

    @property
    def online_table(self) -> str:
        """What its table is called in the online store."""
        return f"{self.ref.name}-{self.uid}"

    def place(self, name: str) -> int:
        """Say where a feature stands in records. Raises InvalidInput when there is none."""
        found = self.readers.get(name)
        if found is None:
            raise self._unknown(name)
        return found[0]

    def read(
        self,
        values: Mapping[str, object],
        *,
        is_text: bool = False,
        before: Sequence[Value] = (),
    ) -> tuple[Value, ...]:
        """Read and check the values of a record, into the order of the schema.

        Parameters
        ----------
        values
            By feature; None and absent ones are missing.
        is_text
            Whether they are as the public API has them: text, or lists of text.
        before
            What features have that are not among the values.

        Raises
        ------
        InvalidInput
            A feature is unknown or its value is of the wrong type, the identifier or event time is
            missing, or the record is over 350,000 bytes; names the feature and what is legal.
        """
        readers = self.text_readers if is_text else self.readers
        row: list[Value] = [*before, *[None] * (len(self.schema.features) - len(before))]
        for name, value in values.items():
            found = readers.get(name)
            if found is None:
                raise self._unknown(name)
            at, read = found
            try:
                row[at] = None if value is None else read(value)
            except _Illegal as problem:
                raise InvalidInput(name, _shown(value), legal=problem.legal) from None
        size = sum(map(len, values)) + sum(map(_size, row))
        if size > LARGEST_RECORD:
            raise InvalidInput(
                "Record", f"{size} bytes of names and values", legal=f"at most {LARGEST_RECORD}"
            )
        return tuple(row)

    def key(self, value: object, *, is_text: bool = False) -> str:
        """Write an identifier as records are filed under it. Raises InvalidInput."""
        name = self.schema.identifier
        readers = self.text_readers if is_text or isinstance(value, str) else self.readers
        try:
            return as_text(readers[name][1](value))
        except _Illegal as problem:
            raise InvalidInput(name, _shown(value), legal=problem.legal) from None

    def record(self, values: tuple[Value, ...], write_us: int, ttl_us: int | None = None) -> Record:
        """Make a record of values that were read.

        Parameters
        ----------
        values
            As ``read`` gives them.
        write_us
            Now.
        ttl_us
            How long it counts online; None: as its group says.

        Raises
        ------
        InvalidInput
            The identifier or the event time is missing, or the event time lies in the future or is
            none; names the feature.
        """
        key = values[self.readers[self.schema.identifier][0]]
        if key is None or key == "":
            raise InvalidInput(
                self.schema.identifier, "is missing", legal="every record names its identifier"
            )
        event_us = self._event_us(values, write_us)
        ttl = self.ttl_us if ttl_us is None else ttl_us
        return Record(
            as_text(key),
            event_us,
            write_us,
            values,
            self.schema.version,
            expires_us=None if ttl is None else event_us + ttl,
        )

    def tombstone(self, key: str, event_time: object, write_us: int) -> Record:
        """Make the record that says that from a time on there is nothing. Raises InvalidInput."""
        schema = self.schema
        values = self.read({schema.identifier: key, schema.event_time: event_time}, is_text=True)
        made = self.record(values, write_us)
        return Record(made.key, made.event_us, write_us, values, schema.version, is_deleted=True)

    def picked(self, record: Record, names: Sequence[str] = ()) -> dict[str, Value]:
        """Read values of a record, by feature; missing ones are left out.

        Raises InvalidInput when one of ``names`` is no feature.
        """
        values = record.values
        if not names:
            named = zip(self.readers, values, strict=False)  # an older record has fewer
            return {name: value for name, value in named if value is not None}
        places = [(name, self.place(name)) for name in names]
        found = {name: values[at] for name, at in places if at < len(values)}
        return {name: value for name, value in found.items() if value is not None}

    def _event_us(self, values: tuple[Value, ...], write_us: int) -> int:
        name = self.schema.event_time
        value = values[self.readers[name][0]]
        if value is None:
            raise InvalidInput(name, "is missing", legal="every record names its event time")
        try:
            event_us = event_time_us(value)
        except _Illegal as problem:
            raise InvalidInput(name, _shown(value), legal=problem.legal) from None
        if event_us > write_us + LATEST_US:
            raise InvalidInput(
                name,
                f"{value!r} lies in the future",
                legal=f"at most {LATEST_US // 1_000_000} seconds from now",
            )
        return event_us

    def _unknown(self, name: str) -> InvalidInput:
        names = [feature.name for feature in self.schema.features]
        shown = ", ".join(names[:20]) + (", …" if len(names) > 20 else "")
        return InvalidInput(_shown(name)[1:-1], f"is no feature of {self.ref.name}", legal=shown)


class _Illegal(ValueError):
    """A value is not what its feature takes."""

    def __init__(self, legal: str) -> None:
        super().__init__(legal)
        self.legal = legal


def event_time_us(value: object) -> int:
    """Read an event time: ISO-8601 text with its offset, or seconds since 1970.

    Returns
    -------
    int
        Microseconds since 1970, UTC; what is finer is cut off text and rounded in seconds.

    Raises
    ------
    ValueError
        It is neither.

    Examples
    --------
    >>> event_time_us("1970-01-01T00:00:01.5Z"), event_time_us("1970-01-01T01:00:00+01:00")
    (1500000, 0)
    >>> event_time_us(1.5)
    1500000
    """
    if isinstance(value, str):
        if _MOMENT.fullmatch(value) is None:
            raise _Illegal(_MOMENTS)
        try:
            return (datetime.fromisoformat(value) - _EPOCH) // _MICROSECOND
        except (ValueError, OverflowError):
            raise _Illegal(_MOMENTS) from None
    if isinstance(value, float) and _FIRST_S <= value <= _LAST_S:
        return round(value * 1e6)
    raise _Illegal(_SECONDS)


def as_text(value: Value) -> str:
    """Write a value that is no collection as the public API has it.

    Examples
    --------
    >>> as_text(7), as_text(0.5), as_text(math.inf), as_text("7")
    ('7', '0.5', 'Infinity', '7')
    """
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return str(value)


def _reader(feature: Feature, kinds: Mapping[str, Read]) -> Read:
    one = kinds[feature.kind]
    match feature.collection:
        case "List":
            return lambda value: _listed(value, one)
        case "Set":
            return lambda value: sorted(set(_listed(value, one)))
        case "Vector":
            return lambda value: _vector(value, one, feature.dimension)
    return one


def _listed(value: object, one: Read) -> list[float]:
    if isinstance(value, str | bytes) or not hasattr(value, "__iter__"):
        raise _Illegal("a list")
    return [one(part) for part in value]  # type: ignore[misc]


def _vector(value: object, one: Read, dimension: int | None) -> list[float]:
    found = _listed(value, one)
    if len(found) != dimension:
        raise _Illegal(f"a vector of {dimension} numbers")
    return found


def _text_integral(value: object) -> int:
    if isinstance(value, str) and _INTEGER.fullmatch(value):
        return _in_range(int(value))
    raise _Illegal(_INT64)


def _integral(value: object) -> int:
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise _Illegal(_INT64)
    return _in_range(operator.index(value))


def _in_range(number: int) -> int:
    if -(2**63) <= number < 2**63:
        return number
    raise _Illegal(_INT64)


def _text_fractional(value: object) -> float:
    if isinstance(value, str) and (
        _NUMBER.fullmatch(value) or value.lstrip("+-").lower() in _ODD_NUMBERS
    ):
        return float(value)
    raise _Illegal(_FLOAT)


def _fractional(value: object) -> float:
    if isinstance(value, datetime) and value.tzinfo is not None:
        return (value - _EPOCH) / timedelta(seconds=1)
    if isinstance(value, bool | str | bytes) or not hasattr(value, "__float__"):
        raise _Illegal(_FLOAT)
    try:
        return float(value)
    except (OverflowError, ValueError, TypeError):
        raise _Illegal(_FLOAT) from None


def _string(value: object) -> str:
    if not isinstance(value, str):
        raise _Illegal("text")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise _Illegal("text without lone surrogates") from None
    return value


def _moment_text(value: object) -> str:
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise _Illegal(f"{_MOMENTS}, or a datetime with its time zone")
        return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    return _string(value)


_VALUES: Mapping[str, Read] = {
    "Integral": _integral,
    "Fractional": _fractional,
    "String": _string,
}
_TEXTS: Mapping[str, Read] = {
    "Integral": _text_integral,
    "Fractional": _text_fractional,
    "String": _string,
}


def _size(value: Value) -> int:
    """Count the bytes of a value: 8 for a number, those of the UTF-8 of text."""
    if isinstance(value, str):
        return len(value) if value.isascii() else len(value.encode())
    if isinstance(value, list):
        return sum(map(_size, value))
    return 0 if value is None else 8


def _shown(value: object) -> str:
    """Show a value of any size."""
    text = repr(value[:_SHOWN] if isinstance(value, str | list) else value)
    return text if len(text) <= 2 * _SHOWN else f"{text[: 2 * _SHOWN]}…"
