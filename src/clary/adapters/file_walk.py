"""Going through a bucket's folders in the order of keys."""

from __future__ import annotations

import contextlib
import os
from bisect import bisect_left
from typing import TYPE_CHECKING, NamedTuple

from clary.adapters.file_names import Names, is_cut, segment_of
from clary.adapters.file_tree import ABSENT, FOLDER, FileTree, open_file
from clary.kernel.clock import now

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_MOST_HELD = 32
_REST_S = 0.1
_FEWEST_KEPT = 2_000
_MOST_KEPT = 200_000
_FOLDERS_KEPT = 4


class Entry(NamedTuple):
    """A key, or (``is_folder``) the prefix of some, and the names that lead there."""

    key: str
    is_folder: bool
    names: Names

    @property
    def is_escaped(self) -> bool:
        """Say whether its last name is not its segment as it is."""
        return self.names[-1].startswith("%")


class Listings:
    """What is in folders, by key; large ones that do not change are read once for many pages.

    A folder's own time tells whether a name in it came or went. As clocks tick, a change may show
    no new time shortly after another; so a folder is kept only if it was at rest when it was read.
    """

    def __init__(self) -> None:
        self._kept: dict[tuple[int, Names], tuple[int, Sequence[Entry]]] = {}

    def read(self, handle: int, folder: Entry) -> Sequence[Entry]:
        """List an opened folder."""
        status = os.fstat(handle)
        place = (status.st_ino, folder.names)
        changed_ns, entries = self._kept.get(place, (-1, ()))
        if changed_ns == status.st_mtime_ns:
            return entries
        rested_s = now().timestamp() - status.st_mtime_ns / 1e9
        found: dict[str, Entry] = {}
        for entry in _scan(handle, folder, ()):
            # an object that is being moved may be seen under both its names
            if not (entry.key in found and entry.is_escaped):
                found[entry.key] = entry
        entries = [found[key] for key in sorted(found)]
        if rested_s > _REST_S and _FEWEST_KEPT <= len(entries) <= _MOST_KEPT and _is_flat(handle):
            self._kept[place] = (status.st_mtime_ns, entries)
            for oldest in list(self._kept)[:-_FOLDERS_KEPT]:
                self._kept.pop(oldest, None)
        return entries


class Descent:
    """Opens folders and files of a tree; cheap for those near the one before.

    It holds the last folder and some of those above it, so that going through a tree opens each
    folder about once however deep it lies.
    """

    def __init__(self, tree: FileTree, listings: Listings) -> None:
        self._tree = tree
        self._listings = listings
        self._held: list[tuple[Names, int]] = []

    def open(self, entry: Entry) -> int | None:
        """Open an object's file for reading; None when it is gone."""
        try:
            folder = self._folder(entry.names[:-1])
        except ABSENT:
            return None
        return open_file(folder, entry.names[-1:])

    def inside(self, folder: Entry) -> Sequence[Entry]:
        """List what is in a folder by key; what is no object or folder is left out."""
        try:
            handle = self._folder(folder.names)
        except ABSENT:
            return ()
        return self._listings.read(handle, folder)

    def close(self) -> None:
        """Let go of the folders."""
        while self._held:
            os.close(self._held.pop()[1])

    def _folder(self, names: Names) -> int:
        while self._held and names[: len(self._held[-1][0])] != self._held[-1][0]:
            os.close(self._held.pop()[1])
        if not self._held:
            self._held.append(((), self._tree.open_folder(())))
        above, folder = self._held[-1]
        for depth in range(len(above) + 1, len(names) + 1):
            folder = os.open(names[depth - 1], FOLDER, dir_fd=folder)
            self._held.append((names[:depth], folder))
            if len(self._held) > _MOST_HELD:
                os.close(self._held.pop(0)[1])
        return folder


class Walk:
    """Objects in the byte order of their keys; reads only the folders that it must.

    Parameters
    ----------
    prefix, after
        Only keys that begin with ``prefix`` and are above ``after``.
    """

    def __init__(self, descent: Descent, prefix: str = "", after: str = "") -> None:
        self._descent = descent
        self._prefix = prefix
        self._after = after
        self._skipped = ""
        self._stack = [Entry("", is_folder=True, names=())]

    def skip(self, prefix: str) -> None:
        """Leave out all further keys that begin with ``prefix``."""
        self._skipped = prefix

    def __iter__(self) -> Iterator[Entry]:
        """Yield the objects."""
        lowest = max(self._prefix, self._after)
        while self._stack:
            entry = self._stack.pop()
            if entry.key > self._prefix and not entry.key.startswith(self._prefix):
                return
            if not self._wanted(entry):
                continue
            if not entry.is_folder:
                yield entry
                continue
            inside = self._descent.inside(entry)
            # the one before may be the folder that the lowest key lies in
            first = max(0, bisect_left(inside, lowest, key=_key) - 1)
            self._stack.extend(reversed(inside[first:]))

    def _wanted(self, entry: Entry) -> bool:
        key = entry.key
        if self._skipped and key.startswith(self._skipped):
            return False
        if not entry.is_folder:
            return key > self._after and key.startswith(self._prefix)
        return (key > self._after or self._after.startswith(key)) and (
            key.startswith(self._prefix) or self._prefix.startswith(key)
        )


def _key(entry: Entry) -> str:
    return entry.key


def _scan(handle: int, folder: Entry, cut: Names) -> Iterator[Entry]:
    with os.scandir(handle) as found:
        entries = [
            (item.name, item.is_dir(follow_symlinks=False))
            for item in found
            if not item.is_symlink()
            and (item.is_dir(follow_symlinks=False) or item.is_file(follow_symlinks=False))
        ]
    for name, is_folder in entries:
        names = (*cut, name)
        if is_folder and is_cut(name):
            with contextlib.suppress(*ABSENT):
                inner = os.open(name, FOLDER, dir_fd=handle)
                try:
                    yield from _scan(inner, folder, names)
                finally:
                    os.close(inner)
            continue
        segment = segment_of(names, folder=is_folder) if _is_text(name) else None
        if segment is not None:
            key = folder.key + segment + ("/" if is_folder else "")
            yield Entry(key, is_folder, folder.names + names)


def _is_flat(handle: int) -> bool:
    """Say whether a folder's own time tells all; the rests of long segments change below it."""
    with os.scandir(handle) as found:
        return not any(is_cut(item.name) for item in found)


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
