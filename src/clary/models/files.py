"""Which content a model and its metrics are: looked up in the object store, by digest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from clary.kernel.errors import InvalidInput, NotFound
from clary.lineage.model import Artifact, FileEntry, of_object, of_tree

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from clary.kernel.ports import ObjectStore
    from clary.models.requests import Container, ModelFiles

    Used = tuple[str, Artifact]


def of_containers(
    objects: ObjectStore, containers: Iterable[tuple[str, Container]]
) -> Iterator[Used]:
    """Yield the model files of containers.

    Raises
    ------
    InvalidInput
        A URI names nothing that exists; names the member and the URI.
    """
    for place, container in containers:
        if container.files is not None:
            member, files = container.files
            yield "model", _files(objects, files, f"{place}.{member}")


def of_metrics(objects: ObjectStore, document: Any, role: str) -> Iterator[Used]:
    """Yield the objects a ModelMetrics or DriftCheckBaselines document names, if they exist."""
    if not isinstance(document, dict):
        return
    uri = document.get("S3Uri")
    if isinstance(uri, str):
        bucket, key = _split(uri, f"{role}.S3Uri")
        try:
            yield role, of_object(objects.stat(bucket, key))
        except NotFound:
            return
    for member, inner in document.items():
        yield from of_metrics(objects, inner, f"{role}.{member}")


def _files(objects: ObjectStore, files: ModelFiles, place: str) -> Artifact:
    bucket, key = _split(files.s3_uri, place)
    try:
        if files.s3_data_type == "S3Object":
            return of_object(objects.stat(bucket, key))
        entries = list(_below(objects, bucket, key.rstrip("/") + "/"))
    except NotFound:
        entries = []
    if not entries:
        raise InvalidInput(place, f"{files.s3_uri} does not exist")
    return of_tree(files.s3_uri, entries)


def _below(objects: ObjectStore, bucket: str, prefix: str) -> Iterator[FileEntry]:
    after = ""
    while True:
        page = objects.list(bucket, prefix=prefix, after=after)
        for info in page.objects:
            sha256 = info.sha256 or objects.stat(bucket, info.key).sha256
            yield FileEntry(info.key.removeprefix(prefix), sha256, info.size_bytes)
        after = page.next_after
        if not after:
            return


def _split(uri: str, place: str) -> tuple[str, str]:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    if not uri.startswith("s3://") or not bucket or not key:
        raise InvalidInput(place, f"{uri!r}", legal="s3://<bucket>/<key>")
    return bucket, key
