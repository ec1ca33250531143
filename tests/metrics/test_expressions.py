from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clary.kernel.errors import InvalidInput, NotSupported
from clary.metrics.expressions import Expression

KNOWN = {
    "m1": {0: 1.0, 60: 2.0, 120: 3.0},
    "m2": {0: 4.0, 120: 0.0},
    "e": {60: -1.5},
}
TIMES = [0, 60, 120]


@pytest.mark.parametrize(
    ("text", "points"),
    [
        ("m1 + 1", {0: 2, 60: 3, 120: 4}),
        ("100 * m1 / m2", {0: 25}),
        ("-m1 * (2 - 1)", {0: -1, 60: -2, 120: -3}),
        ("m1 > 1", {0: 0, 60: 1, 120: 1}),
        ("SUM([m1, m2, e])", {0: 5, 60: 0.5, 120: 3}),
        ("AVG([m1, m2])", {0: 2.5, 60: 2, 120: 1.5}),
        ("MAX(METRICS())", {0: 4, 60: 2, 120: 3}),
        ("m1 / MAX(m1)", {0: 1 / 3, 60: 2 / 3, 120: 1}),
        ("FILL(m2, 7)", {0: 4, 60: 7, 120: 0}),
        ("FILL(m2, m1)", {0: 4, 60: 2, 120: 0}),
        ("IF(m1 >= 2, m1, 0)", {0: 0, 60: 2, 120: 3}),
        ("IF(m1 >= 2, m1)", {60: 2, 120: 3}),
        ("ABS(e) + CEIL(e) + FLOOR(e)", {60: 1.5 - 1 - 2}),
        ("3", {0: 3, 60: 3, 120: 3}),
        ("1 / 0", {}),
        ("9" * 400, {}),
    ],
)
def test_values(text, points) -> None:
    found = Expression(text).points(KNOWN, KNOWN, TIMES)
    assert found == pytest.approx(points)


@pytest.mark.parametrize(
    "text",
    [
        *("m3", "m1 +", "m1 m2", "'a'", "m1.real", "[m1, m2]", "m1 if m1 else m2", "[m1] + 1"),
        *("lambda: 1", "m1[0]", "m1 and m2", "1 < m1 < 2", "()", "", "(" * 300, "-" * 1500 + "1"),
        *("FILL(1, 2)", "SUM([1])", "m1 + 'a'", "m1 + ...", "f'{m1}'", "m1\0", "\ud800", "{m1}"),
    ],
)
def test_what_is_refused(text) -> None:
    with pytest.raises(InvalidInput):
        Expression(text).points(KNOWN, KNOWN, TIMES)


@pytest.mark.parametrize(
    "text",
    ["SEARCH('{a} b', 'Sum')", "SELECT AVG(a) FROM b", "ANOMALY_DETECTION_BAND(m1)", "RATE(m1)"],
)
def test_what_is_known_and_not_offered(text) -> None:
    with pytest.raises(NotSupported):
        Expression(text).points(KNOWN, KNOWN, TIMES)


def test_names_are_the_ids_it_needs() -> None:
    assert Expression("SUM([a, b]) / FILL(c, 0) + METRICS()").names == {"a", "b", "c"}


@given(st.text("m12+-*/()[],. <>=!'\"\\SUMFILn\n", max_size=40))
def test_any_text_has_points_or_is_refused(text) -> None:
    try:
        Expression(text).points(KNOWN, KNOWN, TIMES)
    except (InvalidInput, NotSupported):
        return
