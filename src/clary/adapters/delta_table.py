"""One Delta table: which files are a version of it, and commits of files."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

from clary.adapters.delta_files import columns, library, sync
from clary.adapters.delta_log import DeltaLog
from clary.kernel.clock import now_us
from clary.kernel.codec import to_json
from clary.kernel.errors import Conflict, NotFound

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from clary.features.model import Schema
    from clary.kernel.ports import JsonObject

_LOG = "clary-log"
"""The application whose version, in the table, is the last segment of the log that it holds."""
_CHECKPOINT = 20
"""So many versions are summed up in one file."""
_SETTINGS = {
    "delta.checkpointInterval": str(_CHECKPOINT),
    "delta.logRetentionDuration": "interval 7 days",
}


class DeltaTable:
    """The table in a folder, opened when it is used and followed from then on.

    Reading may happen in any thread. Changing (``fit``, ``commit``) is for one thread of all
    processes at a time, which has asked for ``newest`` before.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        self._log = DeltaLog(folder, _LOG)

    def version(self) -> int | None:
        """Give the newest version; None when there is no table."""
        with self._lock:
            return self._log.version if self._log.follow() else None

    def newest(self) -> tuple[int, Sequence[str], int]:
        """Give the newest version, its files, and the last segment of the log it holds."""
        with self._lock:
            if not self._log.follow():
                return 0, (), 0
            return self._log.version, self._log.files, self._log.done

    def files(self, version: int) -> Sequence[str]:
        """Name the files of a version. Raises NotFound when it or a file of it is gone."""
        newest, files, _ = self.newest()
        if version == newest:
            return files
        missing = NotFound(f"version {version} of the table in {self.folder.name}")
        if not 0 <= version < newest:
            raise missing
        exceptions = library("deltalake.exceptions")
        try:
            found = library("deltalake").DeltaTable(str(self.folder), version=version).file_uris()
        except exceptions.DeltaError:
            raise missing from None
        if not all(os.path.exists(one) for one in found):  # noqa: PTH110 the paths are texts
            raise missing
        return list(found)

    def sizes(self) -> Mapping[str, int]:
        """Give the sizes in bytes of the newest version's files, by path."""
        return {one: os.stat(one).st_size for one in self.newest()[1]}  # noqa: PTH116 texts

    def fit(self, schema: Schema) -> None:
        """Make the table, or add the features that it lacks."""
        deltalake, wanted = library("deltalake"), columns(schema)
        if self.version() is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            deltalake.DeltaTable.create(self.folder, wanted, mode="ignore", configuration=_SETTINGS)
            self._sync(0)
            return
        fields = deltalake.Schema.from_arrow(wanted).fields
        added = [field for field in fields if field.name not in self._log.columns]
        if added:
            self._table().alter.add_columns(added)
            self._sync(self.newest()[0])

    def commit(
        self,
        added: Mapping[str, int],
        removed: Sequence[str] = (),
        *,
        segment: int | None = None,
    ) -> int:
        """Change which files are the table, as one version, durably; give its number.

        Parameters
        ----------
        added
            How many rows there are, by the name of a file in the table's folder.
        removed
            Paths of files.
        segment
            The last segment of the log that the table holds then; None: as before.
        """
        changes = [*self._changes(added, removed, segment)]
        with self._lock:
            self._log.follow()
            while not self._log.commit(changes):  # somebody else has changed the table meanwhile
                self._log.follow()
                if not set(removed) <= set(self._log.files):
                    raise Conflict(
                        f"the table in {self.folder.name} was changed by another program",
                        hint="try again",
                    )
            version = self._log.version
        if version % _CHECKPOINT == 0:
            self._sum_up(version)
        return version

    def _changes(
        self, added: Mapping[str, int], removed: Sequence[str], segment: int | None
    ) -> Iterator[JsonObject]:
        """Write the actions of a version."""
        at_ms = now_us() // 1000
        kind = "OPTIMIZE" if removed else "WRITE"
        yield {"commitInfo": {"timestamp": at_ms, "operation": kind, "engineInfo": "clary"}}
        if segment is not None:
            yield {"txn": {"appId": _LOG, "version": segment, "lastUpdated": at_ms}}
        for path in removed:
            name = os.path.basename(path)  # noqa: PTH119 the path is a text
            yield {"remove": {"path": name, "deletionTimestamp": at_ms, "dataChange": False}}
        for name, rows in added.items():
            yield {
                "add": {
                    "path": name,
                    "partitionValues": {},
                    "size": (self.folder / name).stat().st_size,
                    "modificationTime": at_ms,
                    "dataChange": not removed,
                    "stats": to_json({"numRecords": rows}).decode(),
                }
            }

    def _sum_up(self, version: int) -> None:
        """Write one file that stands for all versions so far, and remove those that are old."""
        table = self._table()
        table.create_checkpoint()
        table.cleanup_metadata()
        self._sync(version)

    def unused(self, history_s: float) -> Sequence[str]:
        """Name the files that no version needs which is younger than that."""
        hours = int(history_s // 3600)
        names = self._table().vacuum(
            retention_hours=hours, dry_run=True, enforce_retention_duration=False, full=True
        )
        return [str(self.folder / name) for name in names]

    def _sync(self, version: int) -> None:
        """Make a version durable, and what stands for all versions up to it."""
        commit = self._log.path(version)
        sync(commit)
        checkpoint = commit.with_suffix(".checkpoint.parquet")
        if checkpoint.exists():
            sync(checkpoint)
            sync(commit.with_name("_last_checkpoint"))

    def _table(self) -> Any:
        return library("deltalake").DeltaTable(str(self.folder))
