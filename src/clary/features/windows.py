"""Aggregates over windows of time, with one meaning for batch and for what is kept up to date.

An aggregate at a time ``t`` reads the rows of one entity in ``(t - window, t]``:

- Of rows with one event time, the latest write counts, then the latest row; it corrects the others.
- A deletion forgets every row up to its own event time.
- Missing values do not count. NaN counts, is greater than every number, and equals itself; zero has
  no sign, except in ``last``.
- ``sum`` is the exact sum, rounded once to the nearest double; of integers, the integer, and
  missing where that takes more than 64 bits. ``mean`` is the sum divided by the count.

So the result depends on no order of adding, and tiles of partial results give the same bits as one
pass over all rows.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from fractions import Fraction
from itertools import chain
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from msgspec import Struct

from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

Function = Literal["count", "sum", "mean", "min", "max", "last", "distinct"]
Cell = int | float | str | bool | list[Any] | None
"""An input or a result of an aggregate."""
State = list[Any]
"""A partial result; JSON-able but for the numbers that JSON lacks."""

HOUR_US = 3_600_000_000
SHORTEST_US, LONGEST_US = HOUR_US, 90 * 24 * HOUR_US
_UNITS = {"m": HOUR_US // 60, "h": HOUR_US, "d": 24 * HOUR_US}
_TILES = 32
"""Into how many tiles the longest window is cut."""
_SHORTEST_TILE_US = HOUR_US // 12
_INT64 = range(-(2**63), 2**63)


class Aggregate(Struct, frozen=True):
    """One aggregate.

    Parameters
    ----------
    name
        What its result is called.
    function
        What is computed.
    of
        The input: the place of its value in a moment.
    window_us
        How far back it reads.
    """

    name: str
    function: Function
    of: int
    window_us: int


class Moment(Struct, frozen=True, array_like=True, gc=False):
    """What was written of an entity for one event time: inputs of aggregates, or a deletion."""

    event_us: int
    write_us: int
    is_deleted: bool
    inputs: tuple[Cell, ...] = ()


class Tile(Struct, frozen=True, array_like=True):
    """The moments of one entity in one span of time, with their partial results.

    Parameters
    ----------
    moments
        By event time, one for each.
    states
        One for each aggregate, over the moments that the tile's last deletion left.
    is_cut
        Whether a deletion in it forgets all earlier tiles.
    """

    moments: tuple[Moment, ...] = ()
    states: tuple[State, ...] = ()
    is_cut: bool = False


def window_us(text: str, *, field: str) -> int:
    """Read the length of a window: ``1h`` to ``90d``, in minutes, hours or days.

    Raises
    ------
    InvalidInput
        It is none; names ``field``.

    Examples
    --------
    >>> window_us("90m", field="window") == window_us("1h", field="window") * 3 // 2
    True
    """
    count, unit = text[:-1], text[-1:]
    if unit in _UNITS and count.isdecimal() and count.isascii() and len(count) < 7:
        length = int(count) * _UNITS[unit]
        if SHORTEST_US <= length <= LONGEST_US:
            return length
    raise InvalidInput(
        field, f"{text[:40]!r} is no window", legal="60m to 129600m, 1h to 2160h, 1d to 90d"
    )


def tile_us(aggregates: Iterable[Aggregate]) -> int:
    """Choose the length of tiles for the aggregates of one source: whole minutes of five."""
    longest = max(one.window_us for one in aggregates)
    steps = -(-longest // (_TILES * _SHORTEST_TILE_US))
    return steps * _SHORTEST_TILE_US


def corrected(rows: Iterable[Moment]) -> list[Moment]:
    """Keep the latest write of each event time, in the order of time; later rows win ties."""
    latest: dict[int, Moment] = {}
    for row in rows:
        held = latest.get(row.event_us)
        if held is None or row.write_us >= held.write_us:
            latest[row.event_us] = row
    return [latest[at] for at in sorted(latest)]


def tile(moments: Iterable[Moment], aggregates: Sequence[Aggregate]) -> Tile:
    """Make a tile of what was written in its span, in any order and any number of times."""
    kept = corrected(moments)
    live = _live(kept)
    return Tile(
        tuple(kept),
        tuple(_state(one, live) for one in aggregates),
        any(moment.is_deleted for moment in kept),
    )


def evaluate(
    tiles: Mapping[int, Tile], aggregates: Sequence[Aggregate], length_us: int, at_us: int
) -> list[Cell]:
    """Compute aggregates at a time from the tiles of an entity.

    Parameters
    ----------
    tiles
        By number: a tile holds the event times in ``[number, number + 1) * length_us``. Absent
        ones hold nothing.
    aggregates
        Those the tiles were made with, in their order.
    length_us
        The length of a tile.
    at_us
        The time.
    """
    last = at_us // length_us
    return [
        _finished(one, _states(tiles, place, one, length_us, range(last, -(2**63), -1), at_us))
        for place, one in enumerate(aggregates)
    ]


def numbers(aggregates: Sequence[Aggregate], length_us: int, at_us: int) -> range:
    """Say which tiles an evaluation at a time reads."""
    longest = max(one.window_us for one in aggregates)
    return range((at_us - longest) // length_us, at_us // length_us + 1)


def _states(
    tiles: Mapping[int, Tile],
    place: int,
    aggregate: Aggregate,
    length_us: int,
    backwards: range,
    at_us: int,
) -> list[State]:
    """Gather the partial results of a window, oldest first."""
    after_us = at_us - aggregate.window_us
    found: list[State] = []
    for number in backwards:
        start_us = number * length_us
        if start_us + length_us <= after_us + 1:
            break
        held = tiles.get(number)
        if held is None or not held.moments:
            continue
        if start_us > after_us and start_us + length_us <= at_us + 1:
            found.append(held.states[place])
            is_cut = held.is_cut
        else:
            inside = _between(held.moments, after_us, at_us)
            found.append(_state(aggregate, _live(inside)))
            is_cut = any(moment.is_deleted for moment in inside)
        if is_cut:
            break
    return found[::-1]


def _between(moments: Sequence[Moment], after_us: int, until_us: int) -> Sequence[Moment]:
    first = bisect_right(moments, after_us, key=_event_us)
    return moments[first : bisect_right(moments, until_us, lo=first, key=_event_us)]


def _event_us(moment: Moment) -> int:
    return moment.event_us


def _live(moments: Sequence[Moment]) -> Sequence[Moment]:
    """Cut off what the last deletion forgets."""
    for at in range(len(moments) - 1, -1, -1):
        if moments[at].is_deleted:
            return moments[at + 1 :]
    return moments


def _state(aggregate: Aggregate, moments: Sequence[Moment]) -> State:
    values = [moment.inputs[aggregate.of] for moment in moments]
    return _FUNCTIONS[aggregate.function][0]([value for value in values if value is not None])


def _finished(aggregate: Aggregate, states: Sequence[State]) -> Cell:
    return _FUNCTIONS[aggregate.function][1](states)


def parts(values: Sequence[Any]) -> State:
    """Write the exact sum of numbers as few numbers with the same exact sum.

    Doubles become doubles, each the rounded rest that the ones before leave; what is infinite or
    NaN stands for all. Where doubles overflow on the way, or integers leave 64 bits, the values
    stay as they are.

    Examples
    --------
    >>> parts([1e16, 1.0, -1e16]), parts([1, 2]), parts([math.inf, 1.0])
    ([1.0], [3], [inf])
    """
    if not values:
        return []
    if not isinstance(values[0], float):
        whole = sum(values)
        return [whole] if whole in _INT64 else list(values)
    odd = [value for value in values if not math.isfinite(value)]
    if odd:
        return [total(odd)]
    made: State = []
    try:
        while rest := math.fsum(chain(values, (-part for part in made))):
            made.append(rest)
    except OverflowError:
        return list(values)
    return made or [0.0]


def total(values: Sequence[Any]) -> float:
    """Add doubles exactly and round once.

    Examples
    --------
    >>> total([1e308, 1e308, -1e308]), total([1e308, 1e308]), total([math.inf, -math.inf])
    (1e+308, inf, nan)
    >>> total([1e308, 1e308, -math.inf])
    -inf
    """
    try:
        return math.fsum(values) + 0.0
    except OverflowError:
        odd = [value for value in values if not math.isfinite(value)]
        if odd:
            return total(odd)
        exact = sum(map(Fraction, values))
        try:
            return float(exact)
        except OverflowError:
            return math.inf if exact > 0 else -math.inf
    except ValueError:  # infinities of both signs
        return math.nan


def sum_of(values: Sequence[Any]) -> Cell:
    """Give the sum of integers or doubles, missing without any or beyond 64 bits."""
    if not values:
        return None
    if isinstance(values[0], float):
        return total(values)
    whole = sum(values)
    return whole if whole in _INT64 else None


def mean_of(count: int, values: Sequence[Any]) -> float | None:
    """Give the mean of ``count`` numbers with the exact sum of ``values``."""
    if not count:
        return None
    whole = total(values) if isinstance(values[0], float) else sum(values)
    return whole / count


def _flat(states: Iterable[State]) -> State:
    return list(chain.from_iterable(states))


def _mean_parts(values: Sequence[Any]) -> State:
    return [len(values), parts(values)] if values else []


def _mean(states: Sequence[State]) -> Cell:
    held = [state for state in states if state]
    return mean_of(sum(state[0] for state in held), _flat(state[1] for state in held))


def _rank(value: Any) -> tuple[bool, Any]:
    return (True, 0.0) if value != value else (False, value)  # noqa: PLR0124 - only NaN differs from itself


def _unsigned(value: Any) -> Any:
    return value + 0.0 if isinstance(value, float) else value


def _least(values: Sequence[Any]) -> State:
    return [_unsigned(min(values, key=_rank))] if values else []


def _greatest(values: Sequence[Any]) -> State:
    return [_unsigned(max(values, key=_rank))] if values else []


def _distinct(values: Iterable[Any]) -> State:
    kept = {_rank(value): _unsigned(value) for value in values}
    return [kept[rank] for rank in sorted(kept)]


def _only(state: State) -> Cell:
    return state[-1] if state else None


_FUNCTIONS: Mapping[
    Function, tuple[Callable[[Sequence[Any]], State], Callable[[Sequence[State]], Cell]]
] = {
    "count": (lambda values: [len(values)], lambda states: sum(_flat(states))),
    "sum": (parts, lambda states: sum_of(_flat(states))),
    "mean": (_mean_parts, _mean),
    "min": (_least, lambda states: _only(_least(_flat(states)))),
    "max": (_greatest, lambda states: _only(_greatest(_flat(states)))),
    "last": (lambda values: list(values[-1:]), lambda states: _only(_flat(states))),
    "distinct": (_distinct, lambda states: len(_distinct(_flat(states)))),
}
"""What each function keeps of values in the order of time, and what it makes of that."""
FUNCTIONS: tuple[Function, ...] = tuple(_FUNCTIONS)

encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(Tile).decode
