"""Objects as plain files: ``<root>/<bucket>/<key>``.

A file that a person drops into a bucket's folder is an object of it. What S3 knows beyond the bytes
lies in an extended attribute of the file (``file_facts``); odd keys get odd names (``file_names``);
everything else is below ``<root>/.clary``.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import mimetypes
import os
import weakref
from datetime import UTC, datetime
from typing import TYPE_CHECKING, BinaryIO

from msgspec.structs import replace

from clary.adapters.file_buckets import FileBuckets
from clary.adapters.file_facts import Facts, facts_store, read_facts
from clary.adapters.file_scratch import FileScratch
from clary.adapters.file_tree import FileTree, open_in, place_of, rename_into
from clary.adapters.file_walk import Descent, Entry, Listings, Walk
from clary.kernel.errors import Conflict, LimitExceeded, NotFound
from clary.kernel.resource import ObjectInfo, ObjectPage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from clary.adapters.file_facts import FactsStore
    from clary.adapters.file_tree import Place
    from clary.kernel.resource import Bucket

_CHUNK_BYTES = 1 << 20
_BUFFER_BYTES = 1 << 16  # gathers small chunks; large ones go around it
_FULL = (errno.ENOSPC, errno.EDQUOT)


class FileObjects:
    """The object store on one file system; any number of processes may use it at once.

    Parameters
    ----------
    root
        The folder of the buckets; made when it is not there.
    facts
        Makes the store of what is recorded about files.
    """

    def __init__(self, root: Path, *, facts: Callable[[Path], FactsStore] = facts_store) -> None:
        own = root / ".clary"
        for name in ("buckets", "facts"):
            (own / name).mkdir(parents=True, exist_ok=True)
        self._root = root
        self._scratch = FileScratch(own / "scratch")
        self._buckets = FileBuckets(own / "buckets", self._scratch.path)
        self._facts = facts(own / "facts")
        self._listings = Listings()

    def put(  # noqa: PLR0913 the port's signature
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
        """Write an object, visible whole and durable when this returns, or not at all."""
        place = place_of(key)
        self._buckets.check(bucket)
        path = self._scratch.name()
        try:
            with open(path, "xb", buffering=_BUFFER_BYTES) as out:  # noqa: PTH123 the path is a str
                sha256 = _write(chunks, out)
                status = os.fstat(out.fileno())
                facts = Facts(
                    size=status.st_size,
                    mtime_ns=status.st_mtime_ns,
                    sha256=sha256,
                    etag=f"{sha256[:32]}-{parts}",
                    headers=dict(headers or {}),
                    metadata=dict(metadata or {}),
                )
                self._facts.write(out.fileno(), facts)
                os.fsync(out.fileno())
            self._publish(path, bucket, key, expected, place)
        except OSError as error:
            if error.errno in _FULL:
                raise LimitExceeded(f"no space is left to store {_name(bucket, key)}") from error
            raise
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)  # noqa: PTH108 the path is a str
        return _info(bucket, key, facts)

    def read(
        self,
        bucket: str,
        key: str,
        *,
        start: int = 0,
        end: int | None = None,
        expected: str | None = None,
    ) -> Iterator[bytes]:
        """Yield bytes ``[start, end)`` in chunks; the object as it was at this call."""
        file = self._open(bucket, key)
        content = Reading(file, start, end)
        if expected is not None:
            _check_version(_name(bucket, key), self._facts_of(file, key).etag, expected)
        return content

    def stat(self, bucket: str, key: str) -> ObjectInfo:
        """Describe an object. Raises NotFound (of the key or of the bucket)."""
        file = self._open(bucket, key)
        try:
            facts = self._facts_of(file, key)
            return _info(bucket, key, facts if facts.sha256 else self._digested(file, facts))
        finally:
            os.close(file)

    def list(
        self,
        bucket: str,
        *,
        prefix: str = "",
        delimiter: str = "",
        after: str = "",
        limit: int = 1000,
    ) -> ObjectPage:
        """List keys above ``after`` in UTF-8 byte order."""
        self._buckets.check(bucket)
        objects: list[ObjectInfo] = []
        prefixes: list[str] = []
        last = ""
        with contextlib.closing(Descent(self._tree(bucket), self._listings)) as descent:
            for entry in _rolled_up(Walk(descent, prefix, after), prefix, delimiter, after):
                info = None if entry.is_folder else self._listed(descent, bucket, entry)
                if info is None and not entry.is_folder:
                    continue  # deleted meanwhile
                if len(objects) + len(prefixes) >= limit:
                    return ObjectPage(objects, prefixes, next_after=last)
                last = entry.key
                if info is None:
                    prefixes.append(entry.key)
                else:
                    objects.append(info)
        return ObjectPage(objects, prefixes)

    def delete(self, bucket: str, key: str) -> None:
        """Remove an object; removing an absent one is no error."""
        place = place_of(key)
        tree = self._tree(bucket)
        with self._buckets.lock(bucket):
            file = tree.open_object(place)
            if file is None:
                return
            try:
                tree.remove_object(place)
                self._facts.forget(os.fstat(file))
            finally:
                os.close(file)

    def create_bucket(self, bucket: Bucket) -> None:
        """Make a bucket. Raises AlreadyExists."""
        self._buckets.create(bucket)

    def delete_bucket(self, name: str) -> None:
        """Remove an empty bucket. Raises NotFound, Conflict when it holds objects."""
        tree = self._tree(name)
        with self._buckets.lock(name):
            with contextlib.closing(Descent(tree, self._listings)) as descent:
                is_empty = not any(True for _ in Walk(descent))
            if not is_empty:
                raise Conflict(f"bucket {name} is not empty")
            if not tree.remove_folders():
                raise Conflict(f"the folder of bucket {name} holds files that are no objects")
            self._buckets.remove(name)

    def buckets(self) -> Sequence[Bucket]:
        """Every bucket, by name."""
        return self._buckets.list()

    def _tree(self, bucket: str) -> FileTree:
        return FileTree(self._root, bucket)

    def _open(self, bucket: str, key: str) -> int:
        place = place_of(key)
        self._buckets.check(bucket)
        file = self._tree(bucket).open_object(place)
        if file is None:
            raise NotFound(f"object {_name(bucket, key)}")
        return file

    def _listed(self, descent: Descent, bucket: str, entry: Entry) -> ObjectInfo | None:
        file = descent.open(entry)
        if file is None:
            return None
        try:
            return _info(bucket, entry.key, self._facts_of(file, entry.key))
        finally:
            os.close(file)

    def _publish(
        self, path: str, bucket: str, key: str, expected: str | None, place: Place
    ) -> None:
        tree = self._tree(bucket)
        with contextlib.ExitStack() as handles:
            with self._buckets.lock(bucket):
                if expected is not None:
                    self._check_before(tree, place, _name(bucket, key), expected)
                folder = tree.make_folder(place)
                handles.callback(os.close, folder)
                old = open_in(folder, place)
                if old is not None:
                    handles.callback(os.close, old)
                rename_into(path, folder, place)
            os.fsync(folder)
            if old is not None:
                self._facts.forget(os.fstat(old))

    def _check_before(self, tree: FileTree, place: Place, name: str, expected: str) -> None:
        file = tree.open_object(place)
        try:
            etag = "" if file is None else self._facts_of(file, name).etag
        finally:
            if file is not None:
                os.close(file)
        _check_version(name, etag, expected)

    def _facts_of(self, file: int, key: str) -> Facts:
        """Return what is recorded, else what shows without reading the file."""
        status = os.fstat(file)
        facts = read_facts(self._facts, file, status)
        if facts is not None:
            return facts
        version = hashlib.sha256(b"%d %d" % (status.st_size, status.st_mtime_ns)).hexdigest()
        kind = mimetypes.guess_type(key)[0]
        return Facts(
            size=status.st_size,
            mtime_ns=status.st_mtime_ns,
            sha256="",
            etag=f"{version[:32]}-1",
            headers={"content-type": kind} if kind else {},
        )

    def _digested(self, file: int, facts: Facts) -> Facts:
        """Compute a digest, and keep it if the file allows that and was not changed."""
        digest = hashlib.sha256()
        for chunk in Reading(os.dup(file), 0, facts.size):
            digest.update(chunk)
        known = replace(facts, sha256=digest.hexdigest())
        if os.fstat(file).st_mtime_ns == facts.mtime_ns:
            with contextlib.suppress(OSError):  # a file of another owner: computed again next time
                self._facts.write(file, known)
        return known


class Reading:
    """The bytes ``[start, end)`` of an open file, in chunks; closes the file at the end."""

    def __init__(self, file: int, start: int, end: int | None) -> None:
        self._file = file
        self._close = weakref.finalize(self, os.close, file)
        self._at = start
        self._end = os.fstat(file).st_size if end is None else end

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        size = min(_CHUNK_BYTES, self._end - self._at)
        chunk = os.pread(self._file, size, self._at) if self._close.alive and size > 0 else b""
        if not chunk:
            self.close()
            raise StopIteration
        self._at += len(chunk)
        return chunk

    def close(self) -> None:
        """Give the file back before its end."""
        self._close()


def _rolled_up(walk: Walk, prefix: str, delimiter: str, after: str) -> Iterator[Entry]:
    """Yield objects, and common prefixes as folders, that are above ``after``."""
    for entry in walk:
        cut = entry.key.find(delimiter, len(prefix)) if delimiter else -1
        if cut < 0:
            yield entry
            continue
        common = entry.key[: cut + len(delimiter)]
        walk.skip(common)
        if common > after:
            yield Entry(common, is_folder=True, names=())


def _check_version(name: str, etag: str, expected: str) -> None:
    if etag != expected:
        present = f"has etag {etag}" if etag else "does not exist"
        wanted = f"etag {expected} was expected" if expected else "none was expected"
        raise Conflict(f"{name} {present}, but {wanted}")


def _write(chunks: Iterable[bytes], out: BinaryIO) -> str:
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)
        out.write(chunk)
    out.flush()
    return digest.hexdigest()


def _info(bucket: str, key: str, facts: Facts) -> ObjectInfo:
    return ObjectInfo(
        bucket=bucket,
        key=key,
        size_bytes=facts.size,
        modified_at=datetime.fromtimestamp(facts.mtime_ns // 1000 / 1e6, UTC),
        sha256=facts.sha256,
        etag=facts.etag,
        headers=facts.headers,
        metadata=facts.metadata,
    )


def _name(bucket: str, key: str) -> str:
    return f"s3://{bucket}/{key}"
