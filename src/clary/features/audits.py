"""Whether logged facts are what they should be: aggregates over time, samples, and the source."""

from __future__ import annotations

import hashlib
import math
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from clary.features.skew import same
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from clary.features.facts import Fact
    from clary.features.skew import Source

_MOST_SLOTS = 100_000
_DAY_US = 86_400_000_000


@dataclass(slots=True)
class Aggregate:
    """What is known of one fact in a stretch of time.

    Parameters
    ----------
    start_us
        Where the stretch begins, in microseconds since 1970.
    name
        The fact's.
    count, missing, not_finite
        How many facts there were, without a value, and with NaN or an infinity.
    smallest, largest, mean
        Of the finite numbers, None where there are none. Truths count as 0 and 1.
    types
        Names of the Python types that values had, sorted.
    """

    start_us: int
    name: str
    count: int = 0
    missing: int = 0
    not_finite: int = 0
    smallest: float | None = None
    largest: float | None = None
    mean: float | None = None
    types: list[str] = field(default_factory=list)
    _numbers: int = 0

    def add(self, value: Any) -> None:
        """Count one value."""
        self.count += 1
        if value is None:
            self.missing += 1
            return
        kind = type(value).__name__
        if kind not in self.types:
            self.types = sorted([*self.types, kind])
        if isinstance(value, int | float):
            self._add_number(float(value))

    def _add_number(self, value: float) -> None:
        if not math.isfinite(value):
            self.not_finite += 1
            return
        self._numbers += 1
        self.smallest = value if self.smallest is None else min(self.smallest, value)
        self.largest = value if self.largest is None else max(self.largest, value)
        before = self.mean or 0.0
        self.mean = before + (value - before) / self._numbers


@dataclass(frozen=True, slots=True)
class Comparison:
    """How far one logged fact is what its source says.

    Parameters
    ----------
    name
        The fact's.
    compared, different
        How many were compared, and how many differ from what the source knew then.
    late
        How many more differ from what it knows now.
    """

    name: str
    compared: int
    different: int
    late: int


def aggregates(facts: Iterable[Fact], *, every_us: int = _DAY_US) -> Sequence[Aggregate]:
    """Sum up facts by time and name, ordered so.

    A fact that others of the same stretch have, and one lacks, counts as missing there.

    Parameters
    ----------
    every_us
        How long a stretch is; they are aligned to 1970, UTC.

    Raises
    ------
    InvalidInput
        A stretch is not longer than nothing, or there are more than 100,000 aggregates.
    """
    if every_us < 1:
        raise InvalidInput("every_us", f"{every_us} is no length", legal="1 or more")
    found: dict[tuple[int, str], Aggregate] = {}
    totals: dict[int, int] = {}
    for fact in facts:
        start = fact.event_us // every_us * every_us
        totals[start] = totals.get(start, 0) + 1
        for name, value in fact.facts.items():
            if (start, name) not in found:
                found[start, name] = Aggregate(start, name)
            found[start, name].add(value)
        if len(found) > _MOST_SLOTS:
            problem = f"{every_us} makes more than {_MOST_SLOTS} aggregates"
            raise InvalidInput("every_us", problem, legal="longer stretches, or fewer facts")
    for (start, _), one in found.items():
        one.missing += totals[start] - one.count
        one.count = totals[start]
    return [found[key] for key in sorted(found)]


def consistent(facts: Iterable[Fact], share: float, *, salt: str = "") -> Iterator[Fact]:
    """Yield all facts of a share of the entities: the same ones whenever and wherever it is asked.

    Parameters
    ----------
    share
        In [0, 1].
    salt
        Another one chooses other entities.

    Raises
    ------
    InvalidInput
        The share is none.
    """
    if not 0 <= share <= 1:
        raise InvalidInput("share", f"{share} is no share", legal="0 to 1")
    bound = int(share * (1 << 64))
    return (fact for fact in facts if _hash(fact.entity, salt) < bound)


def drawn(facts: Iterable[Fact], count: int, *, seed: int = 0) -> Sequence[Fact]:
    """Draw facts at random, each with the same chance, in their order; the same ones by one seed.

    Raises
    ------
    InvalidInput
        The count is not within 1 to 1,000,000.
    """
    if not 1 <= count <= 1_000_000:
        raise InvalidInput("count", f"{count} is out of bounds", legal="1 to 1000000")
    draw = random.Random(seed)  # noqa: S311 - a sample, no secret
    kept: list[tuple[int, Fact]] = []
    for place, fact in enumerate(facts):
        if place < count:
            kept.append((place, fact))
        elif (other := draw.randrange(place + 1)) < count:
            kept[other] = (place, fact)
    return [fact for _, fact in sorted(kept, key=lambda pair: pair[0])]


def compare(facts: Sequence[Fact], source: Source) -> Sequence[Comparison]:
    """Compare logged facts, such as a sample of them, with what their source says of the time.

    What a fact lacks is not compared.
    """
    counts: dict[str, list[int]] = {name: [0, 0, 0] for name in source.columns}
    for fact, truths in zip(facts, source.known(facts), strict=True):
        for name, truth in truths.items():
            if name not in fact.facts:  # logged by a definition that did not read it
                continue
            logged = fact.facts[name]
            is_different = not (same(logged, truth.then) or same(logged, truth.settled))
            is_late = not is_different and not same(logged, truth.now)
            counts[name][0] += 1
            counts[name][1] += is_different
            counts[name][2] += is_late
    return [Comparison(name, *found) for name, found in counts.items()]


def _hash(entity: str, salt: str) -> int:
    made = hashlib.blake2b(f"{salt}\0{entity}".encode(), digest_size=8)
    return int.from_bytes(made.digest(), "big")
