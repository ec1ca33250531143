"""What the lifecycle needs from the outside world: metadata, a work queue, objects.

Each port has one public contract suite in ``clary.testing``, run over every adapter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime

    from clary.kernel.names import Ref
    from clary.kernel.resource import (
        Bucket,
        Claim,
        Event,
        Link,
        ObjectInfo,
        ObjectPage,
        Page,
        Query,
        Resource,
    )


class Transaction(Protocol):
    """Changes that take effect together, durably, when the ``with`` block ends; or not at all."""

    def insert(self, resource: Resource, *, due: bool = False) -> Resource:
        """Store a new resource; ``due`` puts it on the work queue. Raises AlreadyExists."""

    def update(self, resource: Resource) -> Resource:
        """Replace status, body and parent; returns it with the next revision.

        Raises
        ------
        NotFound
            It is gone.
        Conflict
            Its stored revision is not ``resource.revision``, or it has been deleted and made anew.
        """

    def get(self, ref: Ref) -> Resource | None:
        """Read within the transaction."""

    def delete(self, ref: Ref) -> None:
        """Remove it with its tags; links and events stay. Raises NotFound."""

    def wake(self, ref: Ref) -> None:
        """Put it on the work queue now; wakes a worker that already holds it once more.

        Nothing happens when it is gone, so that an end can be told to whoever may have waited.
        """

    def link(self, link: Link) -> None:
        """Add an edge; adding it again changes nothing."""

    def unlink(self, link: Link) -> None:
        """Remove an edge; removing an absent one is no error."""

    def tag(self, ref: Ref, tags: Mapping[str, str | None]) -> None:
        """Set tags, whether or not the ref is a stored resource; None removes one."""

    def append(self, event: Event) -> None:
        """Write a line of the journal; its followers (``kernel.journal``) become due shortly."""


class MetadataStore(Protocol):
    """Resources, links, tags and the journal, in one transactional store."""

    def begin(self, *, durable: bool = True) -> AbstractContextManager[Transaction]:
        """Open a write transaction. An exception inside rolls it back.

        One that is not ``durable`` costs no wait for the disk: it survives the death of this
        process, but a power failure may undo it, unless a durable one was committed after it.
        For progress that nobody was told of and that can be made again.
        """

    def get(self, ref: Ref) -> Resource | None:
        """Read one resource, or None."""

    def get_all(self, refs: Iterable[Ref]) -> Mapping[Ref, Resource]:
        """Read those of many resources that there are, in the order of ``refs``."""

    def select(self, query: Query) -> Page:
        """List resources, one page.

        Resources that are there all along, with the same sort value, are listed exactly once,
        whatever is made or deleted between the pages.

        Raises
        ------
        InvalidInput
            The token is not one that the same query gave, or the limit is out of bounds.
        """

    def links(self, *refs: Ref, incoming: bool) -> Sequence[Link]:
        """Edges that end (``incoming``) or start at any of ``refs``, in the order of adding."""

    def tags(self, ref: Ref) -> Mapping[str, str]:
        """Tags of a resource, by key; empty when it has none."""

    def tags_of(self, refs: Iterable[Ref]) -> Mapping[Ref, Mapping[str, str]]:
        """Tags of those of many resources that have any."""

    def events(
        self, *, after: int = 0, limit: int = 1000, ref: Ref | None = None
    ) -> Sequence[Event]:
        """Journal lines with ``id > after``, oldest first."""


class WorkQueue(Protocol):
    """Leases on due resources, so that any process may run them and one at a time does."""

    def claim(self, kinds: Sequence[str], owner: str, lease_s: float) -> Claim | None:
        """Take a resource of ``kinds`` that is due and that nobody holds, or None.

        The one due longest comes first. A lease that ran out counts as held by nobody, except for
        the owner itself: it is alive, so it is still at work.
        """

    def renew(self, owner: str, lease_s: float) -> None:
        """Extend every lease of ``owner``."""

    def release(self, claim: Claim, due_at: datetime | None) -> None:
        """Give it back; due again at ``due_at`` (None: when woken), at once if woken meanwhile.

        Nothing happens when it is gone, or when another owner has taken it over.
        """

    def wait(self, timeout_s: float) -> None:
        """Return when this process has put or given back something, or after ``timeout_s``.

        What happened since this thread last called ``claim`` counts, so that nothing is missed.
        """


class ObjectStore(Protocol):
    """Buckets of objects, as S3 knows them. A digest is recorded when an object is written."""

    def put(
        self,
        bucket: str,
        key: str,
        chunks: Iterable[bytes],
        *,
        headers: Mapping[str, str] | None = None,
        metadata: Mapping[str, str] | None = None,
        expected: str | None = None,
        parts: int = 1,
    ) -> ObjectInfo:
        """Write an object, visible whole and durable when this returns, or not at all.

        Parameters
        ----------
        chunks
            The bytes; when it raises, nothing is stored.
        headers, metadata
            See ``ObjectInfo``; read after the last chunk. At most 3 KiB together.
        expected
            The etag that the object must have until then; empty: there must be none.
        parts
            The number behind the ``-`` of the etag.

        Raises
        ------
        NotFound
            There is no such bucket.
        Conflict
            The object is not the ``expected`` one.
        LimitExceeded
            No space is left, or headers and metadata are too long.
        """

    def read(
        self,
        bucket: str,
        key: str,
        *,
        start: int = 0,
        end: int | None = None,
        expected: str | None = None,
    ) -> Iterator[bytes]:
        """Yield bytes ``[start, end)`` in chunks; the object as it was at this call.

        Raises NotFound, and Conflict when its etag is not ``expected``.
        """

    def stat(self, bucket: str, key: str) -> ObjectInfo:
        """Describe an object. Raises NotFound (of the key or of the bucket)."""

    def list(
        self,
        bucket: str,
        *,
        prefix: str = "",
        delimiter: str = "",
        after: str = "",
        limit: int = 1000,
    ) -> ObjectPage:
        """List keys and common prefixes above ``after`` in UTF-8 byte order.

        A key that holds ``delimiter`` behind ``prefix`` counts as the common prefix that ends
        there. Listing computes no digests: ``sha256`` is empty where none is recorded yet.
        """

    def delete(self, bucket: str, key: str) -> None:
        """Remove an object; removing an absent one is no error."""

    def create_bucket(self, bucket: Bucket) -> None:
        """Make a bucket. Raises AlreadyExists."""

    def delete_bucket(self, name: str) -> None:
        """Remove an empty bucket. Raises NotFound, Conflict when it holds objects."""

    def buckets(self) -> Sequence[Bucket]:
        """Every bucket, by name."""


JsonObject = dict[str, Any]
