"""Offline records in Delta tables, behind a durable log of what is not yet part of them.

A table lies in a folder of its own among the plain files of the buckets, so that S3 shows it. Each
commit says up to which segment of the log it holds the records: a segment that outlived its commit
is not committed again. A record's ``row`` is its segment's number and its place in there.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import shutil
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from clary.adapters.delta_files import Frame, holding, of_entities, rewrite, write
from clary.adapters.delta_table import DeltaTable
from clary.adapters.file_facts import sync_folder
from clary.adapters.file_names import folder_names
from clary.adapters.record_log import RecordLog, locked
from clary.features.model import Backlog, Record, Schema, Snapshot
from clary.kernel.codec import build, from_json, to_json
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from clary.adapters.delta_files import Numbered

HISTORY_S = 7 * 86_400.0
_RECORDS_A_FRAME = 2_000
_MANY = 20_000
"""So many records together are committed at once: a log would only write them twice."""
_PLACES = 32
"""Bits of a row number that say where in its segment it is."""
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Frame).decode


class DeltaRecords:
    """Implements ``OfflineStore``; any number of threads and processes may use it at once.

    Parameters
    ----------
    root
        What tables lie below; a table is named by its path in there: ``bucket/prefix``.
    logs
        Where the logs lie, and what is held; on the same machine.
    history_s
        How long the files of old versions stay.
    is_synced
        Whether a record is on the disk when it is acknowledged; else a power failure may cost those
        of the last half minute, a killed process none.
    """

    def __init__(
        self, root: Path, logs: Path, *, history_s: float = HISTORY_S, is_synced: bool = True
    ) -> None:
        self._root = root
        self._logs = logs
        self._history_s = history_s
        self._is_synced = is_synced
        self._lock = threading.Lock()
        self._tables: dict[str, _Table] = {}

    def append(self, table: str, schema: Schema, records: Sequence[Record]) -> None:
        """Keep records, durable when this returns; they become part of the table by ``flush``."""
        found = self._table(table)
        if len(records) >= _MANY:
            with found.alone():
                found.load(schema, records)
            return
        frames = [
            _packed(records[start : start + _RECORDS_A_FRAME])
            for start in range(0, len(records), _RECORDS_A_FRAME)
        ]
        if frames:
            found.keep(schema)
            found.log.append(frames)

    def flush(self, table: str) -> int:
        """Commit what was appended as one version; give the newest version, 0 of no table."""
        found = self._table(table)
        if not found.log.numbers():
            return found.delta.version() or 0
        with found.alone():
            return found.flush()

    def snapshot(self, table: str) -> Snapshot:
        """Give the newest version with what is not yet part of it, as of one moment."""
        return self._table(table).snapshot()

    def files(self, table: str, version: int | None = None) -> Sequence[str]:
        """Name the Parquet files of a version, the newest unless it is said; flushed rows only."""
        found = self._table(table)
        if version is None:
            return found.delta.newest()[1]
        held = found.held().get(version)
        if held is not None:
            return held
        return found.delta.files(version) if version or found.delta.version() else ()

    def hold(self, table: str, name: str, version: int | None) -> None:
        """Keep the files of a version until the same name holds another, or (None) none."""
        found = self._table(table)
        with found.alone():
            found.hold(
                name, version if version is None else _Held(version, self.files(table, version))
            )

    def compact(self, table: str, *, is_whole: bool = True, before_us: int | None = None) -> int:
        """Rewrite files sorted by (entity, event, write), and remove what no version needs."""
        found = self._table(table)
        if not found.exists():
            return 0
        with found.alone():
            found.flush()
            version = found.compact(is_whole=is_whole, before_us=before_us)
            found.clean(self._history_s)
            return version

    def erase(self, table: str, keys: Sequence[str]) -> int:
        """Remove every row of entities, from old versions' files too; give the new version."""
        found = self._table(table)
        if not found.exists():
            return 0
        with found.alone():
            found.flush()
            return found.erase(keys)

    def drop(self, table: str) -> None:
        """Remove a table, its log and what is held of it."""
        found = self._table(table)
        with found.alone():
            shutil.rmtree(found.delta.folder, ignore_errors=True)
            found.log.drop()
        with self._lock:
            self._tables.pop(table, None)

    def backlogs(self) -> Iterator[Backlog]:
        """Say of every table what waits to become part of it, and how many files it has."""
        for path in self._logs.glob("*/table"):
            table = self._table(path.read_text())
            size, oldest = table.log.waiting()
            yield Backlog(table.name, size, oldest, len(table.delta.newest()[1]))

    def _table(self, name: str) -> _Table:
        found = self._tables.get(name)
        if found is not None:
            return found
        _check(name)
        folder = self._logs / hashlib.sha256(name.encode()).hexdigest()[:32]
        with self._lock:
            table = _Table(name, self._root / name, folder, is_synced=self._is_synced)
            return self._tables.setdefault(name, table)


