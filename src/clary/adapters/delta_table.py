"""One Delta table: which files are a version of it, and commits of files."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

from clary.adapters.delta_files import columns, library, sync
from clary.kernel.clock import now_us
from clary.kernel.codec import to_json
from clary.kernel.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from clary.features.model import Schema

_LOG = "clary-log"
"""The application whose version, in the table, is the last segment of the log that it holds."""
_SETTINGS = {"delta.checkpointInterval": "20", "delta.logRetentionDuration": "interval 7 days"}


class DeltaTable:
    """The table in a folder, opened when it is used and kept open.

    Reading may happen in any thread. Changing (``fit``, ``commit``) is for one thread of all
    processes at a time, which has asked for ``newest`` before: refreshing costs milliseconds.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        self._opened: Any = None

    def version(self) -> int | None:
        """Give the newest version; None when there is no table."""
        table = self._refreshed()
        return None if table is None else int(table.version())

    def newest(self) -> tuple[int, Sequence[str], int]:
        """Give the newest version, its files, and the last segment of the log it holds."""
        with self._lock:
            table = self._refresh()
            if table is None:
                return 0, (), 0
            version, files = int(table.version()), table.file_uris()
            return version, files, int(table.transaction_version(_LOG) or 0)

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
        table = self._opened
        deltalake, wanted = library("deltalake"), columns(schema)
        if table is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            deltalake.DeltaTable.create(self.folder, wanted, mode="ignore", configuration=_SETTINGS)
            self._sync(0)
            self._refreshed()
            return
        there = {field.name for field in table.schema().fields}
        added = [
            field for field in deltalake.Schema.from_arrow(wanted).fields if field.name not in there
        ]
        if added:
            table.alter.add_columns(added)
            self._sync(int(self._refreshed().version()))

    def commit(
        self,
        schema: Schema,
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
        deltalake, actions = library("deltalake"), library("deltalake.transaction")
        at_ms = now_us() // 1000
        is_new = not removed
        changes = [
            actions.AddAction(
                path=name,
                size=(self.folder / name).stat().st_size,
                partition_values={},
                modification_time=at_ms,
                data_change=is_new,
                stats=to_json({"numRecords": rows}).decode(),
            )
            for name, rows in added.items()
        ]
        changes += [
            actions.RemoveAction(
                path=os.path.basename(path),  # noqa: PTH119 the path is a text
                data_change=False,
                deletion_timestamp=at_ms,
            )
            for path in removed
        ]
        done = [] if segment is None else [deltalake.Transaction(_LOG, segment)]
        table = self._opened
        version = int(table.version()) + 1
        table.create_write_transaction(
            changes,
            mode="append",
            schema=columns(schema),
            commit_properties=deltalake.CommitProperties(app_transactions=done),
            post_commithook_properties=deltalake.PostCommitHookProperties(
                create_checkpoint=True, cleanup_expired_logs=True
            ),
        )
        if self._commit(version + 1).exists():  # somebody else has changed the table meanwhile
            version = int(self._refreshed().version())
        self._sync(version)
        return version

    def unused(self, history_s: float) -> Sequence[str]:
        """Name the files that no version needs which is younger than that."""
        hours = int(history_s // 3600)
        names = self._refreshed().vacuum(
            retention_hours=hours, dry_run=True, enforce_retention_duration=False, full=True
        )
        return [str(self.folder / name) for name in names]

    def _commit(self, version: int) -> Path:
        return self.folder / "_delta_log" / f"{version:020}.json"

    def _sync(self, version: int) -> None:
        """Make a version durable, and what stands for all versions up to it."""
        commit = self._commit(version)
        sync(commit)
        checkpoint = commit.with_suffix(".checkpoint.parquet")
        if checkpoint.exists():
            sync(checkpoint)
            sync(commit.with_name("_last_checkpoint"))

    def _refreshed(self) -> Any:
        with self._lock:
            return self._refresh()

    def _refresh(self) -> Any:
        if not (self.folder / "_delta_log").is_dir():
            self._opened = None
        elif self._opened is None:
            if library("deltalake").DeltaTable.is_deltatable(str(self.folder)):
                self._opened = library("deltalake").DeltaTable(str(self.folder))
        else:
            self._opened.update_incremental()
        return self._opened
