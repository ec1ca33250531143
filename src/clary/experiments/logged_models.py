"""Models that runs have logged: an id, files below it, parameters, metrics and tags."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from clary.experiments.model import LOGGED_MODEL
from clary.kernel.clock import now
from clary.kernel.errors import LimitExceeded, NotFound
from clary.kernel.resource import Event, Query, Resource

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from datetime import datetime

    from clary.kernel.names import Ref
    from clary.kernel.ports import JsonObject, MetadataStore

_PAGE = 1_000
_MOST = 2_000


@dataclass(frozen=True, slots=True)
class LoggedModel:
    """A model that somebody has logged.

    Parameters
    ----------
    ref, experiment
        Its name is ``m-`` and 32 hex digits; the experiment it belongs to.
    name, kind
        What people call it, and what made it.
    run
        The name of the run that logged it, if one did.
    status
        A word of the door that made it.
    metrics
        The latest value of each, as the door writes it, by a key of its own.
    """

    ref: Ref
    experiment: Ref
    name: str
    kind: str
    run: str
    status: str
    created_at: datetime
    modified_at: datetime
    parameters: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


class LoggedModels:
    """The verbs of logged models.

    Parameters
    ----------
    store
        Where they are recorded.
    """

    def __init__(self, store: MetadataStore) -> None:
        self._store = store

    def create(
        self,
        experiment: Ref,
        name: str,
        *,
        actor: str,
        status: str,
        kind: str = "",
        run: str = "",
    ) -> LoggedModel:
        """Make one in an experiment. Raises NotFound when there is no such experiment."""
        ref = experiment.sibling(LOGGED_MODEL, f"m-{secrets.token_hex(16)}")
        body = {"name": name, "kind": kind, "run": run, "parameters": {}, "metrics": {}}
        with self._store.begin() as change:
            if change.get(experiment) is None:
                raise NotFound(experiment)
            at = now()
            made = change.insert(Resource(ref, body, at, at, status, experiment))
            change.append(Event(at, actor, f"{LOGGED_MODEL}.created", ref))
        return _read(made, {})

    def get(self, ref: Ref) -> LoggedModel:
        """Read one. Raises NotFound."""
        found = self._store.get(ref)
        if found is None:
            raise NotFound(ref)
        return _read(found, self._store.tags(ref))

    def of(self, experiments: Iterable[Ref]) -> Iterator[LoggedModel]:
        """Yield those of some experiments, the newest of each first."""
        for experiment in experiments:
            query = Query(
                LOGGED_MODEL,
                experiment.account,
                experiment.region,
                parent=experiment,
                limit=_PAGE,
            )
            while True:
                page = self._store.select(query)
                tags = self._store.tags_of(one.ref for one in page.items)
                for one in page.items:
                    yield _read(one, tags.get(one.ref, {}))
                if not page.token:
                    break
                query = replace(query, token=page.token)

    def log(
        self,
        ref: Ref,
        *,
        actor: str,
        parameters: Mapping[str, str] | None = None,
        metrics: Mapping[str, Any] | None = None,
        tags: Mapping[str, str | None] | None = None,
        status: str = "",
    ) -> LoggedModel:
        """Add to one, or change its status; a tag that is None is removed.

        Raises
        ------
        NotFound
            There is no such model.
        LimitExceeded
            It would have too many parameters or metrics.
        """

        def grown(body: JsonObject) -> JsonObject:
            new = {
                "parameters": {**body["parameters"], **(parameters or {})},
                "metrics": {**body["metrics"], **(metrics or {})},
            }
            for member, held in new.items():
                if len(held) > _MOST:
                    raise LimitExceeded(f"{member} of {ref}: {len(held)}; legal: at most {_MOST}")
            return {**body, **new}

        self._change(ref, grown, actor=actor, tags=tags, status=status)
        return self.get(ref)

    def delete(self, ref: Ref, *, actor: str) -> None:
        """Forget one; its files stay. Raises NotFound."""
        with self._store.begin() as change:
            change.delete(ref)
            change.append(Event(now(), actor, f"{LOGGED_MODEL}.deleted", ref))

    def _change(
        self,
        ref: Ref,
        grown: Callable[[JsonObject], JsonObject],
        *,
        actor: str,
        tags: Mapping[str, str | None] | None,
        status: str,
    ) -> None:
        with self._store.begin() as change:
            found = change.get(ref)
            if found is None:
                raise NotFound(ref)
            body = grown(dict(found.body))
            change.update(replace(found, body=body, status=status or found.status))
            if tags:
                change.tag(ref, tags)
            change.append(Event(now(), actor, f"{LOGGED_MODEL}.updated", ref))


def _read(found: Resource, tags: Mapping[str, str]) -> LoggedModel:
    body = found.body
    if found.parent is None:
        raise ValueError(f"{found.ref} is of no experiment")
    return LoggedModel(
        ref=found.ref,
        experiment=found.parent,
        name=body["name"],
        kind=body["kind"],
        run=body["run"],
        status=found.status,
        created_at=found.created_at,
        modified_at=found.modified_at,
        parameters=body["parameters"],
        metrics=body["metrics"],
        tags=tags,
    )
