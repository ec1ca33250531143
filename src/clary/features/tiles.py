"""Tiles in the online store: partial results that new rows bring up to date.

A tile is written whole, under the number of the last row that it has seen. Of two writers, one that
was thought dead among them, that which has seen more rows wins, and both have seen all rows up to
theirs; so no row is lost, and none counts twice.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from clary.features import windows
from clary.features.model import Record
from clary.features.records import LATEST_US
from clary.features.windows import Tile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clary.features.definitions import Stream
    from clary.features.ports import OnlineStore
    from clary.features.view_engine import Change
    from clary.features.windows import Cell, Moment

_AT_ONCE = 1_000
_SPARE_US = 24 * windows.HOUR_US
"""How long tiles stay after the last window that reads them."""


class Tiles:
    """The tiles of one stream of a view.

    Parameters
    ----------
    online
        Where they are.
    table
        Its name there.
    stream
        What is aggregated.
    """

    def __init__(self, online: OnlineStore, table: str, stream: Stream) -> None:
        self._online = online
        self._table = table
        self._aggregates = stream.aggregates
        self._length_us = windows.tile_us(stream.aggregates)
        self._longest_us = max(one.window_us for one in stream.aggregates)

    def add(self, changes: Sequence[Change]) -> None:
        """Bring tiles up to date with rows that were appended, in their order; again is no harm."""
        touched: dict[tuple[str, int], list[Moment]] = {}
        for change in changes:
            number = change.moment.event_us // self._length_us
            touched.setdefault((change.key, number), []).append(change.moment)
        places, position = list(touched), max((one.row for one in changes), default=0)
        for first in range(0, len(places), _AT_ONCE):
            part = places[first : first + _AT_ONCE]
            held = self._read(part)
            made = [
                self._record(place, [*tile.moments, *touched[place]], position)
                for place, tile in zip(part, held, strict=True)
            ]
            self._online.write(self._table, made)

    def evaluate(self, keys: Sequence[str], at_us: int) -> list[list[Cell]]:
        """Compute the aggregates of entities at a time, each a list in their order."""
        numbers = windows.numbers(self._aggregates, self._length_us, at_us)
        found = self._read([(key, number) for key in keys for number in numbers])
        width = len(numbers)
        return [
            windows.evaluate(
                dict(zip(numbers, found[at * width : (at + 1) * width], strict=True)),
                self._aggregates,
                self._length_us,
                at_us,
            )
            for at in range(len(keys))
        ]

    def erase(self, keys: Sequence[str], now_us: int) -> None:
        """Forget the tiles of entities; what is added later is of rows that come later."""
        self.sweep(now_us)
        first_us = now_us - self._length_us - self._longest_us - _SPARE_US
        numbers = range(first_us // self._length_us, (now_us + LATEST_US) // self._length_us + 1)
        places = [_key((key, number)) for key in keys for number in numbers]
        for first in range(0, len(places), _AT_ONCE):
            self._online.remove(self._table, places[first : first + _AT_ONCE])

    def sweep(self, now_us: int) -> int:
        """Forget the tiles that no window reads any more."""
        return self._online.sweep(self._table, now_us)

    def drop(self) -> None:
        """Forget all."""
        self._online.drop(self._table)

    def _read(self, places: Sequence[tuple[str, int]]) -> list[Tile]:
        found = self._online.read([(self._table, _key(place)) for place in places])
        return [_NONE if record is None else _decoded(record) for record in found]

    def _record(self, place: tuple[str, int], moments: Sequence[Moment], position: int) -> Record:
        start_us = place[1] * self._length_us
        tile = windows.tile(moments, self._aggregates)
        text = base64.b64encode(windows.encode(tile)).decode()
        expires_us = start_us + self._length_us + self._longest_us + _SPARE_US
        return Record(_key(place), start_us, position, (text,), expires_us=expires_us)


_NONE = Tile()


def _key(place: tuple[str, int]) -> str:
    return f"{place[1]}/{place[0]}"


def _decoded(record: Record) -> Tile:
    return windows.decode(base64.b64decode(str(record.values[0])))