class _Held(msgspec.Struct, frozen=True):
    """A version whose files stay."""

    version: int
    files: Sequence[str]


class _Table:
    """One table: its log and what is committed."""

    def __init__(self, name: str, place: Path, own: Path, *, is_synced: bool) -> None:
        self.name = name
        self.log = RecordLog(own, is_synced=is_synced)
        self.delta = DeltaTable(place)
        self._own = own
        self._kept: set[int] = set()

    def alone(self) -> contextlib.AbstractContextManager[None]:
        """Change what is committed alone."""
        return locked(self._own / "change")

    def exists(self) -> bool:
        """Say whether anything was ever appended."""
        return (self._own / "table").exists()

    def keep(self, schema: Schema) -> None:
        """Remember a schema durably, so that records written with it can be understood."""
        if schema.version in self._kept:
            return
        for path, data in (
            (self._own / f"schema-{schema.version:06}.json", to_json(schema)),
            (self._own / "table", self.name.encode()),  # last: a table that exists has a schema
        ):
            if not path.exists():
                _put(path, data)
        self._kept.add(schema.version)

    def schema(self) -> Schema:
        """Give the newest schema; the older ones are the beginnings of it."""
        newest = max(self._own.glob("schema-*.json"))
        return build(Schema, from_json(newest.read_bytes()))

    def flush(self) -> int:
        return self._commit(self.log.seal())

    def load(self, schema: Schema, records: Sequence[Record]) -> None:
        """Commit records as a segment that is never written, after those there are."""
        frame = _framed(records)
        self.keep(schema)
        number = self.log.reserve()
        self._commit([one for one in self.log.numbers() if one < number])
        self.delta.newest()
        self._write(number, [(number << _PLACES, frame)])
        self.log.remove([number])

    def _commit(self, sealed: Sequence[int]) -> int:
        version, _, done = self.delta.newest()
        fresh = [number for number in sealed if number > done]
        if fresh:
            frames = (frame for number in fresh for frame in _frames(self.log, number))
            version = self._write(fresh[-1], frames)
        self.log.remove(sealed)
        return version

    def _write(self, segment: int, frames: Iterable[Numbered]) -> int:
        schema, name = self.schema(), f"log-{segment:010}.parquet"
        self.delta.fit(schema)
        count = write(self.delta.folder / name, schema, frames)
        return self.delta.commit({name: count}, segment=segment)

    def snapshot(self) -> Snapshot:
        while True:
            with contextlib.suppress(FileNotFoundError):  # flushed while we look: look again
                frames = [
                    frame for number in self.log.numbers() for frame in _frames(self.log, number)
                ]
                version, files, done = self.delta.newest()
                fresh = [frame for frame in frames if frame[0] >= (done + 1) << _PLACES]
                return Snapshot(version, files, [row for one in fresh for row in _rows(*one)])

    def compact(self, *, is_whole: bool, before_us: int | None) -> int:
        version, files, _ = self.delta.newest()
        chosen = files if is_whole else _small(self.delta.sizes())
        if not chosen or (len(chosen) == 1 and _is_sorted(chosen[0]) and before_us is None):
            return version
        schema, name = self.schema(), f"sorted-{version + 1:010}.parquet"
        where = "" if before_us is None else f"event_us >= {before_us}"
        path = self.delta.folder / name
        count = rewrite(chosen, path, schema, self._own / "scratch", where=where, is_sorted=True)
        return self.delta.commit({name: count} if count else {}, chosen)

    def clean(self, history_s: float) -> None:
        if self.delta.version() is None:
            return
        held = {path for files in self.held().values() for path in files}
        for path in self.delta.unused(history_s):
            if path not in held:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path)  # noqa: PTH108 the path is a text

    def erase(self, keys: Sequence[str]) -> int:
        version, files, _ = self.delta.newest()
        schema = self.schema()
        condition = of_entities(schema, keys)
        if not condition or not self.delta.folder.is_dir():
            return version
        for left in self.delta.folder.glob("_erasing-*"):
            left.unlink()
        touched = holding(files, condition)
        added: dict[str, int] = {}
        for at, path in enumerate(touched):
            kind = "sorted" if _is_sorted(path) else "log"
            name = f"{kind}-{version + 1:010}-{at:04}.parquet"
            count = self._without(condition, path, self.delta.folder / name)
            added |= {name: count} if count else {}
        if touched:
            version = self.delta.commit(added, touched)
        current = set(self.delta.newest()[1])
        old = [
            str(path) for path in self.delta.folder.glob("*.parquet") if str(path) not in current
        ]
        for path in holding(old, condition):
            part = self.delta.folder / f"_erasing-{secrets.token_hex(8)}"
            self._without(condition, path, part)
            part.replace(path)
        sync_folder(self.delta.folder)
        return version

    def hold(self, name: str, held: _Held | None) -> None:
        path = self._own / "held" / f"{hashlib.sha256(name.encode()).hexdigest()}.json"
        if held is None:
            path.unlink(missing_ok=True)
        else:
            _put(path, to_json(held))

    def held(self) -> dict[int, Sequence[str]]:
        found = [
            build(_Held, from_json(path.read_bytes()))
            for path in (self._own / "held").glob("*.json")
        ]
        return {one.version: one.files for one in found}

    def _without(self, condition: str, source: str, path: Path) -> int:
        where = f"({condition}) IS NOT TRUE"
        return rewrite([source], path, self.schema(), self._own / "scratch", where=where)


