"""Endpoints that a job made for itself and could not delete, because it was killed."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from clary.endpoints.model import CONFIG, ENDPOINT
from clary.jobs.model import ENDED, PROCESSING
from clary.kernel.errors import NotFound
from clary.kernel.resource import Query

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clary.endpoints.service import Endpoints
    from clary.kernel.names import Ref
    from clary.kernel.ports import MetadataStore
    from clary.kernel.resource import Event

IMAGE = "sagemaker-clarify-processing"
_ACTIONS = {f"{PROCESSING}.{status.lower()}" for status in ENDED}
_ACTOR = "clary"


def mark(job: str) -> str:
    """Return what the names of a job's own endpoint and its configuration end with.

    Examples
    --------
    >>> mark("bias-of-march")
    'b6bce83e2baa30cf'
    """
    return hashlib.sha256(job.encode()).hexdigest()[:16]


class Leftovers:
    """Follows the ends of jobs: implements ``kernel.journal.Sender``.

    Parameters
    ----------
    store
        Where jobs and endpoints are.
    endpoints
        Deletes them.
    """

    name = "leftover-endpoints"

    def __init__(self, store: MetadataStore, endpoints: Endpoints) -> None:
        self._store = store
        self._endpoints = endpoints

    def send(self, events: Sequence[Event]) -> None:
        """Delete what jobs that have ended left; again is no error."""
        for event in events:
            if event.action in _ACTIONS and self._made_its_own(event.ref):
                self._delete(event.ref)

    def _made_its_own(self, job: Ref) -> bool:
        found = self._store.get(job)
        app = found.body.get("request", {}).get("AppSpecification") if found else None
        return IMAGE in str((app or {}).get("ImageUri", ""))

    def _delete(self, job: Ref) -> None:
        ends = mark(job.name)
        deletes = ((ENDPOINT, self._endpoints.delete), (CONFIG, self._endpoints.delete_config))
        for kind, delete in deletes:
            query = Query(kind, job.account, job.region, name_contains=ends, limit=10)
            for one in self._store.select(query).items:
                try:
                    delete(one.ref, actor=_ACTOR)
                except NotFound:  # it was just deleted
                    continue
