"""The shape every stored thing has: resources, links between them, and events in the journal."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from clary.kernel.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from clary.kernel.names import Ref


@dataclass(frozen=True, slots=True)
class Resource:
    """One stored thing: indexed columns for what lists filter on, the rest in ``body``.

    Parameters
    ----------
    ref
        Its full name.
    body
        JSON-able document; its format belongs to the slice that owns the kind.
    status
        The state word lists filter on; empty for kinds without one.
    parent
        The ref it belongs to (an execution's pipeline, a step's execution), if any. Deleting a
        parent does not delete its children; that is the owning slice's choice.
    created_at, modified_at
        UTC. ``modified_at`` is set by the store at each update.
    revision
        Counts updates; an update names the revision it read (optimistic locking).
    """

    ref: Ref
    body: Mapping[str, Any]
    created_at: datetime
    modified_at: datetime
    status: str = ""
    parent: Ref | None = None
    revision: int = 0


def existing(get: Callable[[Ref], Resource | None], ref: Ref) -> Resource:
    """Read what has to be there, by the ``get`` of a store or a transaction. Raises NotFound."""
    found = get(ref)
    if found is None:
        raise NotFound(ref)
    return found


@dataclass(frozen=True, slots=True)
class Link:
    """A directed edge of the lineage graph, in SageMaker's association words."""

    source: Ref
    kind: Literal["ContributedTo", "AssociatedWith", "DerivedFrom", "Produced", "SameAs"]
    target: Ref
    role: str = ""


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the journal: who did what to which resource, when.

    ``action`` is ``<kind>.<past participle>``: ``training-job.created``. ``id`` is given by the
    store, increasing; 0 before that.
    """

    at: datetime
    actor: str
    action: str
    ref: Ref
    detail: Mapping[str, Any] = field(default_factory=dict)
    id: int = 0


@dataclass(frozen=True, slots=True)
class Query:
    """What a list asks for. Unset members do not filter.

    ``name_contains`` ignores case. ``created_after`` and its like exclude the moment itself.
    ``where`` compares string members of the body for equality, by dotted path
    (``request.ModelName``). ``limit`` is the page size, 1 to 10,000; ``token`` continues after the
    page that gave it. Equal sort values are ordered by name and version.
    """

    kind: str
    account: str | None = None
    region: str | None = None
    parent: Ref | None = None
    statuses: Sequence[str] = ()
    name_contains: str = ""
    name_prefix: str = ""
    name: str = ""
    created_after: datetime | None = None
    created_before: datetime | None = None
    modified_after: datetime | None = None
    modified_before: datetime | None = None
    where: Mapping[str, str] = field(default_factory=dict)
    sort_by: Literal["created", "modified", "name", "status", "version"] = "created"
    descending: bool = True
    limit: int = 100
    token: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list; ``token`` is empty on the last."""

    items: Sequence[Resource]
    token: str = ""


@dataclass(frozen=True, slots=True)
class Claim:
    """A resource that a worker holds by lease, with what ``release`` needs to miss no wake."""

    resource: Resource
    owner: str
    wakes: int


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """What is known of a stored object without reading it.

    ``sha256`` is the hex digest of its bytes; ``etag`` has no quotes. ``metadata`` holds the
    user's own pairs (``x-amz-meta-*``), ``headers`` the content headers to give back
    (``content-type`` and the like, lower case).
    """

    bucket: str
    key: str
    size_bytes: int
    modified_at: datetime
    sha256: str
    etag: str
    headers: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ObjectPage:
    """One page of a bucket's listing: objects and, below a delimiter, common prefixes.

    ``next_after`` continues the listing (exclusive); empty on the last page.
    """

    objects: Sequence[ObjectInfo]
    prefixes: Sequence[str] = ()
    next_after: str = ""


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket and the account it belongs to."""

    name: str
    account: str
    region: str
    created_at: datetime
