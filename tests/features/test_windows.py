"""Windows: tiles, built in any order and with late rows, give the bits of a pass over all rows."""

import math
import struct
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clary.features import windows
from clary.features.windows import HOUR_US, Aggregate, Moment
from clary.kernel.errors import InvalidInput

FLOATS = st.one_of(
    st.floats(),
    st.sampled_from([0.0, -0.0, math.nan, math.inf, -math.inf, 1e308, -1e308, 5e-324, 0.1, 1e16]),
)
NAN = object()
INTS = st.integers(-(2**63), 2**63 - 1)
AGGREGATES = [
    Aggregate(f"{function}-{of}-{hours}", function, of, hours * HOUR_US)
    for function in windows.FUNCTIONS
    for of in range(3)
    for hours in (1, 7, 48)
    if not (of == 2 and function in ("sum", "mean"))
]
LENGTH_US = windows.tile_us(AGGREGATES)
TIMES = st.one_of(
    st.integers(0, 60).map(lambda n: n * HOUR_US),
    st.integers(0, 40).map(lambda n: n * LENGTH_US - 1),
    st.integers(-10 * HOUR_US, 60 * HOUR_US),
)


@st.composite
def moments(draw):
    is_deleted = draw(st.integers(0, 9)) == 0
    inputs = [draw(st.none() | kind) for kind in (FLOATS, INTS, st.text(max_size=3))]
    return Moment(
        draw(TIMES), draw(st.integers(0, 5)), is_deleted, () if is_deleted else tuple(inputs)
    )


def brute(rows, aggregate, at_us):
    """The definition, word by word."""
    best = {}
    for number, row in enumerate(rows):
        rank = (row.write_us, number)
        if row.event_us <= at_us and (row.event_us not in best or best[row.event_us][0] < rank):
            best[row.event_us] = (rank, row)
    true = [best[at][1] for at in sorted(best)]
    cut = max((row.event_us for row in true if row.is_deleted), default=-(2**62))
    found = [
        row.inputs[aggregate.of]
        for row in true
        if row.event_us > cut and row.event_us > at_us - aggregate.window_us
    ]
    return answer(aggregate.function, [value for value in found if value is not None])


def answer(function, values):
    if function in ("count", "distinct"):
        return len(values if function == "count" else set(map(_equal, values)))
    if not values:
        return None
    if function == "last":
        return values[-1]
    if function in ("min", "max"):
        return extreme(min if function == "min" else max, values)
    whole = exact(values)
    if function == "mean":
        return whole / len(values)
    return whole if isinstance(whole, float) or -(2**63) <= whole < 2**63 else None


def _equal(value):
    return NAN if isinstance(value, float) and math.isnan(value) else value


def extreme(choose, values):
    found = choose(
        values, key=lambda value: (_equal(value) is NAN, 0 if _equal(value) is NAN else value)
    )
    return found + 0.0 if isinstance(found, float) else found


def exact(values):
    if isinstance(values[0], int):
        return sum(values)
    odd = [value for value in values if not math.isfinite(value)]
    if odd:
        return odd[0] if len(set(map(repr, odd))) == 1 else math.nan
    whole = sum(map(Fraction, values))
    try:
        return float(whole) + 0.0
    except OverflowError:
        return math.inf if whole > 0 else -math.inf


def bits(cell):
    if isinstance(cell, float):
        return "nan" if math.isnan(cell) else struct.pack("d", cell)
    return (type(cell).__name__, cell)


def tiled(rows, batches=1):
    tiles = {}
    step = max(1, len(rows) // batches)
    for at in range(0, len(rows), step):
        for row in rows[at : at + step]:
            number = row.event_us // LENGTH_US
            held = tiles.get(number, windows.Tile())
            made = windows.tile([*held.moments, row], AGGREGATES)
            tiles[number] = windows.decode(windows.encode(made))
    return tiles


@settings(max_examples=150, deadline=None)
@given(st.lists(moments(), max_size=25), st.lists(TIMES, min_size=1, max_size=4))
def test_tiles_equal_the_definition(rows, times):
    tiles = tiled(rows)
    for at_us in times:
        found = windows.evaluate(tiles, AGGREGATES, LENGTH_US, at_us)
        for aggregate, cell in zip(AGGREGATES, found, strict=True):
            assert bits(cell) == bits(brute(rows, aggregate, at_us)), aggregate.name


@settings(max_examples=50, deadline=None)
@given(
    st.lists(moments(), max_size=15, unique_by=lambda row: (row.event_us, row.write_us)),
    st.randoms(),
)
def test_the_order_of_arrival_and_repeats_change_nothing(rows, random):
    again = [*rows, *random.choices(rows, k=len(rows))] if rows else []
    random.shuffle(again)
    one, other = tiled(rows), tiled(again)
    for at_us in (0, 30 * HOUR_US, 60 * HOUR_US):
        found = [
            [bits(cell) for cell in windows.evaluate(tiles, AGGREGATES, LENGTH_US, at_us)]
            for tiles in (one, other)
        ]
        assert found[0] == found[1]


@given(st.lists(FLOATS.filter(math.isfinite), max_size=20))
def test_parts_keep_the_exact_sum(values):
    assert sum(map(Fraction, windows.parts(values))) == sum(map(Fraction, values))


def test_an_evaluation_reads_the_tiles_that_it_says():
    numbers = windows.numbers(AGGREGATES, LENGTH_US, 100 * HOUR_US)
    assert numbers[0] * LENGTH_US <= 52 * HOUR_US < (numbers[0] + 1) * LENGTH_US
    assert numbers[-1] * LENGTH_US <= 100 * HOUR_US < (numbers[-1] + 1) * LENGTH_US


@pytest.mark.parametrize(
    "text", ["", "d", "0h", "59m", "91d", "1w", "-1d", "1.5h", "٣d", "9999999h"]
)
def test_other_windows_are_refused(text):
    with pytest.raises(InvalidInput, match="window"):
        windows.window_us(text, field="aggregates.spent.window")


def test_sums_beyond_64_bits_are_kept_exactly():
    most = 2**63 - 1
    one = Aggregate("n", "sum", 0, 7 * HOUR_US)
    rows = [Moment(at, 0, is_deleted=False, inputs=(most,)) for at in range(1, 4)]
    held = windows.decode(windows.encode(windows.tile(rows, [one])))

    assert windows.evaluate({0: held}, [one], LENGTH_US, LENGTH_US - 1) == [None]
    two = windows.tile([*rows[:2], Moment(4, 0, is_deleted=False, inputs=(-most,))], [one])
    assert windows.evaluate({0: two}, [one], LENGTH_US, LENGTH_US - 1) == [most]
