"""Features of views served with the facts they were made of, and the proof of what was served."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from clary.features.fact_queries import Wanted
from clary.features.facts import Fact
from clary.features.replay import of_view
from clary.features.replay import replay as replayed
from clary.kernel.clock import now_us
from clary.kernel.codec import from_json, plain, to_json
from clary.kernel.errors import InvalidInput, LimitExceeded, NotFound

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from clary.features.batch import Batch as ViewBatch
    from clary.features.definitions import Checked
    from clary.features.facts import Facts
    from clary.features.model import Feature, Value
    from clary.features.replay import Batch, Definition
    from clary.features.skew import Report, Skew, Source
    from clary.features.vectors import Entity
    from clary.features.views import Opened, Views
    from clary.kernel.names import Ref

    SourceOf = Callable[[Checked, ViewBatch], Source]


class ViewLog:
    """Serves views, logging what was used and what was served; replays them.

    Parameters
    ----------
    views
        The views.
    facts
        Where requests are logged.
    skew, batch
        What compares and computes.
    source
        Makes the source of a view's facts.
    """

    def __init__(
        self, views: Views, facts: Facts, skew: Skew, batch: Batch, source: SourceOf
    ) -> None:
        self._views = views
        self._facts = facts
        self._skew = skew
        self._batch = batch
        self._source = source
        self._definitions: dict[Ref, Definition] = {}

    def vector(
        self,
        ref: Ref,
        entity: Entity,
        inputs: Mapping[str, Any] | None = None,
        *,
        context: Mapping[str, str] | None = None,
        request_id: str = "",
    ) -> dict[str, Value]:
        """Compute the features of one entity now, and log them with the facts they are made of.

        What the log has no room for, or what is larger than a fact may be, is counted as lost.

        Raises
        ------
        NotFound
            There is no such view.
        Unavailable
            Its aggregates are being computed for the first time.
        InvalidInput
            See ``Vectors.compute``; or the context is none, see ``Facts.log``.
        """
        return self.vectors(
            ref, [entity], [inputs or {}], context=context or {}, request_id=request_id
        )[0]

    def vectors(
        self,
        ref: Ref,
        entities: Sequence[Entity],
        inputs: Sequence[Mapping[str, Any]],
        *,
        context: Mapping[str, str],
        request_id: str,
    ) -> Sequence[dict[str, Value]]:
        """Compute the features of several entities now, and log each; see ``vector``."""
        found = ref if ref.version else self._views.describe(ref).ref
        opened, at = self._views.ready(found), now_us()
        definition = self._definition(opened)
        rows = opened.vectors.rows(entities, inputs, at)
        served = [opened.vectors.features(row) for row in rows]
        said, name = dict(context), unversioned(found)
        for entity, row, made in zip(entities, rows, served, strict=True):
            used = dict(zip(definition.columns, row, strict=True))
            of = entity_text(entity)
            fact = Fact(of, at, at, used, said, request_id, definition.digest, dict(made))
            try:
                self._facts.keep(name, fact)
            except LimitExceeded:
                self._facts.lose(name)
        return served

    def features(self, ref: Ref) -> Sequence[Feature]:
        """Name what a version of a view gives, in order. Raises NotFound."""
        return self._views.open(ref).checked.features

    def definition(self, ref: Ref) -> Definition:
        """Give what a version of a view computes, the latest when it is not said. Raises NotFound.

        A version never changes, but for what its groups are.
        """
        return self._definition(self._views.open(self._views.describe(ref).ref))

    def _definition(self, opened: Opened) -> Definition:
        known = self._definitions.get(opened.ref)
        if known is None or known.origin != opened.uid:
            known = of_view(opened.checked, plain(opened.checked.view), opened.uid)
            self._definitions[opened.ref] = known
        return known

    def skew(self, ref: Ref, wanted: Wanted | None = None, *, with_source: bool = True) -> Report:
        """Replay what was served by any version of a view through one, and compare.

        Parameters
        ----------
        ref
            The version that replays; the latest when it is not said.
        with_source
            Also ask the history of its groups what was true at the times of requests.

        Raises
        ------
        NotFound
            There is no such view, or it has served nothing that was logged.
        """
        report = self.compared(ref, wanted or Wanted(), with_source=with_source)
        if not report.requests:
            raise NotFound(
                f"a logged request of {ref.name}", hint="only what is served with its log counts"
            )
        return report

    def compared(self, ref: Ref, wanted: Wanted, *, with_source: bool) -> Report:
        """Compare like ``skew``; an empty report tells of no requests."""
        found = self._views.describe(ref).ref
        source = self.source(found) if with_source else None
        definition = self.definition(found)
        return self._skew.compare(unversioned(found), definition, wanted, source=source)

    def replay(self, ref: Ref, facts: Iterable[Fact]) -> Iterator[tuple[Fact, dict[str, Any]]]:
        """Compute the features of a view from logged facts, see ``replay.replay``."""
        return replayed(self.definition(ref), facts, self._batch)

    def source(self, ref: Ref) -> Source | None:
        """Give the history of a view's groups; None where one keeps none. Raises NotFound."""
        ref = self._views.describe(ref).ref
        checked = self._views.open(ref).checked
        has_history = all(checked.groups[name].is_offline for name in checked.view.sources)
        if not checked.groups or not has_history:
            return None
        return self._source(checked, self._views.batch(ref))


def unversioned(ref: Ref) -> Ref:
    """Name a view whatever its version: its log is one."""
    return replace(ref, version=0)


def entity_text(entity: Mapping[str, object]) -> str:
    """Write the keys of an entity as one text: the key itself, or all of them as JSON.

    Examples
    --------
    >>> entity_text({"id": 7}), entity_text({"shop": "a", "id": 7})
    ('7', '{"id":"7","shop":"a"}')
    """
    if len(entity) == 1:
        return str(*entity.values())
    return to_json({name: str(entity[name]) for name in sorted(entity)}).decode()


def keys_of(text: str, identifiers: Sequence[str]) -> Mapping[str, str]:
    """Read the keys of an entity back, by identifier. Raises InvalidInput.

    Examples
    --------
    >>> keys_of('{"id":"7","shop":"a"}', ("shop", "id"))
    {'shop': 'a', 'id': '7'}
    """
    if len(identifiers) == 1:
        return {identifiers[0]: text}
    keys = from_json(text, field="entity")
    if not isinstance(keys, dict) or keys.keys() != set(identifiers):
        raise InvalidInput("entity", f"{text:.80} names none", legal=", ".join(identifiers))
    return {name: keys[name] for name in identifiers}
