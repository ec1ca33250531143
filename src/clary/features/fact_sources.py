"""Logged facts as a history: what was true of an entity at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from clary.features.fact_queries import Wanted
from clary.features.skew import Truth

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from clary.features.fact_queries import FactQueries
    from clary.features.facts import Fact
    from clary.kernel.names import Ref


class LoggedSource:
    """The port ``Source`` over facts that were logged as they became true.

    Of an entity the fact with the latest ``event_us``, then ``write_us``, then that logged last is
    true; it says nothing of a column that it lacks.

    Parameters
    ----------
    of
        The kind of the facts.
    columns
        Those of them that count.
    ttl_us
        The age from which a fact is not true any more; None: any.
    """

    def __init__(
        self, queries: FactQueries, of: Ref, columns: Sequence[str], *, ttl_us: int | None = None
    ) -> None:
        self._queries = queries
        self._of = of
        self.columns = columns
        self._ttl_us = ttl_us

    def known(self, facts: Sequence[Fact]) -> Sequence[Mapping[str, Truth]]:
        """Say what is true at the times of requests; see ``Source``."""
        histories = {one: self._history(one) for one in {fact.entity for fact in facts}}
        return [self._truths(histories[fact.entity], fact) for fact in facts]

    def _history(self, entity: str) -> Sequence[Fact]:
        found = self._queries.each(self._of, Wanted(entity=entity, is_served=False))
        return sorted(found, key=lambda fact: (fact.event_us, fact.write_us))

    def _truths(self, history: Sequence[Fact], at: Fact) -> Mapping[str, Truth]:
        passed = [one for one in history if one.event_us <= at.event_us]
        ageless = passed[-1] if passed else None
        then = next((one for one in reversed(passed) if one.write_us <= at.write_us), None)
        now = self._unless_old(ageless, at.event_us)
        then = self._unless_old(then, at.event_us)
        found: dict[str, Truth] = {}
        for name in self.columns:
            known = _value(then, name)
            found[name] = Truth(_value(now, name), known, _value(ageless, name), known)
        return found

    def _unless_old(self, found: Fact | None, at_us: int) -> Fact | None:
        is_old = found and self._ttl_us is not None and at_us - found.event_us >= self._ttl_us
        return None if is_old else found


def _value(fact: Fact | None, name: str) -> Any:
    return None if fact is None else fact.facts.get(name)
