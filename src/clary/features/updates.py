"""Changes of some values of a record, the others staying as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING
from zlib import crc32

from clary.kernel.errors import Conflict, InvalidInput, NotFound

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from contextlib import AbstractContextManager

    from clary.features.model import Record
    from clary.features.records import Group, Store
    from clary.features.service import Features
    from clary.kernel.names import Ref

MOST_VALUES = 100
TURNS = 64
_TRIES = 32


class Updates:
    """Changes records of one entity one after the other: two changes of a record are both in it.

    A change whose record has become another before it is written, by whatever process, is made
    again of that; its first row stays in the history, where the later one goes before it.

    Parameters
    ----------
    features
        Reads and writes records.
    turn
        Holds one of ``TURNS`` turns, by number, that one thread of all processes has at a time.
    """

    def __init__(
        self, features: Features, turn: Callable[[int], AbstractContextManager[None]]
    ) -> None:
        self._features = features
        self._turn = turn

    def update(
        self,
        ref: Ref,
        key: str,
        values: Mapping[str, object],
        *,
        stores: Collection[Store] = (),
        ttl_us: int | None = None,
    ) -> Record:
        """Change values of the latest record of an entity.

        Parameters
        ----------
        values
            Text, as in the public API; the event time stays unless it is among them.
        ttl_us
            Microseconds from the new event time that it counts online; None: as long as before.

        Raises
        ------
        NotFound
            There is no such group, or no record.
        Conflict
            The record's event time is later, or others change it all the time.
        InvalidInput
            A value does not fit, there are over 100, or the identifier is another.
        """
        group = self._features.group(ref)
        if len(values) > MOST_VALUES:
            raise InvalidInput("Features", f"{len(values)} values", legal=f"at most {MOST_VALUES}")
        if ttl_us is not None and group.schema.event_time not in values:
            raise InvalidInput("TtlDuration", "without an event time", legal="both, or neither")
        filed = group.key(key)
        with self._turn(crc32(f"{group.online_table} {filed}".encode()) % TURNS):
            for _ in range(_TRIES):
                group, held = self._features.get_records([(ref, key)])[0]
                if held is None:
                    raise NotFound(f"record {key!r} of {ref}")
                record = self._changed(group, held, values, ttl_us)
                if self._features.write(group, [record], stores, over_us=held.write_us):
                    return record
        raise Conflict(f"the record of {key!r} changes all the time", hint="try again")

    def _changed(
        self, group: Group, held: Record, values: Mapping[str, object], ttl_us: int | None
    ) -> Record:
        """Make the record that takes the place of another."""
        if ttl_us is None and held.expires_us is not None:
            ttl_us = held.expires_us - held.event_us
        row = group.read(values, is_text=True, before=held.values)
        record = group.record(row, max(self._features.stamp(), held.write_us + 1), ttl_us)
        if record.key != held.key:
            raise InvalidInput(group.schema.identifier, f"is not {held.key!r}", legal="the same")
        if record.event_us < held.event_us:
            raise Conflict(
                f"{group.schema.event_time}: the record of {held.key!r} has a later one",
                hint="read it and try again",
            )
        return record
