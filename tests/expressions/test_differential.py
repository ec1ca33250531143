"""Row functions and DuckDB give the same cells: random expressions over awkward rows."""

import random
import zoneinfo

import differential
import generate
import pytest

from clary.expressions import TIMESTAMP, TIMESTAMPTZ, VARCHAR, parse
from clary.expressions.functions.zones import FUNCTIONS as ZONES
from clary.kernel.errors import InvalidInput

ROWS = 250
ROUNDS = 3


def _random_rows(source, count=ROWS):
    return [
        tuple(generate.value_of(source, kind) for kind in generate.SCHEMA.values())
        for _ in range(count)
    ]


def _compare(seed, depth, rounds):
    """Compare every function, so many times; return the number of cells and the differences."""
    source = random.Random(seed)
    table = differential.Table(generate.SCHEMA, _random_rows(source))
    generator = generate.Generator(source)
    cells, found = 0, []
    for function in generate.FUNCTIONS * rounds:
        kind = source.choice(generate.KINDS) if function.gives == generate.ANY else function.gives
        text = generator.call(function, kind, depth - 1)
        try:
            parse(text, generate.SCHEMA)
        except InvalidInput:
            assert "CAST(" in text or "'" in text  # a constant that does not convert
            continue
        cells += ROWS
        found += [(text, *one) for one in table.differences(text)]
    return cells, found


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_random_expressions_give_the_same_cells(depth):
    cells, found = _compare(20_240 + depth, depth, 1)
    assert cells > 30_000
    assert not found[:3]


@pytest.mark.long
@pytest.mark.parametrize("seed", range(4))
def test_a_million_cells_are_the_same(seed):
    total = 0
    for depth in (1, 2, 3, 4):
        cells, found = _compare(100 * seed + depth, depth, ROUNDS)
        assert not found[:3]
        total += cells
    assert total > 300_000


def test_single_functions_fail_for_the_same_rows():
    source = random.Random(7)
    rows = [row for row in _random_rows(source, 4_000) if None not in row][:ROWS]
    table = differential.Table(generate.SCHEMA, rows)
    generator = generate.Generator(source)
    for function in (one for one in generate.FUNCTIONS if one.fails):
        text = generator.call(function, function.gives, 0)
        try:
            parse(text, generate.SCHEMA)
        except InvalidInput:
            continue
        assert not table.failures(text)[:3], text


def test_every_letter_has_the_same_upper_and_lower_case():
    letters = [(chr(code),) for code in range(1, 0x20000) if not 0xD800 <= code <= 0xDFFF]
    table = differential.Table({"s": VARCHAR}, letters)
    for text in (
        "upper(s)",
        "lower(s)",
        "swapcase(s)",
        "trim('x' || s || 'x', 'x')",
        "trim(s)",
        "length(s)",
        "ascii(s)",
    ):
        assert not table.differences(text)[:10], text


def _differing_zones(names, seed):
    source = random.Random(seed)
    moments = [generate.value_of(source, TIMESTAMP) for _ in range(600)]
    moments = [one for one in moments if one is not None]
    local = differential.Table({"m": TIMESTAMP}, [(one,) for one in moments])
    table = differential.Table(
        {"z": TIMESTAMPTZ}, [(one.replace(tzinfo=generate.dt.UTC),) for one in moments]
    )
    for name in names:
        for held, column in ((local, "m"), (table, "z")):
            if held.differences(f"timezone('{name}', {column})"):
                yield name


def _zones():
    return sorted(name for name in zoneinfo.available_timezones() if _is_offered(name))


def _is_offered(name):
    try:
        parse(f"timezone('{name}', m)", {"m": TIMESTAMP})
    except InvalidInput:
        return False
    return True


def test_time_zones_are_the_same():
    assert len(ZONES) == 4
    names = _zones()
    assert len(names) > 500
    assert not list(_differing_zones(random.Random(1).sample(names, 30), 2))


@pytest.mark.long
def test_every_time_zone_is_the_same():
    assert not list(_differing_zones(_zones(), 3))
