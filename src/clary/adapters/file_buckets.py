"""Facts of buckets in small files of their own, which are the locks of the buckets too."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import uuid4

from clary.adapters.file_facts import sync_folder
from clary.kernel.codec import from_json, to_json
from clary.kernel.errors import AlreadyExists, InvalidInput, NotFound
from clary.kernel.resource import Bucket

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


def check_bucket(name: str) -> None:
    """Refuse a name that S3 would refuse."""
    if not _NAME.fullmatch(name) or ".." in name:
        legal = "3 to 63 of a-z, 0-9, '.' and '-', a letter or digit at both ends, no '..'"
        raise InvalidInput("Bucket", f"{name!r} cannot be the name of a bucket", legal=legal)


class FileBuckets:
    """The buckets of a store.

    Parameters
    ----------
    folder
        Where their facts lie.
    scratch
        Where this process may write unfinished files.
    """

    def __init__(self, folder: Path, scratch: Path) -> None:
        self._folder = folder
        self._scratch = scratch
        self._listed: tuple[frozenset[tuple[str, int]], tuple[Bucket, ...]] = (frozenset(), ())

    def create(self, bucket: Bucket) -> None:
        """Record a bucket durably. Raises AlreadyExists."""
        check_bucket(bucket.name)
        path = self._path(bucket.name)
        part = self._scratch / f"{bucket.name}.{uuid4().hex}"
        try:
            with part.open("wb") as out:
                out.write(to_json(bucket))
                out.flush()
                os.fsync(out.fileno())
            os.link(part, path)  # unlike a rename, it fails when the name is taken
        except FileExistsError:
            raise AlreadyExists(f"bucket {bucket.name}") from None
        finally:
            part.unlink(missing_ok=True)
        sync_folder(self._folder)

    def remove(self, name: str) -> None:
        """Forget a bucket; to be called with its lock held."""
        self._path(name).unlink()
        self._listed = (frozenset(), ())
        sync_folder(self._folder)

    def list(self) -> Sequence[Bucket]:
        """Every bucket, by name. A record never changes, so that each is read once."""
        with os.scandir(self._folder) as found:
            files = frozenset((item.name, item.inode()) for item in found)
        known, buckets = self._listed
        if files != known:
            buckets = tuple(sorted(self._read(files), key=lambda bucket: bucket.name))
            self._listed = (files, buckets)
        return buckets

    def check(self, name: str) -> None:
        """Raise NotFound where there is no such bucket."""
        check_bucket(name)
        if not self._path(name).exists():
            raise NotFound(f"bucket {name}")

    @contextlib.contextmanager
    def lock(self, name: str) -> Iterator[None]:
        """Hold a bucket's lock, against threads and other processes. Raises NotFound."""
        check_bucket(name)
        try:
            handle = os.open(self._path(name), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise NotFound(f"bucket {name}") from None
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            if os.fstat(handle).st_nlink == 0:
                raise NotFound(f"bucket {name}")
            yield
        finally:
            os.close(handle)

    def _read(self, files: frozenset[tuple[str, int]]) -> Iterator[Bucket]:
        for name, _ in files:
            with contextlib.suppress(FileNotFoundError):  # deleted meanwhile
                facts = from_json((self._folder / name).read_bytes(), field=name)
                created_at = datetime.fromisoformat(facts.pop("created_at"))
                yield Bucket(**facts, created_at=created_at)

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.json"
