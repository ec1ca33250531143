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
    object_names,
)
from clary.kernel.errors import Conflict

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # a FIFO must not block
ABSENT = (FileNotFoundError, NotADirectoryError, PermissionError)  # unreadable: no object of ours
_FOREIGN = (errno.ELOOP, errno.ENXIO)  # a symbolic link, a socket


class Place(NamedTuple):
    """A key's folder, and the names its object may have in there: as it is, and escaped."""

    folders: tuple[str, ...]
    plain: Names | None
    escaped: Names


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
        except ABSENT:
            return None
        try:
            return open_in(folder, place)
        finally:
            os.close(folder)

    def make_folder(self, place: Place) -> int:
        """Open the folder of an object, made where it is not there.

        It is durable when it has been synced: a journaling file system writes the folders above,
        made before, no later.
        """
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

    def _open_root(self) -> int:
        return os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def open_in(folder: int, place: Place) -> int | None:
    """Open the object's file below its opened folder; None when there is none."""
    if place.plain is None:
        return open_file(folder, place.escaped)
    for names in (place.plain, place.escaped, place.plain):  # it may move while we look
        file = open_file(folder, names)
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
            inner = os.open(name, FOLDER, dir_fd=folder)
        finally:
            os.close(folder)
        folder = inner
    return folder


def _make(folder: int, name: str) -> int:
    """Open or make a folder; ``folder`` is closed in any case. An object in the way moves aside."""
    try:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            return os.open(name, FOLDER, dir_fd=folder)
        try:
            os.mkdir(name, 0o755, dir_fd=folder)
        except FileExistsError:
            plain, escaped = object_names(name)
            if plain is None:
                raise Conflict(f"a file {name!r} is in the way of a folder of the store") from None
            _rename(name, folder, folder, escaped)
            os.mkdir(name, 0o755, dir_fd=folder)
        return os.open(name, FOLDER, dir_fd=folder)
    finally:
        os.close(folder)


def _prune(folder: int, names: Names) -> None:
    """Close a folder, and remove it and those above it as far as they are empty."""
    try:
        for name in reversed(names):
            above = os.open("..", FOLDER, dir_fd=folder)
            os.close(folder)
            folder = above
            os.rmdir(name, dir_fd=folder)
    except OSError:
        return  # not empty, or gone
    finally:
        os.close(folder)


def open_file(folder: int, names: Names) -> int | None:
    """Open a regular file below an opened folder for reading; None when there is none."""
    try:
        if len(names) == 1:
            file = os.open(names[0], _FILE, dir_fd=folder)
        else:
            inner = _descend(os.dup(folder), names[:-1])
            try:
                file = os.open(names[-1], _FILE, dir_fd=inner)
            finally:
                os.close(inner)
    except ABSENT:
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
