"""The log of one Delta table: followed and written file by file, at a cost that does not grow.

A version is a file of actions, one JSON object a line, named by its number; whoever makes the file
has made the version. delta-rs lists the whole folder at each look and each commit, which costs
milliseconds when there are a thousand; so it is asked only when the table is opened, and for what
stands for many versions (checkpoints).
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import msgspec

from clary.adapters.delta_files import library
from clary.adapters.file_facts import sync_folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

_LONGEST_LOOK_S = 3600.0
"""Who has not looked for so long opens the table anew: files of old versions are cleaned up."""


class DeltaLog:
    """The versions of the table in a folder; for one thread at a time.

    Parameters
    ----------
    folder
        The table's.
    application
        Whose transactions are followed.
    """

    def __init__(self, folder: Path, application: str) -> None:
        self._folder = folder
        self._path = folder / "_delta_log"
        self._application = application
        self._identity: tuple[int, int] | None = None
        self._looked_at = 0.0
        self._files: dict[str, None] = {}
        self.version = -1
        self.done = 0
        """The application's newest transaction."""
        self.columns: frozenset[str] = frozenset()

    @property
    def files(self) -> list[str]:
        """The paths of the version's files."""
        return list(self._files)

    def follow(self) -> bool:
        """Take in the versions since the last look; say whether there is a table."""
        try:
            status = self._path.stat()
        except (FileNotFoundError, NotADirectoryError):
            self._identity = None
            return False
        identity = (status.st_dev, status.st_ino)
        is_late = time.monotonic() - self._looked_at > _LONGEST_LOOK_S
        if (identity != self._identity or is_late) and not self._open(identity):
            return False
        self._looked_at = time.monotonic()
        while self._take_in(self.version + 1):
            self.version += 1
        return True

    def commit(self, actions: Iterable[Mapping[str, Any]]) -> bool:
        """Make the next version of actions, durably; False when another has made it."""
        path = self.path(self.version + 1)
        part = self._path / ".next"  # one writes at a time, who may find what a dead one left
        encode = msgspec.json.Encoder().encode
        try:
            with part.open("wb") as out:
                out.writelines(encode(one) + b"\n" for one in actions)
                out.flush()
                os.fsync(out.fileno())
            os.link(part, path)
        except FileExistsError:
            return False
        finally:
            part.unlink(missing_ok=True)
        sync_folder(self._path)
        self.follow()
        return True

    def path(self, version: int) -> Path:
        """Name the file of a version."""
        return self._path / f"{version:020}.json"

    def _open(self, identity: tuple[int, int]) -> bool:
        tables = library("deltalake").DeltaTable
        if not tables.is_deltatable(str(self._folder)):
            return False
        table = tables(str(self._folder))
        self.version = int(table.version())
        self._files = dict.fromkeys(table.file_uris())
        self.done = int(table.transaction_version(self._application) or 0)
        self.columns = frozenset(field.name for field in table.schema().fields)
        self._identity = identity
        return True

    def _take_in(self, version: int) -> bool:
        """Apply the actions of a version; False when there is none."""
        try:
            lines = self.path(version).read_bytes().splitlines()
        except FileNotFoundError:
            return False
        for line in lines:
            for kind, action in msgspec.json.decode(line).items():
                self._apply(kind, action)
        return True

    def _apply(self, kind: str, action: Mapping[str, Any]) -> None:
        match kind:
            case "add":
                self._files[self._file(action)] = None
            case "remove":
                self._files.pop(self._file(action), None)
            case "txn" if action["appId"] == self._application:
                self.done = int(action["version"])
            case "metaData":
                fields = msgspec.json.decode(action["schemaString"])["fields"]
                self.columns = frozenset(field["name"] for field in fields)

    def _file(self, action: Mapping[str, Any]) -> str:
        return str(self._folder / unquote(action["path"]))
