"""What is behind a violation: which rows of a column are not as the baseline's, and where to.

A column is texts, as captured requests are put down; a row may be outside for several reasons.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from clary.analysis import distances
from clary.analysis.arrow_arrays import numbers_of
from clary.analysis.cells import INTEGRAL, NUMBER
from clary.analysis.samples import Categories, Numbers
from clary.analysis.violation_words import number, percent

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from clary.analysis.constraints import Feature
    from clary.analysis.samples import Sample

    Truths = NDArray[np.bool_]

MOST_SHIFTS = 5
_LEAST_SHIFT = 0.01


@dataclass(frozen=True, slots=True)
class Range:
    """The least and the greatest value that the baseline knows."""

    least: float
    most: float


@dataclass(frozen=True, slots=True)
class Group:
    """Rows that are outside for one reason.

    Parameters
    ----------
    what
        The reason, as the end of a sentence: ``12 of 300 rows …``.
    is_in
        Which rows they are, a truth a row.
    """

    what: str
    is_in: Truths

    @property
    def rows(self) -> int:
        """How many they are."""
        return int(np.count_nonzero(self.is_in))


@dataclass(frozen=True, slots=True)
class Shift:
    """Values that have gained or lost rows.

    Parameters
    ----------
    what
        The values, in words: ``10 to 20``, or a category.
    before, now
        Their share of the values in the baseline and now, 0 to 1.
    above, up_to
        Numbers above the one, up to the other; of categories both are nan.
    """

    what: str
    before: float
    now: float
    above: float = np.nan
    up_to: float = np.nan

    @property
    def gained(self) -> float:
        """By how much their share is greater than in the baseline; negative: less."""
        return self.now - self.before


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """The values of a column.

    Parameters
    ----------
    texts
        The values, null where there is none.
    numbers
        The same as numbers; nan where it is none.
    is_missing, is_number, is_integral
        What each is.
    """

    texts: pa.StringArray
    numbers: NDArray[np.float64]
    is_missing: Truths
    is_number: Truths
    is_integral: Truths


def column(texts: pa.StringArray | pa.ChunkedArray) -> Column:
    """Look at the values of a column one by one, as profiles do."""
    whole = texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts
    is_number = _matching(whole, NUMBER)
    told = pc.if_else(pa.array(is_number), whole, pa.scalar(None, pa.string()))
    numbers = np.full(len(whole), np.nan)
    numbers[is_number] = numbers_of(told.drop_null().cast(pa.float64()))
    is_missing = numbers_of(whole.is_null())
    return Column(whole, numbers, is_missing, is_number, _matching(whole, INTEGRAL))


def _matching(texts: pa.StringArray, pattern: str) -> Truths:
    found: Truths = numbers_of(pc.match_substring_regex(texts, pattern).fill_null(fill_value=False))
    return found


def outside(of: Column, feature: Feature, known: Range | None) -> Iterator[Group]:
    """Group the rows that the constraints of a feature, or the baseline's range, do not hold.

    Parameters
    ----------
    known
        What numbers were in the baseline; None: that is not known.
    """
    for what, is_in in _outside(of, feature, known):
        if is_in.any():
            yield Group(what, is_in)


def _outside(of: Column, feature: Feature, known: Range | None) -> Iterator[tuple[str, Truths]]:
    if feature.completeness is not None and of.is_missing.mean() > 1 - feature.completeness:
        yield "have no value", of.is_missing
    yield from _of_other_type(of, feature.inferred_type)
    if feature.num_constraints and feature.num_constraints.is_non_negative:
        yield "are negative", of.numbers < 0
    strings = feature.string_constraints
    if strings is not None and strings.domains is not None:
        yield "have a value that the baseline does not know", _unknown(of, strings.domains)
    if known is not None:
        yield f"lie below {number(known.least)}, the baseline's least", of.numbers < known.least
        yield f"lie above {number(known.most)}, the baseline's most", of.numbers > known.most


def _of_other_type(of: Column, expected: str) -> Iterator[tuple[str, Truths]]:
    there = ~of.is_missing
    if expected == "Integral":
        yield "are no whole number", there & ~of.is_integral
    elif expected == "Fractional":
        yield "are no number", there & ~of.is_number
    elif expected == "String" and there.any() and of.is_number[there].all():
        yield "are numbers, where texts are expected", there


def _unknown(of: Column, domains: Sequence[str]) -> Truths:
    known: Truths = numbers_of(pc.is_in(of.texts, value_set=pa.array(domains, pa.string())))
    return ~known & ~of.is_missing


def gained(of: Column, shift: Shift) -> Group:
    """Group the rows that hold the values of a shift."""
    if np.isnan(shift.up_to):
        is_in = numbers_of(pc.equal(of.texts, shift.what).fill_null(fill_value=False))
    else:
        is_above = (of.numbers > shift.above) | (shift.above == -np.inf)
        is_in = is_above & (of.numbers <= shift.up_to)
    return Group(f"are {shift.what}, as {percent(shift.before)} of the baseline were", is_in)


def shifts(before: Sample, now: Sample, *, most: int = MOST_SHIFTS) -> tuple[Shift, ...]:
    """Say which values have gained or lost the most, the greatest change first.

    Of numbers these are bins of tenths of the baseline, see ``distances.binned``. A change of less
    than a hundredth of all values is none.

    Examples
    --------
    >>> from clary.analysis.samples import Categories
    >>> [
    ...     (one.what, one.gained)
    ...     for one in shifts(Categories({"a": 3, "b": 1}), Categories({"a": 4}))
    ... ]
    [('a', 0.25), ('b', -0.25)]
    """
    if not before.rows or not now.rows:
        return ()
    match before, now:
        case Numbers(), Numbers():
            found = list(_of_numbers(before, now))
        case Categories(), Categories():
            found = list(_of_categories(before, now))
        case _:
            return ()
    found.sort(key=lambda one: (-abs(one.gained), one.what))
    return tuple(one for one in found if abs(one.gained) >= _LEAST_SHIFT)[:most]


def _of_categories(before: Categories, now: Categories) -> Iterator[Shift]:
    names: dict[Any, None] = dict.fromkeys([*before.counts, *now.counts])
    for name in names:
        shares = [one.counts.get(name, 0) / one.rows for one in (before, now)]
        yield Shift(str(name), *shares)


def _of_numbers(before: Numbers, now: Numbers) -> Iterator[Shift]:
    inner = distances.bin_edges(before).tolist()
    old, new = distances.binned(before, now)
    edges = [-np.inf, *inner, np.inf]
    for place, (above, up_to) in enumerate(pairwise(edges)):
        what = _bin(above, up_to, edges[place + 2] if up_to < np.inf else np.inf)
        shares = float(old[place] / before.rows), float(new[place] / now.rows)
        yield Shift(what, *shares, above, up_to)


def _bin(above: float, up_to: float, following: float) -> str:
    """Write a range; one that ends just before a single value ends below that."""
    if np.nextafter(above, np.inf) == up_to:
        return number(up_to)
    if up_to == np.inf:
        return f"above {number(above)}"
    is_below = np.nextafter(up_to, np.inf) == following
    last = f"below {number(following)}" if is_below else number(up_to)
    if above == -np.inf:
        return last if is_below else f"up to {last}"
    return f"{number(above)} to {last}"
