"""One bucket's folders, reached name by name so that no symbolic link is ever followed."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from typing import TYPE_CHECKING, NamedTuple

from clary.adapters.file_names import (
    Names,
    check_key,
    folder_names,
    is_cut,
    object_names,
    segment_of,
)
from clary.kernel.errors import Conflict

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # a FIFO must not block
_ABSENT = (FileNotFoundError, NotADirectoryError, PermissionError)  # unreadable: no object of ours
_FOREIGN = (errno.ELOOP, errno.ENXIO)  # a symbolic link, a socket


class Place(NamedTuple):
    """A key's folder, and the names its object may have in there: as it is, and escaped."""

    folders: tuple[str, ...]
    plain: Names | None
    escaped: Names


class Entry(NamedTuple):
    """A key, or (``is_folder``) the prefix of some, and the names that lead there."""

    key: str
    is_folder: bool
    names: Names

    @property
    def is_escaped(self) -> bool:
        """Say whether its last name is not its segment as it is."""
        return self.names[-1].startswith("%")


def place_of(key: str) -> Place:
    """Say where an object lies. Raises InvalidInput for what is no key."""
    check_key(key)
    *folders, last = key.split("/")
    return Place(tuple(folders), *object_names(last))


class FileTree:
    """One bucket's folder and what is below.

    Parameters
    ----------
    root
        The folder of all buckets; it may be a symbolic link, nothing below it may.
    bucket
        The name of the bucket's folder; made with its first object.
    """

    def __init__(self, root: Path, bucket: str) -> None:
        self._root = root
        self._bucket = bucket

    def open_folder(self, names: Names) -> int:
        """Open a folder below. Raises FileNotFoundError or NotADirectoryError."""
        return _descend(self._open_root(), (self._bucket, *names))

    def open_object(self, place: Place) -> int | None:
        """Open an object's file for reading; None when there is none."""
        try:
            folder = self.open_folder(_folder_path(place))
        except _ABSENT:
            return None
        try:
            return open_in(folder, place)
        finally:
            os.close(folder)

    def make_folder(self, place: Place) -> int:
        """Open the folder of an object, made durably where it is not there."""
        folder = _make(self._open_root(), self._bucket)
        for segment in place.folders:
            for name in folder_names(segment):
                folder = _make(folder, name)
        return folder

    def remove_object(self, place: Place) -> None:
        """Remove an object's file, durably, and the folders that are empty then."""
        names = _folder_path(place)
        try:
            folder = self.open_folder(names)
        except (FileNotFoundError, NotADirectoryError):
            return
        try:
            remove_in(folder, place.escaped)
            if place.plain:
                _unlink(folder, place.plain[0])
            os.fsync(folder)
        finally:
            _prune(folder, names)

    def remove_folders(self) -> bool:
        """Remove the bucket's folder with the folders in it, unless there are files."""
        top = self._root / self._bucket
        if top.is_symlink():
            return False
        try:
            for path, _, _ in os.walk(top, topdown=False):
                os.rmdir(path)  # noqa: PTH106 the path is a str
        except OSError as error:
            if error.errno != errno.ENOTEMPTY:
                raise
            return False
        return True

    def walk(self, prefix: str = "", after: str = "") -> Walk:
        """Go through the objects whose keys begin with ``prefix`` and are above ``after``."""
        return Walk(self, prefix, after)

    def scan(self, folder: Entry) -> Iterator[Entry]:
        """Name what is in a folder, in no order; what is no object or folder is left out."""
        try:
            handle = self.open_folder(folder.names)
        except _ABSENT:
            return
        try:
            yield from _scan(handle, folder, ())
        finally:
            os.close(handle)

    def _open_root(self) -> int:
        return os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


class Walk:
    """An iterator over objects in the byte order of their keys, that reads only what it must."""

    def __init__(self, tree: FileTree, prefix: str, after: str) -> None:
        self._tree = tree
        self._prefix = prefix
        self._after = after
        self._skipped = ""
        self._stack = [Entry("", is_folder=True, names=())]

    def skip(self, prefix: str) -> None:
        """Leave out all further keys that begin with ``prefix``."""
        self._skipped = prefix

    def __iter__(self) -> Iterator[Entry]:
        """Yield the objects."""
        while self._stack:
            entry = self._stack.pop()
            if not self._wanted(entry):
                continue
            if not entry.is_folder:
                yield entry
                continue
            inside = {}
            for child in self._tree.scan(entry):
                # an object that is being moved may be seen under both its names
                if self._wanted(child) and not (child.key in inside and child.is_escaped):
                    inside[child.key] = child
            self._stack.extend(inside[key] for key in sorted(inside, reverse=True))

    def _wanted(self, entry: Entry) -> bool:
        key = entry.key
        if self._skipped and key.startswith(self._skipped):
            return False
        if not entry.is_folder:
            return key > self._after and key.startswith(self._prefix)
        return (key > self._after or self._after.startswith(key)) and (
            key.startswith(self._prefix) or self._prefix.startswith(key)
        )


