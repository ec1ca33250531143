"""Origins of columns that recorded contents tell of themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
from msgspec import DecodeError, Struct, json
from pyarrow import parquet

from clary.flows.local import ORIGINS
from clary.flows.origins import KEPT
from clary.jobs.contract import split_uri
from clary.kernel.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from clary.kernel.ports import ObjectStore
    from clary.lineage.model import Artifact, Node
    from clary.lineage.service import Lineage

_MAGIC = b"PAR1"
_LARGEST = 16 * 2**20
"""Bytes of what is read of an object: a document, or the footer of a table."""


class Columns(Struct, frozen=True):
    """Of a table that a flow made: by column, the sources' columns it is computed from."""

    uri: str
    origins: dict[str, list[str]]


def recorded(lineage: Lineage, objects: ObjectStore, tree: Node) -> Iterator[Columns]:
    """Give the columns of each table in a lineage tree that a flow made, nearest first.

    Tables tell by their own metadata, feature groups by the document that is kept with them.
    What is no longer as it was recorded tells nothing.
    """
    waiting = [tree]
    while waiting:
        node = waiting.pop(0)
        waiting += node.children
        if node.digest and not node.seen:
            for uri, digest in _files(lineage.artifact(node.ref)):
                told = _told(objects, uri, digest)
                if told is not None:
                    yield Columns(uri, told)


def _files(artifact: Artifact) -> Iterator[tuple[str, str]]:
    """Yield what may tell of columns, with its digest."""
    root = artifact.uri.rstrip("/")
    found = [(f"{root}/{one.path}", one.sha256) for one in artifact.files]
    for uri, digest in found or [(root, artifact.digest)]:
        if uri.endswith((".parquet", f"/{KEPT}")):
            yield uri, digest


def _told(objects: ObjectStore, uri: str, digest: str) -> dict[str, list[str]] | None:
    bucket, key = split_uri(uri, field="uri")
    try:
        info = objects.stat(bucket, key)
    except NotFound:
        return None
    if info.sha256 != digest:
        return None

    def part(start: int) -> bytes:
        return b"".join(objects.read(bucket, key, start=start, expected=info.etag))

    if not uri.endswith(KEPT):
        text = _metadata(part, info.size_bytes)
    else:
        text = part(0) if info.size_bytes <= _LARGEST else b""
    try:
        return json.decode(text, type=dict[str, list[str]])
    except DecodeError:  # another document of this name, or a table that says nothing
        return None


def _metadata(part: Callable[[int], bytes], size_bytes: int) -> bytes:
    """Read the origins in the footer of a Parquet file; empty where it has none, or is none."""
    if size_bytes < 3 * len(_MAGIC):
        return b""
    tail = part(size_bytes - 8)
    start = size_bytes - 8 - int.from_bytes(tail[:4], "little")
    if tail[4:] != _MAGIC or start < len(_MAGIC) or size_bytes - start > _LARGEST:
        return b""
    try:
        schema = parquet.read_schema(pa.BufferReader(_MAGIC + part(start)))
    except (pa.ArrowException, OSError):
        return b""
    found: bytes = (schema.metadata or {}).get(ORIGINS.encode(), b"")
    return found
