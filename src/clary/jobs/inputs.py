"""Fetching a job's inputs: which objects, under which names, for which host."""

from __future__ import annotations

import errno
import posixpath
import shutil
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from clary.jobs.contract import split_uri
from clary.kernel.codec import from_json, to_json
from clary.kernel.errors import ClaryError, InvalidInput, LimitExceeded, NotFound
from clary.lineage.model import FileEntry, of_object, of_tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from clary.jobs.contract import Source
    from clary.kernel.ports import ObjectStore
    from clary.kernel.resource import ObjectInfo
    from clary.lineage.model import Artifact

_MANIFEST_BYTES = 16 << 20
_SPARE_BYTES = 64 << 20
"""What a download leaves free on the disk."""


@dataclass(frozen=True, slots=True)
class Item:
    """One object of an input, and its path below the input's directory."""

    info: ObjectInfo
    path: str


@dataclass(frozen=True, slots=True)
class Found:
    """What an input consists of; ``artifact`` is its content as lineage names it."""

    source: Source
    items: Sequence[Item]
    artifact: Artifact

    def share(self, host: int, hosts: int) -> Sequence[Item]:
        """Return what one of several hosts gets: everything, or every n-th object."""
        return self.items[host::hosts] if self.source.sharded else self.items


def find(objects: ObjectStore, source: Source) -> Found | None:
    """List an input's objects; None when it is optional and there are none.

    A URI names the object of exactly that key and what lies below it as a folder; if there is
    neither, every key that starts with it.

    Raises
    ------
    ClaryError
        There is nothing, or a key is no path; names the URI.
    """
    bucket, key = split_uri(source.uri, field=source.name)
    try:
        if source.manifest:
            items = _manifest(objects, source.uri, bucket, key)
        else:
            items = _prefix(objects, bucket, key)
    except NotFound as error:
        raise ClaryError(f"{source.uri} cannot be read: {error.message}") from None
    if not items:
        if source.optional:
            return None
        raise ClaryError(f"there is no object at {source.uri}")
    return _found(source, [_known(objects, item) for item in items])


def listed(source: Source, infos: Iterable[ObjectInfo]) -> Found:
    """Say what an input consists of whose objects are known. Raises ClaryError."""
    key = split_uri(source.uri, field=source.name)[1]
    return _found(source, [Item(one, _path(one, relative(key, one.key))) for one in infos])


def _found(source: Source, items: Sequence[Item]) -> Found:
    key = split_uri(source.uri, field=source.name)[1]
    if source.file_name and len(items) == 1:
        items = [Item(items[0].info, source.file_name)]
    if source.gunzip:
        items = [Item(item.info, item.path.removesuffix(".gz")) for item in items]
    return Found(source, _distinct(source, items), _artifact(source, key, items))


def fetch(
    objects: ObjectStore, items: Iterable[Item], source: Source, ml: Path, check: Callable[[], None]
) -> None:
    """Copy objects below ``ml``; ``check`` is called again and again and may raise to give up.

    Raises
    ------
    ClaryError
        An object is gone or damaged, or the disk is full; names the URI.
    """
    (ml / source.path).mkdir(parents=True, exist_ok=True)  # also where no object falls to this host
    places = {}
    for item in items:
        uri = places[item.path] = f"s3://{item.info.bucket}/{item.info.key}"
        try:
            _copy(objects, item, source, ml / source.path / item.path, check)
        except NotFound:
            raise ClaryError(f"{uri} is gone") from None
        except OSError as error:
            raise ClaryError(f"{uri} cannot be stored: {_words(error)}") from None
        except (EOFError, zlib.error):
            raise ClaryError(f"{uri} is no whole gzip file") from None
    if source.listing:
        (ml / source.listing).write_bytes(to_json(places))


def require_space(found: Iterable[Found], hosts: int, ml: Path) -> None:
    """Refuse a download that the disk cannot hold. Raises LimitExceeded."""
    need = sum(
        item.info.size_bytes * (1 if one.source.sharded else hosts)
        for one in found
        for item in one.items
    )
    free = shutil.disk_usage(ml).free - _SPARE_BYTES
    if need > free:
        raise LimitExceeded(f"the inputs take {need} bytes, the disk has {max(free, 0)} to spare")


def relative(prefix: str, key: str) -> str:
    """Say what ``key`` is called below the directory that ``prefix`` is fetched into.

    Examples
    --------
    >>> (
    ...     relative("data/train", "data/train/2024/a.csv"),
    ...     relative("data/train.csv", "data/train.csv"),
    ... )
    ('2024/a.csv', 'train.csv')
    >>> relative("data/tr", "data/train/a.csv")
    'train/a.csv'
    """
    if key != prefix and key.startswith(prefix.rstrip("/") + "/"):
        return key[len(prefix.rstrip("/")) + 1 :]
    return key[prefix.rfind("/") + 1 :]


