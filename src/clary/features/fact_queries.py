"""Asking for facts: of whom, when, and what they were used for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from clary.features.facts import table
from clary.kernel.clock import now_us
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from clary.features.facts import Fact
    from clary.features.ports import FactStore
    from clary.kernel.names import Ref

END_US = 1 << 62
"""Later than every moment."""
MOST = 100_000
"""Facts that one answer holds; more are to be iterated over."""
_HOUR_US = 3_600_000_000


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which facts are wanted; unset members do not filter.

    Parameters
    ----------
    start_us, end_us
        Their time, ``[start_us, end_us)``: microseconds since 1970.
    entity, request_id
        Of whom, and of which request.
    context
        Names and texts that their context holds.
    is_served
        Whether features were served with them.
    """

    start_us: int = 0
    end_us: int = END_US
    entity: str = ""
    request_id: str = ""
    context: Mapping[str, str] = field(default_factory=dict)
    is_served: bool | None = None

    @property
    def terms(self) -> tuple[str, ...]:
        """What an index knows of them; see ``terms``."""
        named = (("e", self.entity), ("r", self.request_id))
        return (
            *(f"{kind}{word}" for kind, word in named if word),
            *(f"c{name}={word}" for name, word in self.context.items()),
        )

    def has(self, fact: Fact) -> bool:
        """Tell whether a fact is wanted."""
        return (
            self.start_us <= fact.event_us < self.end_us
            and self.entity in ("", fact.entity)
            and self.request_id in ("", fact.request_id)
            and self.is_served in (None, fact.served is not None)
            and all(fact.context.get(name) == word for name, word in self.context.items())
        )


def since(hours: float) -> int:
    """Say when the last hours began, in microseconds since 1970; 0 hours: at the beginning."""
    return now_us() - int(hours * _HOUR_US) if hours else 0


def terms(fact: Fact) -> Iterator[str]:
    """Name what an index finds a fact by: its entity, its request, each word of its context."""
    yield f"e{fact.entity}"
    if fact.request_id:
        yield f"r{fact.request_id}"
    for name, word in fact.context.items():
        yield f"c{name}={word}"


class FactQueries:
    """Reads facts; narrow questions are answered from an index in memory.

    Parameters
    ----------
    store
        Where they are.
    """

    def __init__(self, store: FactStore) -> None:
        self._store = store

    def each(self, of: Ref, wanted: Wanted | None = None) -> Iterator[Fact]:
        """Yield facts of a kind or view in the order in which they were written."""
        return self._store.find(table(of), wanted or Wanted())

    def find(self, of: Ref, wanted: Wanted | None = None, *, limit: int = 1_000) -> Sequence[Fact]:
        """Give the newest facts, by their time, oldest first.

        Raises
        ------
        InvalidInput
            The limit is not within 1 to 100,000.
        """
        if not 1 <= limit <= MOST:
            raise InvalidInput("limit", f"{limit} is out of bounds", legal=f"1 to {MOST}")
        found: list[Fact] = []
        for fact in self.each(of, wanted):
            found.append(fact)
            if len(found) >= 2 * limit:
                found = _newest(found, limit)
        return _newest(found, limit)

    def tables(self, of: Ref, *, is_whole: bool = False) -> Sequence[str]:
        """Name the Parquet files of a kind or view, a row for each fact, in their order.

        Parameters
        ----------
        is_whole
            Make Parquet of all that is stored until now; else of what fills a file.
        """
        if is_whole:
            self._store.gather(table(of), is_whole=True)
        return self._store.tables(table(of))

    def forget(self, of: Ref, before_us: int) -> int:
        """Remove old facts, in whole files; return how many there were."""
        return self._store.forget(table(of), before_us)

    def erase(self, of: Ref, entity: str) -> int:
        """Remove every fact of an entity; return how many there were."""
        return self.erase_where(of, lambda fact: fact.entity == entity)

    def erase_where(self, of: Ref, is_gone: Callable[[Fact], bool]) -> int:
        """Remove the facts that a rule names; return how many there were."""
        return self._store.erase(table(of), is_gone)


def _newest(found: list[Fact], limit: int) -> list[Fact]:
    found.sort(key=lambda fact: (fact.event_us, fact.write_us))
    return found[-limit:]
