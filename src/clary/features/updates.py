"""Changes of some values of a record, the others staying as they are."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from clary.kernel.errors import Conflict, InvalidInput, NotFound

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from clary.features.model import Record
    from clary.features.records import Store
    from clary.features.service import Features
    from clary.kernel.names import Ref

MOST_VALUES = 100
_TURNS = 64


class Updates:
    """Changes records one at a time by entity: two changes of one record are both in it.

    That holds within a process; a record that is put meanwhile may be what the change was not
    made of.

    Parameters
    ----------
    features
        Reads and writes records.
    """

    def __init__(self, features: Features) -> None:
        self._features = features
        self._turns = [threading.Lock() for _ in range(_TURNS)]

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
            The record's event time is later.
        InvalidInput
            A value does not fit, there are over 100, or the identifier is another.
        """
        group = self._features.group(ref)
        if len(values) > MOST_VALUES:
            raise InvalidInput("Features", f"{len(values)} values", legal=f"at most {MOST_VALUES}")
        if ttl_us is not None and group.schema.event_time not in values:
            raise InvalidInput("TtlDuration", "without an event time", legal="both, or neither")
        filed = group.key(key)
        with self._turns[hash((group.online_table, filed)) % _TURNS]:
            group, held = self._features.get_records([(ref, key)])[0]
            if held is None:
                raise NotFound(f"record {key!r} of {ref}")
            if ttl_us is None and held.expires_us is not None:
                ttl_us = held.expires_us - held.event_us
            row = group.read(values, is_text=True, before=held.values)
            record = group.record(row, self._features.stamp(), ttl_us)
            if record.key != filed:
                raise InvalidInput(group.schema.identifier, f"is not {key!r}", legal="the same")
            if record.event_us < held.event_us:
                raise Conflict(
                    f"{group.schema.event_time}: the record of {key!r} has a later one",
                    hint="read it and try again",
                )
            self._features.write(group, [record], stores)
        return record
