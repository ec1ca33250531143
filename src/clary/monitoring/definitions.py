"""Job definitions of the four types: kept, described, listed, removed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clary.endpoints.model import ENDPOINT
from clary.kernel.clock import now
from clary.kernel.errors import InvalidInput
from clary.kernel.resource import Event, Resource, existing
from clary.monitoring import inputs, requests
from clary.monitoring.model import DEFINITIONS, Execution, Type
from clary.monitoring.plans import Plan
from clary.monitoring.windows import Window, offset

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from clary.jobs.service import Jobs
    from clary.kernel.names import Ref
    from clary.kernel.ports import JsonObject, MetadataStore
    from clary.kernel.resource import Page, Query
    from clary.monitoring.requests import Definition

_TYPES = {kind: of for of, kind in DEFINITIONS.items()}


class Definitions:
    """The verbs of job definitions."""

    def __init__(self, store: MetadataStore, jobs: Jobs) -> None:
        self._store = store
        self._jobs = jobs

    def create(
        self, ref: Ref, request: JsonObject, *, actor: str, tags: Mapping[str, str] | None = None
    ) -> Resource:
        """Keep a definition of jobs that can run.

        Raises
        ------
        InvalidInput
            They never could; names the member.
        NotFound
            The endpoint does not exist.
        AlreadyExists
            There is a definition of this name.
        """
        of = type_of(ref)
        found = requests.definition(of, request)
        self.check(ref, of, found)
        at = now()
        kept = {name: value for name, value in request.items() if name != "Tags"}
        body = {"request": kept, "endpoint": found.watched.endpoint_name, "actor": actor}
        with self._store.begin() as change:
            made = change.insert(Resource(ref, body, at, at))
            change.tag(ref, dict(tags or {}))
            change.append(Event(at, actor, f"{ref.kind}.created", ref))
        return made

    def check(self, near: Ref, of: Type, found: Definition) -> None:
        """Refuse a definition whose jobs can never run. Raises InvalidInput, NotFound."""
        watched = found.watched
        for field, given in (
            ("StartTimeOffset", watched.start_time_offset),
            ("EndTimeOffset", watched.end_time_offset),
        ):
            if given:
                offset(given, field=field)
        if watched.endpoint_name:
            endpoint = near.sibling(ENDPOINT, watched.endpoint_name)
            inputs.check_captured(self._store.get, endpoint)
        at = now()
        trial = Execution("trial", "", of, at, endpoint=watched.endpoint_name)
        plan = Plan(near, trial, found, Window(at, at), data=(found.output.s3_uri,))
        self._jobs.check(plan.job, plan.request())

    def get(self, ref: Ref) -> Resource:
        """Read a definition. Raises NotFound."""
        return existing(self._store.get, ref)

    def list(self, query: Query) -> Page:
        """List definitions of one type."""
        return self._store.select(query)

    def delete(self, ref: Ref, *, actor: str) -> None:
        """Remove a definition; schedules that name it fail from then on. Raises NotFound."""
        with self._store.begin() as change:
            change.delete(ref)
            change.append(Event(now(), actor, f"{ref.kind}.deleted", ref))


def type_of(ref: Ref) -> Type:
    """Say of which type a definition is. Raises InvalidInput for what is none."""
    if ref.kind not in _TYPES:
        raise InvalidInput("kind", f"{ref.kind!r} is no definition", legal=", ".join(_TYPES))
    return _TYPES[ref.kind]


def named(get: Callable[[Ref], Resource | None], ref: Ref) -> Definition:
    """Read the definition that a schedule names. Raises NotFound."""
    return requests.definition(type_of(ref), existing(get, ref).body["request"])
