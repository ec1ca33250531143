"""What one request reads online, compiled once: features of several groups, a row an entity."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from clary.kernel.clock import now_us
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from clary.features.model import Record, Schema, Value
    from clary.features.ports import OnlineStore

    Row = tuple[Value, ...]
    Entity = str | Sequence[str]
    """The key of an entity; with several identifiers, their keys in the order of ``entities``."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked of one group.

    Parameters
    ----------
    table
        The group's table in the online store.
    schema
        The group's features.
    columns
        Which features, or what they are called in a row by their names; empty: all.
    """

    table: str
    schema: Schema
    columns: Sequence[str] | Mapping[str, str] = ()

    def named(self) -> Mapping[str, str]:
        """Return what each feature is called in a row. Raises InvalidInput for an unknown one."""
        known = [feature.name for feature in self.schema.features]
        named = self.columns or known
        unknown = [name for name in named if name not in known]
        if unknown:
            raise InvalidInput(
                "columns", f"{unknown[0]!r} is no feature of the group", legal=", ".join(known)
            )
        return named if isinstance(named, Mapping) else dict(zip(named, named, strict=True))


@dataclass(frozen=True, slots=True)
class _Part:
    """One group of a plan: its table, the place of its key in an entity, and its values' picker."""

    table: str
    entity: int
    pick: Callable[[Record | None, int], Row]


class Retrieval:
    """Reads rows of features; one is made once and used by many requests and threads.

    Parameters
    ----------
    store
        Where the latest records are.
    wanted
        What is asked of each group; groups may share an identifier.

    Raises
    ------
    InvalidInput
        A feature is unknown, nothing is asked, or two columns have one name.

    Attributes
    ----------
    entities
        The identifiers that a request gives keys of, each once, in the order of the groups.
    columns
        The names of a row's values.
    """

    def __init__(self, store: OnlineStore, wanted: Sequence[Wanted]) -> None:
        self._read = store.read
        self.entities = tuple(dict.fromkeys(one.schema.identifier for one in wanted))
        self.columns = tuple(name for one in wanted for name in one.named().values())
        self._parts = [
            _Part(one.table, self.entities.index(one.schema.identifier), _picker(one))
            for one in wanted
        ]
        if not self.columns:
            raise InvalidInput("columns", "nothing is asked", legal="features of at least a group")
        twice = next((name for name in self.columns if self.columns.count(name) > 1), None)
        if twice is not None:
            raise InvalidInput("columns", f"two are called {twice!r}", hint="name one otherwise")

    def tuples(self, entities: Sequence[Entity], at_us: int | None = None) -> list[Row]:
        """Read a row for every entity, in their order; None where nothing is known.

        Parameters
        ----------
        entities
            Keys; where there are several identifiers, sequences of keys.
        at_us
            The moment at which records may have expired; now unless it is said.
        """
        at_us = now_us() if at_us is None else at_us
        found = self._found(entities)
        if len(self._parts) == 1:
            pick = self._parts[0].pick
            return [pick(record, at_us) for record in found]
        count = len(entities)
        picked = [
            [part.pick(record, at_us) for record in found[n * count : (n + 1) * count]]
            for n, part in enumerate(self._parts)
        ]
        return [sum(rows, ()) for rows in zip(*picked, strict=True)]

    def dicts(self, entities: Sequence[Entity], at_us: int | None = None) -> list[dict[str, Value]]:
        """Read a row for every entity, by the names of the columns."""
        columns = self.columns
        return [dict(zip(columns, row, strict=True)) for row in self.tuples(entities, at_us)]

    def records(self, entities: Sequence[Entity]) -> list[Sequence[Record | None]]:
        """Read whole records: for every entity those of all groups, of every state."""
        found = self._found(entities)
        count = len(entities)
        return [found[n::count] for n in range(count)]

    def _found(self, entities: Sequence[Any]) -> Sequence[Record | None]:
        """Read the records of all entities in the first group, then in the second, and so on."""
        if len(self.entities) == 1:
            return self._read([(part.table, key) for part in self._parts for key in entities])
        for keys in entities:
            if isinstance(keys, str) or len(keys) != len(self.entities):
                raise InvalidInput("entities", f"{keys!r}", legal=f"keys of {self.entities}")
        return self._read(
            [(part.table, keys[part.entity]) for part in self._parts for keys in entities]
        )


def _picker(wanted: Wanted) -> Callable[[Record | None, int], Row]:
    """Make what takes the wanted values out of a record that counts at a moment."""
    order = {feature.name: place for place, feature in enumerate(wanted.schema.features)}
    places = [order[name] for name in wanted.named()]
    nothing: Row = (None,) * len(places)
    width = max(places) + 1
    alone = itemgetter(slice(places[0], width))  # a tuple even of one
    get: Callable[[Row], Row] = itemgetter(*places) if len(places) > 1 else alone

    def pick(record: Record | None, at_us: int) -> Row:
        if record is None or record.is_deleted:
            return nothing
        if record.expires_us is not None and record.expires_us <= at_us:
            return nothing
        values = record.values
        if len(values) < width:  # written before the group had all of its features
            values += (None,) * (width - len(values))
        return get(values)

    return pick
