"""Unfinished multipart uploads, kept as objects of a bucket that nobody can name.

``<bucket>/<upload id>/upload`` describes an upload, ``<bucket>/<upload id>/part/<number>`` are its
parts. The object that an upload made remembers its id, so that finishing twice is finishing once.
"""

from __future__ import annotations

import contextlib
import re
import uuid
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from clary.doors.wire.errors import WireError
from clary.doors.wire.operations.s3_access import UPLOADS
from clary.kernel.clock import now
from clary.kernel.codec import build, from_json, to_json
from clary.kernel.errors import AlreadyExists, NotFound
from clary.kernel.resource import Bucket

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from clary.kernel.ports import ObjectStore
    from clary.kernel.resource import ObjectInfo

_ID = re.compile(r"[0-9a-f]{32}")
_MOST_UPLOADS = 1000
MADE_BY = "x-clary-upload"


class Upload(msgspec.Struct, frozen=True):
    """What an upload will make.

    Parameters
    ----------
    headers, metadata
        Of the object.
    algorithm, checksum_type
        Of the checksum that each part and the object get; empty for none.
    """

    bucket: str
    key: str
    id: str
    initiated_at: datetime
    headers: dict[str, str]
    metadata: dict[str, str]
    algorithm: str = ""
    checksum_type: str = ""

    @property
    def place(self) -> str:
        """Where it lies."""
        return f"{self.bucket}/{self.id}"

    def part(self, number: int) -> str:
        """Say where a part lies."""
        return f"{self.place}/part/{number:05}"


class Uploads:
    """The uploads to one bucket."""

    def __init__(self, objects: ObjectStore, bucket: str) -> None:
        self._objects = objects
        self._bucket = bucket

    def begin(
        self,
        key: str,
        headers: Mapping[str, str],
        metadata: Mapping[str, str],
        *,
        algorithm: str,
        checksum_type: str,
    ) -> Upload:
        """Record a new upload durably."""
        upload = Upload(
            bucket=self._bucket,
            key=key,
            id=uuid.uuid4().hex,
            initiated_at=now(),
            headers=dict(headers),
            metadata=dict(metadata),
            algorithm=algorithm,
            checksum_type=checksum_type,
        )
        with contextlib.suppress(AlreadyExists):
            self._objects.create_bucket(Bucket(UPLOADS, "", "", now()))
        open_ones = self._objects.list(UPLOADS, prefix=f"{self._bucket}/", delimiter="/")
        if len(open_ones.prefixes) >= _MOST_UPLOADS:
            problem = f"The bucket has {_MOST_UPLOADS} unfinished uploads; finish or abort some"
            raise WireError("InvalidRequest", problem)
        self._objects.put(UPLOADS, f"{upload.place}/upload", [to_json(upload)])
        return upload

    def find(self, key: str, upload_id: str) -> Upload:
        """Read an upload. Raises WireError NoSuchUpload."""
        if _ID.fullmatch(upload_id):
            with contextlib.suppress(NotFound):
                upload = self._read(f"{self._bucket}/{upload_id}/")
                if upload.key == key:
                    return upload
        problem = f"There is no upload {upload_id[:80]!r} to {key!r}; it was finished or aborted"
        raise WireError("NoSuchUpload", problem, 404, members={"UploadId": upload_id[:80]})

    def all(self) -> Iterator[Upload]:
        """Read every upload."""
        try:
            page = self._objects.list(UPLOADS, prefix=f"{self._bucket}/", delimiter="/")
        except NotFound:
            return
        for place in page.prefixes:
            with contextlib.suppress(NotFound):  # its last part came after it was aborted
                yield self._read(place)

    def add_part(
        self, upload: Upload, number: int, chunks: Iterable[bytes], headers: Mapping[str, str]
    ) -> ObjectInfo:
        """Store a part; an earlier one of the number is replaced."""
        info = self._objects.put(UPLOADS, upload.part(number), chunks, headers=headers)
        try:
            self.find(upload.key, upload.id)
        except WireError:
            self._objects.delete(UPLOADS, upload.part(number))
            raise
        return info

    def parts(self, upload: Upload, *, after: int = 0) -> Iterator[tuple[int, ObjectInfo]]:
        """List parts above a number, by number."""
        prefix = f"{upload.place}/part/"
        position = upload.part(after)
        while True:
            page = self._objects.list(UPLOADS, prefix=prefix, after=position)
            for info in page.objects:
                yield int(info.key.removeprefix(prefix)), info
            if not page.next_after:
                return
            position = page.next_after

    def read_part(self, info: ObjectInfo) -> Iterator[bytes]:
        """Read a part. Raises NotFound or Conflict when it was removed or replaced."""
        return self._objects.read(UPLOADS, info.key, expected=info.etag)

    def forget(self, place: str) -> None:
        """Remove an upload: its parts first, so that what is left of a crash can be removed too."""
        prefix = place.removesuffix("/") + "/"
        while page := self._objects.list(UPLOADS, prefix=prefix).objects:
            for info in page:
                self._objects.delete(UPLOADS, info.key)

    def _read(self, place: str) -> Upload:
        content = b"".join(self._objects.read(UPLOADS, f"{place}upload"))
        return build(Upload, from_json(content))


def forget_uploads(objects: ObjectStore, bucket: str) -> None:
    """Remove every upload to a bucket."""
    uploads = Uploads(objects, bucket)
    with contextlib.suppress(NotFound):
        uploads.forget(bucket)