class EntryReader:
    """Opens the files of entries; fast for entries of one folder in a row."""

    def __init__(self, tree: FileTree) -> None:
        self._tree = tree
        self._names: Names = ()
        self._folder = -1

    def open(self, entry: Entry) -> int | None:
        """Open a file for reading; None when it is gone."""
        *names, name = entry.names
        if self._folder < 0 or self._names != tuple(names):
            self.close()
            try:
                self._folder = self._tree.open_folder(tuple(names))
            except _ABSENT:
                return None
            self._names = tuple(names)
        return _open_file(self._folder, (name,))

    def close(self) -> None:
        """Let go of the last folder."""
        if self._folder >= 0:
            os.close(self._folder)
            self._folder = -1


def open_in(folder: int, place: Place) -> int | None:
    """Open the object's file below its opened folder; None when there is none."""
    if place.plain is None:
        return _open_file(folder, place.escaped)
    for names in (place.plain, place.escaped, place.plain):  # it may move while we look
        file = _open_file(folder, names)
        if file is not None:
            return file
    return None


def remove_in(folder: int, names: Names) -> None:
    """Remove a file below an opened folder, if it is there."""
    if len(names) == 1:
        _unlink(folder, names[0])
        return
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        inner = _descend(os.dup(folder), names[:-1])
        _unlink(inner, names[-1])
        os.fsync(inner)
        _prune(inner, names[:-1])


def rename_into(path: str, folder: int, place: Place) -> None:
    """Give a finished file its name, in place of what has it; durable once ``folder`` is synced."""
    if place.plain:
        with contextlib.suppress(IsADirectoryError):
            os.replace(path, place.plain[0], dst_dir_fd=folder)
            remove_in(folder, place.escaped)
            return
    _rename(path, None, folder, place.escaped)


def _rename(source: str, source_folder: int | None, folder: int, names: Names) -> None:
    inner = os.dup(folder)
    try:
        for name in names[:-1]:
            inner = _make(inner, name)
        os.replace(source, names[-1], src_dir_fd=source_folder, dst_dir_fd=inner)
        if len(names) > 1:
            os.fsync(inner)
    finally:
        os.close(inner)


def _folder_path(place: Place) -> Names:
    return tuple(name for segment in place.folders for name in folder_names(segment))


def _descend(folder: int, names: Names) -> int:
    """Open names below an opened folder, which is closed in any case."""
    for name in names:
        try:
            inner = os.open(name, _FOLDER, dir_fd=folder)
        finally:
            os.close(folder)
        folder = inner
    return folder


def _make(folder: int, name: str) -> int:
    """Open or make a folder; ``folder`` is closed in any case. An object in the way moves aside."""
    try:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            return os.open(name, _FOLDER, dir_fd=folder)
        try:
            os.mkdir(name, 0o755, dir_fd=folder)
        except FileExistsError:
            plain, escaped = object_names(name)
            if plain is None:
                raise Conflict(f"a file {name!r} is in the way of a folder of the store") from None
            _rename(name, folder, folder, escaped)
            os.mkdir(name, 0o755, dir_fd=folder)
        os.fsync(folder)
        return os.open(name, _FOLDER, dir_fd=folder)
    finally:
        os.close(folder)


def _prune(folder: int, names: Names) -> None:
    """Close a folder, and remove it and those above it as far as they are empty."""
    try:
        for name in reversed(names):
            above = os.open("..", _FOLDER, dir_fd=folder)
            os.close(folder)
            folder = above
            os.rmdir(name, dir_fd=folder)
    except OSError:
        return  # not empty, or gone
    finally:
        os.close(folder)


def _open_file(folder: int, names: Names) -> int | None:
    try:
        if len(names) == 1:
            file = os.open(names[0], _FILE, dir_fd=folder)
        else:
            inner = _descend(os.dup(folder), names[:-1])
            try:
                file = os.open(names[-1], _FILE, dir_fd=inner)
            finally:
                os.close(inner)
    except _ABSENT:
        return None
    except OSError as error:
        if error.errno in _FOREIGN:
            return None
        raise
    if stat.S_ISREG(os.fstat(file).st_mode):
        return file
    os.close(file)
    return None


def _unlink(folder: int, name: str) -> None:
    with contextlib.suppress(FileNotFoundError, IsADirectoryError):
        os.unlink(name, dir_fd=folder)


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
            with contextlib.suppress(*_ABSENT):
                inner = os.open(name, _FOLDER, dir_fd=handle)
                try:
                    yield from _scan(inner, folder, names)
                finally:
                    os.close(inner)
            continue
        segment = segment_of(names, folder=is_folder) if _is_text(name) else None
        if segment is not None:
            key = folder.key + segment + ("/" if is_folder else "")
            yield Entry(key, is_folder, folder.names + names)


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
