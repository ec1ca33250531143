"""The captured requests that an execution looked at, as rows with their requests' names."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from clary.analysis.captured_rows import rows_of
from clary.analysis.captures import Faults, Window, captures
from clary.analysis.spool import Spool
from clary.jobs.contract import join_uri, split_uri
from clary.kernel.errors import NotFound
from clary.monitoring import inputs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pyarrow as pa

    from clary.kernel.ports import ObjectStore
    from clary.monitoring.model import Execution

_MOST_BYTES = 128 << 20
_AT, _EVENT, _INFERENCE = "\0at", "\0event", "\0inference"
"""Columns of requests; no column of data can be called so."""
_NAMES = (_AT, _EVENT, _INFERENCE)


@dataclass(frozen=True, slots=True, eq=False)
class Captured:
    """What was read of the captures of a window.

    Parameters
    ----------
    table
        Their rows, as texts.
    objects, gone, left_out
        How many objects they are in, how many of these are gone, and how many were not read
        because all together are too large.
    faults
        Lines that could not be read.
    """

    table: pa.Table
    objects: int = 0
    gone: int = 0
    left_out: int = 0
    faults: Faults = field(default_factory=Faults)

    @property
    def columns(self) -> list[str]:
        """The names of the data's columns."""
        return [name for name in self.table.column_names if name not in _NAMES]

    def requests(self, places: Sequence[int]) -> Sequence[Mapping[str, str]]:
        """Say of some rows which requests they are of: ``at``, ``event_id``, ``inference_id``."""
        found = self.table.select(_NAMES).take(list(places)).to_pylist()
        names = zip(_NAMES, ("at", "event_id", "inference_id"), strict=True)
        pairs = list(names)
        return [{word: one[name] or "" for name, word in pairs} for one in found]


@contextmanager
def captured(objects: ObjectStore, value: Execution) -> Iterator[Captured]:
    """Read what an execution's manifests name, at most 128 MiB; gone when the block ends.

    Raises
    ------
    NotFound
        The manifests are gone.
    InvalidInput, LimitExceeded
        They are damaged, or too large.
    """
    listed = list(objects_of(objects, value))
    window, faults = Window(value.start, value.end), Faults()
    with TemporaryDirectory(prefix="explained-") as folder:
        source, rows = Path(folder, "captures"), Path(folder, "rows")
        source.mkdir()
        rows.mkdir()
        gone, left_out = _fetch(objects, listed, source)
        spool = Spool(str(rows))
        spool.add(
            {**row, **asked}
            for line in captures(source, faults, window=window)
            if (asked := _named(line.capture.event_metadata))
            for row in rows_of(line, faults)
        )
        yield Captured(spool.rows(), len(listed), gone, left_out, faults)


def _named(event: Any) -> dict[str, str]:
    return {_AT: event.inference_time, _EVENT: event.event_id, _INFERENCE: event.inference_id}


def objects_of(objects: ObjectStore, value: Execution) -> Iterator[str]:
    """Yield the URIs of what an execution looked at. Raises NotFound, InvalidInput."""
    bucket, prefix = split_uri(join_uri(value.output, "inputs", "data-"), field="output")
    manifests = objects.list(bucket, prefix=prefix).objects
    if not manifests:
        raise NotFound(f"what {value.schedule} looked at")
    for one in manifests:
        yield from inputs.named_by(objects, one)


def _fetch(objects: ObjectStore, uris: Sequence[str], folder: Path) -> tuple[int, int]:
    """Copy objects into a folder; returns how many are gone and how many were left out."""
    gone, room = 0, _MOST_BYTES
    for number, uri in enumerate(uris):
        bucket, key = split_uri(uri, field="manifest")
        try:
            room -= objects.stat(bucket, key).size_bytes
            if room < 0:
                return gone, len(uris) - number
            with Path(folder, f"{number:06}.jsonl").open("wb") as file:
                file.writelines(objects.read(bucket, key))
        except NotFound:
            gone += 1
    return gone, 0
