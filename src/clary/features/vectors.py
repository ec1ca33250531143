"""Vectors of a view on request: latest values, aggregates and inputs through compiled rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from clary.expressions import compile_all
from clary.features.retrieval import Retrieval, Wanted
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from clary.features.definitions import Checked
    from clary.features.model import Value
    from clary.features.ports import OnlineStore
    from clary.features.records import Group
    from clary.features.tiles import Tiles

    Entity = Mapping[str, object]
    Row = tuple[Any, ...]


class Vectors:
    """Computes the features of entities; one is made once and used by many requests and threads.

    Parameters
    ----------
    checked
        The view.
    online
        Where the latest records are.
    tiles
        Its streams' tiles, in order.

    Attributes
    ----------
    names
        The names of a vector's values.
    """

    def __init__(self, checked: Checked, online: OnlineStore, tiles: Sequence[Tiles]) -> None:
        view = checked.view
        self.names = tuple(view.features)
        self._identifiers = tuple(checked.identifiers)
        self._keyed: dict[str, Group] = {}
        for one in checked.groups.values():
            self._keyed.setdefault(one.schema.identifier, one)
        self._tiles = [
            (one, stream.group.schema.identifier)
            for one, stream in zip(tiles, checked.streams, strict=True)
        ]
        wanted = [
            Wanted(
                checked.groups[name].online_table, checked.groups[name].schema, view.columns(name)
            )
            for name in view.sources
        ]
        self._retrieval = Retrieval(online, wanted) if wanted else None
        self._inputs = checked.read_inputs()
        self._compute = compile_all(checked.expressions, list(checked.columns))

    def compute(
        self, entities: Sequence[Entity], inputs: Sequence[Mapping[str, Any]], at_us: int
    ) -> list[dict[str, Value]]:
        """Compute a vector for each entity, by feature.

        Parameters
        ----------
        entities
            Keys by identifier.
        inputs
            What the request brings for each entity; what it does not bring is missing.
        at_us
            The time.

        Raises
        ------
        InvalidInput
            A key is missing or of a wrong type, an input is unknown or of a wrong type, or an
            expression fails on the values, as by an overflow.
        """
        rows = self.rows(entities, inputs, at_us)
        return [self.features(row) for row in rows]

    def features(self, row: Row) -> dict[str, Value]:
        """Compute the features of what ``rows`` gives for one entity. Raises InvalidInput."""
        return dict(zip(self.names, self._compute(row), strict=True))

    def rows(
        self, entities: Sequence[Entity], inputs: Sequence[Mapping[str, Any]], at_us: int
    ) -> list[Row]:
        """Give what the expressions read: the facts of each entity, in the order of the columns.

        Raises InvalidInput like ``compute``.
        """
        if len(inputs) != len(entities):
            raise InvalidInput(
                "inputs", f"{len(inputs)} for {len(entities)} entities", legal="one for each"
            )
        keys = [self._keys(entity) for entity in entities]
        parts = [self._latest(keys, at_us)]
        parts += [
            [tuple(row) for row in tiles.evaluate([key[name] for key in keys], at_us)]
            for tiles, name in self._tiles
        ]
        parts.append([self._inputs(one) for one in inputs])
        return [sum(one, ()) for one in zip(*parts, strict=True)]

    def _latest(self, keys: Sequence[Mapping[str, str]], at_us: int) -> list[Row]:
        if self._retrieval is None:
            return [()] * len(keys)
        names = self._retrieval.entities
        if len(names) == 1:
            return self._retrieval.tuples([key[names[0]] for key in keys], at_us)
        return self._retrieval.tuples([[key[name] for name in names] for key in keys], at_us)

    def _keys(self, entity: Entity) -> Mapping[str, str]:
        if entity.keys() != self._keyed.keys():
            raise InvalidInput(
                "entity", f"has {', '.join(entity) or 'no key'}", legal=", ".join(self._keyed)
            )
        return {name: self._keyed[name].key(value) for name, value in entity.items()}
