"""What a home offers to flows: its objects, and the rows of its feature groups."""

from __future__ import annotations

from dataclasses import dataclass
from tempfile import mkdtemp
from typing import TYPE_CHECKING

from clary.jobs.contract import Source, split_uri
from clary.jobs.inputs import fetch, find, require_space
from clary.kernel.errors import ClaryError, InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    import pyarrow as pa

    from clary.jobs.inputs import Item
    from clary.kernel.ports import ObjectStore

_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Stored:
    """The objects and feature groups of a home.

    Parameters
    ----------
    objects
        What is at ``s3://…``.
    group
        Gives the features of all entities of a group, as they are now, by the group's name.
    ingest
        Writes the rows of a Parquet file to a group, all or, where one is wrong, none; the group
        keeps the files that say what the rows come from.
    """

    objects: ObjectStore
    group: Callable[[str], pa.Table]
    ingest: Callable[[str, Path, Mapping[str, bytes]], object]

    def fetch(self, uri: str, folder: Path) -> Path:
        """Copy the object of a key, or what is below it, into a new folder; gives where it is.

        Raises
        ------
        InvalidInput
            There is nothing, or the disk cannot hold it.
        """
        place = mkdtemp(prefix="objects-", dir=folder)
        source = Source("uri", uri, place.rpartition("/")[2])
        key = split_uri(uri, field="uri")[1]
        try:
            items = self._items(source, key, folder)
            fetch(self.objects, items, source, folder, lambda: None)
        except ClaryError as error:
            hint = "give its rows by the name of the source"
            raise InvalidInput("uri", error.message, hint=hint) from None
        is_one = [one.info.key for one in items] == [key]
        return folder / source.path / items[0].path if is_one else folder / source.path

    def _items(self, source: Source, key: str, folder: Path) -> Sequence[Item]:
        """List the object of a key and what is below it, but none of a key that begins so."""
        below = f"{key.rstrip('/')}/" if key else ""
        found = find(self.objects, source)
        items = [] if found is None else found.items
        if found is None or not all(f"{x.info.key}/".startswith(below) for x in items):
            raise ClaryError(f"there is no object at {source.uri}, nor below it")
        require_space([found], 1, folder)
        return items

    def put(self, file: Path, uri: str) -> None:
        """Write a file as an object, whole or not at all. Raises NotFound: there is no bucket."""
        bucket, key = split_uri(uri, field="uri")
        self.objects.put(bucket, key, _chunks(file))


def _chunks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as reading:
        while chunk := reading.read(_CHUNK):
            yield chunk
