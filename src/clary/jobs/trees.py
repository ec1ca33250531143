"""Looking into a job's directories, which the job may have filled with traps.

Nothing here follows a link out of the directory, opens a device, or waits for a pipe. A symbolic
link stands for the regular file it names if that lies in the same tree; any other is refused.
"""

from __future__ import annotations

import errno
import io
import os
import posixpath
import stat
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CHUNK = 1 << 20
MOST_FILES = 1_000_000


@dataclass(frozen=True, slots=True, order=True)
class File:
    """A regular file of a tree.

    ``path`` is what it is called, relative to the tree; ``real`` where its bytes are, which
    differs for a symbolic link.
    """

    path: str
    real: str
    size_bytes: int
    modified_ns: int
    executable: bool


class Sent:
    """What a ``Tree`` is, of files that were sent whole.

    Parameters
    ----------
    files
        By path below ``/opt/ml``.
    path
        The directory, as a ``Tree`` has it.
    """

    def __init__(self, files: Mapping[str, bytes], path: str) -> None:
        self.ml = Path(path)
        self._below = f"{path}/" if path else ""
        self._files = files

    def files(self) -> list[File]:
        """List every file, sorted by path."""
        below = (name for name in self._files if name.startswith(self._below))
        paths = sorted(name[len(self._below) :] for name in below)
        return [
            File(path, path, len(self._files[self._below + path]), 0, executable=False)
            for path in paths
        ]

    @contextmanager
    def open(self, file: File) -> Iterator[IO[bytes]]:
        """Open a listed file for reading."""
        yield io.BytesIO(self._files[self._below + file.real])

    def chunks(self, file: File) -> Iterator[bytes]:
        """Yield a file's bytes."""
        yield self._files[self._below + file.real]

    def text(self, path: str, *, most_bytes: int) -> str | None:
        """Read the beginning of a text file; None when there is none of that name."""
        found = self._files.get(self._below + path)
        return None if found is None else found[:most_bytes].decode("utf-8", "replace")


class Tree:
    """A directory below a job's ``/opt/ml``.

    Parameters
    ----------
    ml
        The host directory that is ``/opt/ml`` inside; trusted itself, its content is not.
    path
        The directory below it, relative.
    """

    def __init__(self, ml: Path, path: str) -> None:
        self.ml = ml
        self._parts = tuple(part for part in path.split("/") if part)

    def files(self) -> list[File]:
        """List every file, sorted by path; empty when the directory does not exist.

        Raises
        ------
        InvalidInput
            There is something that is no file of the tree's own; names it.
        """
        found: list[File] = []
        pending = [""]
        while pending:
            folder = pending.pop()
            for name, what in self._entries(folder):
                path = f"{folder}/{name}" if folder else name
                if stat.S_ISDIR(what.st_mode):
                    pending.append(path)
                else:
                    found.append(self._file(path, what))
            if len(found) > MOST_FILES:
                raise InvalidInput(self._shown(folder), f"holds more than {MOST_FILES} files")
        return sorted(found)

    @contextmanager
    def open(self, file: File) -> Iterator[IO[bytes]]:
        """Open a listed file for reading; InvalidInput when it is none any more."""
        folder, _, name = file.real.rpartition("/")
        with self._directory(folder) as parent:
            try:
                handle = os.open(name, _FILE, dir_fd=parent)
            except OSError as error:
                raise self._refusal(file.real, error) from None
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            os.close(handle)
            raise InvalidInput(self._shown(file.real), "is no regular file")
        with os.fdopen(handle, "rb") as stream:
            yield stream

    def chunks(self, file: File) -> Iterator[bytes]:
        """Yield a file's bytes."""
        with self.open(file) as stream:
            while chunk := stream.read(_CHUNK):
                yield chunk

    def text(self, path: str, *, most_bytes: int) -> str | None:
        """Read the beginning of a text file; None when the tree has none of that name.

        Invalid UTF-8 is replaced.
        """
        if ".." in path.split("/") or path.startswith("/"):
            return None
        try:
            with self.open(File(path, path, 0, 0, executable=False)) as stream:
                return stream.read(most_bytes).decode("utf-8", "replace")
        except (FileNotFoundError, InvalidInput):
            return None

    def _entries(self, folder: str) -> list[tuple[str, os.stat_result]]:
        try:
            with self._directory(folder) as handle:
                return [
                    (self._legal(folder, name), os.stat(name, dir_fd=handle, follow_symlinks=False))
                    for name in os.listdir(handle)  # noqa: PTH208 - a handle has no Path
                ]
        except FileNotFoundError:
            if folder:
                raise
            return []

    @contextmanager
    def _directory(self, folder: str) -> Iterator[int]:
        """Open a directory step by step, no step through a link. Raises FileNotFoundError."""
        inner = tuple(folder.split("/")) if folder else ()
        handle = os.open(self.ml, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for part in (*self._parts, *inner):
                try:
                    below = os.open(part, _DIRECTORY, dir_fd=handle)
                except FileNotFoundError:
                    raise
                except OSError as error:
                    raise self._refusal(folder, error) from None
                os.close(handle)
                handle = below
            yield handle
        finally:
            os.close(handle)

    def _file(self, path: str, what: os.stat_result) -> File:
        real = path
        if stat.S_ISLNK(what.st_mode):
            real = self._resolved(path)
            folder, _, name = real.rpartition("/")
            try:
                with self._directory(folder) as handle:
                    what = os.stat(name, dir_fd=handle, follow_symlinks=False)
            except FileNotFoundError as error:
                raise self._refusal(path, error) from None
        if not stat.S_ISREG(what.st_mode):
            raise InvalidInput(self._shown(path), "is no regular file")
        executable = bool(what.st_mode & stat.S_IXUSR)
        return File(path, real, what.st_size, what.st_mtime_ns, executable)

    def _resolved(self, path: str) -> str:
        """Say which path of the tree a symbolic link names, by its text alone."""
        folder, _, name = path.rpartition("/")
        with self._directory(folder) as handle:
            target = os.readlink(name, dir_fd=handle)
        root = posixpath.join("/opt/ml", *self._parts)
        absolute = posixpath.normpath(posixpath.join(root, folder, target))
        if not absolute.startswith(root + "/"):
            raise InvalidInput(
                self._shown(path), f"is a link to {target!r}, out of the directory it lies in"
            )
        return absolute.removeprefix(root + "/")

    def _legal(self, folder: str, name: str) -> str:
        try:
            name.encode()
        except UnicodeEncodeError:
            shown = self._shown(folder)
            raise InvalidInput(shown, f"holds the name {name!r}, which is not UTF-8") from None
        return name

    def _shown(self, path: str) -> str:
        return posixpath.join("/opt/ml", *self._parts, path).rstrip("/")

    def _refusal(self, path: str, error: OSError) -> InvalidInput:
        links = {errno.ELOOP, errno.ENOTDIR}
        problem = "is a link" if error.errno in links else str(error.strerror).lower()
        return InvalidInput(self._shown(path), f"cannot be read: {problem}")