def _check(name: str) -> None:
    parts = name.split("/")
    if any(folder_names(part) != (part,) for part in parts) or parts[0].startswith("."):
        raise InvalidInput("table", f"{name!r} is no place of a table", legal="bucket/prefix")


def _put(path: Path, content: bytes) -> None:
    """Write a small file whole and durably, or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    with part.open("xb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())
    part.replace(path)
    sync_folder(path.parent)


def _framed(records: Sequence[Record]) -> Frame:
    """Turn records into columns; values that some lack are None."""
    values = [one.values for one in records]
    width = max(map(len, values))
    if min(map(len, values)) < width:
        values = [row + (None,) * (width - len(row)) for row in values]
    return Frame(
        [one.key for one in records],
        [one.event_us for one in records],
        [one.write_us for one in records],
        [[row[at] for row in values] for at in range(width)],
        [one.schema for one in records],
        [one.is_deleted for one in records],
        [one.expires_us for one in records],
    )


def _packed(records: Sequence[Record]) -> bytes:
    try:
        return _encode(_framed(records))
    except (OverflowError, UnicodeEncodeError) as error:
        raise InvalidInput("Record", f"a record cannot be kept: {error}") from None


def _frames(log: RecordLog, number: int) -> Iterator[Numbered]:
    row = number << _PLACES
    for packed in log.read(number):
        frame = _decode(packed)
        yield row, frame
        row += len(frame.keys)


def _rows(first: int, frame: Frame) -> Iterator[tuple[int, Record]]:
    values = zip(*frame.cells, strict=True) if frame.cells else [()] * len(frame.keys)
    records = zip(
        frame.keys,
        frame.events_us,
        frame.writes_us,
        values,
        frame.schemas,
        frame.deleted,
        frame.expire_us,
        strict=True,
    )
    return ((row, Record(*fields)) for row, fields in enumerate(records, first))


def _small(sizes: Mapping[str, int]) -> Sequence[str]:
    """Choose the files worth merging: the smallest, none larger than all smaller ones together."""
    chosen: list[str] = []
    total = 0
    for path, size in sorted(sizes.items(), key=lambda one: one[1]):
        if len(chosen) > 1 and size > total:
            break
        chosen.append(path)
        total += size
    return chosen


def _is_sorted(path: str) -> bool:
    return os.path.basename(path).startswith("sorted-")  # noqa: PTH119 the path is a text