def _prefix(objects: ObjectStore, bucket: str, key: str) -> list[Item]:
    folder = f"{key.rstrip('/')}/" if key else ""
    below = list(_listed(objects, bucket, folder))
    infos = [*_exact(objects, bucket, key), *(info for info in below if info.key != key)]
    if not infos and key:
        infos = list(_listed(objects, bucket, key))
    return [
        Item(info, _path(info, relative(key, info.key)))
        for info in infos
        if not info.key.endswith("/")
    ]


def _known(objects: ObjectStore, item: Item) -> Item:
    """See to it that the digest is recorded, which a listing does not compute."""
    info = item.info
    return item if info.sha256 else Item(objects.stat(info.bucket, info.key), item.path)


def _exact(objects: ObjectStore, bucket: str, key: str) -> list[ObjectInfo]:
    if not key or key.endswith("/"):
        return []
    try:
        return [objects.stat(bucket, key)]
    except NotFound:
        return []


def _listed(objects: ObjectStore, bucket: str, prefix: str) -> Iterator[ObjectInfo]:
    after = ""
    while True:
        page = objects.list(bucket, prefix=prefix, after=after, limit=1000)
        yield from page.objects
        after = page.next_after
        if not after:
            return


def _manifest(objects: ObjectStore, uri: str, bucket: str, key: str) -> list[Item]:
    info = objects.stat(bucket, key)
    if info.size_bytes > _MANIFEST_BYTES:
        raise LimitExceeded(f"{uri} is {info.size_bytes} bytes, at most {_MANIFEST_BYTES}")
    prefix, names = _entries(uri, from_json(b"".join(objects.read(bucket, key)), field=uri))
    home, stem = split_uri(prefix, field=uri)
    return [
        Item(found := objects.stat(home, stem + name), _path(found, name)) for name in sorted(names)
    ]


def _entries(uri: str, document: Any) -> tuple[str, list[str]]:
    whole = isinstance(document, list) and document and isinstance(document[0], dict)
    prefix = document[0].get("prefix") if whole else None
    names = document[1:] if whole else []
    if not isinstance(prefix, str) or not all(isinstance(name, str) for name in names):
        raise InvalidInput(uri, "is no manifest", legal='[{"prefix": "s3://…"}, "name", …]')
    return prefix, names


def _path(info: ObjectInfo, name: str) -> str:
    parts = [part for part in name.split("/") if part]
    if not parts or ".." in parts or "." in parts or "\0" in name:
        uri = f"s3://{info.bucket}/{info.key}"
        raise ClaryError(f"the key of {uri} is no path below a directory")
    return "/".join(parts)


def _distinct(source: Source, items: Sequence[Item]) -> Sequence[Item]:
    files = {item.path for item in items}
    folders = {folder for item in items for folder in _folders(item.path)}
    clash = sorted(files & folders)
    if clash or len(files) != len(items):
        name = clash[0] if clash else "a name"
        raise ClaryError(f"{source.uri} has {name} twice, as a file and once more")
    return items


def _folders(path: str) -> Iterator[str]:
    while path := posixpath.dirname(path):
        yield path


def _artifact(source: Source, key: str, items: Sequence[Item]) -> Artifact:
    if len(items) == 1 and items[0].info.key == key:
        return of_object(items[0].info)
    return of_tree(
        source.uri,
        [FileEntry(item.path, item.info.sha256, item.info.size_bytes) for item in items],
    )


def _copy(
    objects: ObjectStore, item: Item, source: Source, path: Path, check: Callable[[], None]
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    chunks = objects.read(item.info.bucket, item.info.key)
    with path.open("wb") as file:
        for chunk in _gunzipped(chunks) if source.gunzip else chunks:
            check()
            file.write(chunk)
    check()


def _gunzipped(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Decompress, also several gzip members one after the other."""
    whole = zlib.decompressobj(wbits=31)
    started = False
    for chunk in chunks:
        rest = chunk
        while rest:
            started = True
            yield whole.decompress(rest, 1 << 20)
            rest = whole.unconsumed_tail
            if whole.eof:
                rest, whole, started = whole.unused_data, zlib.decompressobj(wbits=31), False
    if started:
        yield whole.flush()
        if not whole.eof:
            raise EOFError


def _words(error: OSError) -> str:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return "the disk is full"
    return str(error.strerror or error)
