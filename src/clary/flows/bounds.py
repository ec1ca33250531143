"""Where a flow that comes from elsewhere may read and write."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Self

from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterable

    Place = str | os.PathLike[str]

GROUP = "feature-group:"
"""Begins the name of a feature group among places."""
_TABLES = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")
"""Not ``.json``: settings of programs, and flows themselves, are called so."""


class Bounds:
    """Places that the nodes of a flow may read and write, whatever its parameters are.

    Below folders nothing is reached whose name begins with a dot, nor through a symbolic link
    anything that lies elsewhere.

    Parameters
    ----------
    places
        Folders, ``s3://…`` of buckets or of what is below a key, ``feature-group:NAME``.
    """

    def __init__(self, places: Iterable[Place]) -> None:
        texts = [os.fspath(one) for one in places]
        named = {one for one in texts if "://" in one or one.startswith(GROUP)}
        self._names = tuple(sorted(named))
        folders = (Path(one).resolve() for one in texts if one not in named)
        self._folders = tuple(dict.fromkeys(folders))

    @classmethod
    def of(cls, file: Place, more: Iterable[Place] = ()) -> Self:
        """Allow the folder of a flow's file and the current one, unless it is the root; and more.

        Raises
        ------
        InvalidInput
            A place is empty.
        """
        own = (Path(file).resolve().parent, Path.cwd())
        added = list(more)
        if any(os.fspath(one) == "" for one in added):
            raise InvalidInput("allow", "''", legal=f"a folder, s3://…, {GROUP}NAME")
        return cls([*(one for one in own if one != Path(one.anchor)), *added])

    def file(self, path: Place) -> Path:
        """Give the file or folder of a path, as it is written.

        Raises
        ------
        InvalidInput
            It lies elsewhere, or a link in the folder leads there.
        """
        found = resolved(path)
        if not self._holds(found):
            raise self._refused(str(path))
        for one in found.rglob("*"):
            if one.is_symlink() and not self._holds(resolved(one)):
                raise self._refused(f"{path}, by {one.relative_to(found)},")
        return Path(path)

    def output(self, path: Place, *, is_folder: bool) -> Path:
        """Give the place that a path leads to, for rows to be written there, without links.

        Raises
        ------
        InvalidInput
            It lies elsewhere, is one of the folders itself, or is called like no table: nothing
            but tables may be replaced.
        """
        found = resolved(path)
        if found in self._folders:
            raise InvalidInput("path", f"{path} is a whole folder that the flow may write to")
        self.file(path)
        stem = found.name.lower().removesuffix(".gz").removesuffix(".zst")
        if not is_folder and not stem.endswith(_TABLES):
            problem = f"{path} is called like no table, which a loaded flow alone may write"
            raise InvalidInput("path", problem, legal=", ".join(_TABLES))
        return found

    def name(self, name: str) -> None:
        """See to it that an ``s3://…`` or a feature group is allowed. Raises InvalidInput."""
        is_plain = {".", ".."}.isdisjoint(name.split("/"))
        if not is_plain or not any(_is_named(name, one) for one in self._names):
            raise self._refused(name)

    def _holds(self, path: Path) -> bool:
        return any(_is_below(path, folder) for folder in self._folders)

    def _refused(self, place: str) -> InvalidInput:
        problem = f"{place} lies where a flow that was loaded from a file may not read or write"
        legal = ", ".join([*map(str, self._folders), *self._names])
        hint = "give rows by the name of the source or its file, as --source NAME=PATH does; or "
        hint += "allow more: --allow, allow=[…]"
        return InvalidInput("path", problem, legal=legal, hint=hint)


def resolved(path: Place) -> Path:
    """Give where a path leads to. Raises InvalidInput: it is none."""
    try:
        return Path(path).resolve()
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links, a NUL, a long name
        raise InvalidInput("path", f"{os.fspath(path)!r} is none: {error}") from None


def _is_below(path: Path, folder: Path) -> bool:
    if not path.is_relative_to(folder):
        return False
    return not any(one.startswith(".") for one in path.relative_to(folder).parts)


def _is_named(name: str, allowed: str) -> bool:
    if allowed.startswith(GROUP):
        return name == allowed
    return name == allowed or name.startswith(f"{allowed.rstrip('/')}/")
