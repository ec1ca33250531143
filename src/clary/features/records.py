"""What a group knows at every record: how values are read, checked and placed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from clary.features.model import LARGEST_RECORD, Record
from clary.features.values import (
    TEXTS,
    VALUES,
    Illegal,
    as_text,
    event_time_us,
    moment_text,
    reader,
    shown,
    size_of,
)
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from clary.features.model import Schema, Value
    from clary.features.values import Read
    from clary.kernel.names import Ref

Store = Literal["online", "offline"]
_DIGITS = 19
"""Whole numbers of fewer digits have 64 bits."""
LATEST_US = 300_000_000
"""How far event times may lie in the future: clocks differ."""


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
    read_units, write_units
        How many units of 4 KiB and of 1 KiB are read and written online in a second; None: any.
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
    read_units: int | None = None
    write_units: int | None = None
    readers: Mapping[str, tuple[int, Read]] = field(init=False, repr=False, compare=False)
    text_readers: Mapping[str, tuple[int, Read]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        features = self.schema.features
        readers = {one.name: (at, reader(one, VALUES)) for at, one in enumerate(features)}
        texts = {one.name: (at, reader(one, TEXTS)) for at, one in enumerate(features)}
        at, _ = readers[self.schema.event_time]
        if features[at].kind == "String":
            readers[self.schema.event_time] = (at, moment_text)
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

    def stores(self, asked: Collection[Store] = ()) -> Collection[Store]:
        """Say which stores a request is for: those asked for, or all. Raises InvalidInput."""
        has: list[Store] = ["online"] if self.is_online else []
        has += ["offline"] if self.is_offline else []
        for one in asked:
            if one not in has:
                legal = ", ".join(has)
                raise InvalidInput(
                    "TargetStores", f"{self.ref.name} has no {one} store", legal=legal
                )
        return asked or has

    def online(self) -> Group:
        """Refuse a group without an online store. Raises InvalidInput."""
        if not self.is_online:
            raise InvalidInput(
                "FeatureGroupName", f"{self.ref.name} has no online store", legal="one that has"
            )
        return self

    def place(self, name: str) -> int:
        """Say where a feature stands in records. Raises InvalidInput when there is none."""
        found = self.readers.get(name)
        if found is None:
            raise self._unknown(name)
        return found[0]

    def require(self, columns: Collection[str]) -> None:
        """See to it that rows of these columns are records.

        Raises
        ------
        InvalidInput
            One is no feature, or there is none of the identifier or the event time; names it.
        """
        for name in columns:
            self.place(name)
        for name in (self.schema.identifier, self.schema.event_time):
            if name not in columns:
                legal = f"a column {name}, beside {', '.join(list(columns)[:20])}"
                raise InvalidInput(name, "the rows have no such column", legal=legal)

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
            except Illegal as problem:
                raise InvalidInput(name, shown(value), legal=problem.legal) from None
        size = sum(map(len, values)) + sum(map(size_of, row))
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
        except Illegal as problem:
            raise InvalidInput(name, shown(value), legal=problem.legal) from None

    def are_filed(self, keys: Sequence[str]) -> bool:
        """Say whether keys are written as records are filed under them, where that is plain."""
        feature = self.schema.features[self.readers[self.schema.identifier][0]]
        joined = "".join(keys)
        if not all(keys):
            return False
        if feature.kind == "String":
            return joined.isprintable()
        is_whole = feature.kind == "Integral" and joined.isascii() and joined.isdigit()
        return is_whole and all(
            len(key) < _DIGITS and (key[0] != "0" or key == "0") for key in keys
        )

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

    def refuse_late(self, gone: Record, held: Record) -> None:
        """Refuse a tombstone that the online record is later than. Raises InvalidInput."""
        if held.event_us > gone.event_us and not held.is_deleted:
            raise InvalidInput(
                self.schema.event_time, "the record has a later one", legal="at least the record's"
            )

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
        except Illegal as problem:
            raise InvalidInput(name, shown(value), legal=problem.legal) from None
        if event_us > write_us + LATEST_US:
            raise InvalidInput(
                name,
                f"{value!r} lies in the future",
                legal=f"at most {LATEST_US // 1_000_000} seconds from now",
            )
        return event_us

    def _unknown(self, name: str) -> InvalidInput:
        names = [feature.name for feature in self.schema.features]
        legal = ", ".join(names[:20]) + (", …" if len(names) > 20 else "")
        return InvalidInput(shown(name)[1:-1], f"is no feature of {self.ref.name}", legal=legal)


def counts(record: Record, at_us: int) -> bool:
    """Say whether a record is an answer: it is no tombstone and has not expired."""
    return not record.is_deleted and (record.expires_us is None or record.expires_us > at_us)
