"""Rows of files that were read a moment ago, for as long as the files stay as they are."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence
    from pathlib import Path

    import pyarrow as pa

Loaded = tuple["pa.Table", int]
"""Rows, and how many lines were skipped."""
MOST_BYTES = 64 << 20


class Kept:
    """A few tables, the last used of them.

    Parameters
    ----------
    most_bytes
        What all of them may take.
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most = most_bytes
        self._tables: dict[Hashable, Loaded] = {}
        self._lock = Lock()

    def get(self, key: Hashable) -> Loaded | None:
        """Give what is kept, which is then the last used; None where nothing is."""
        with self._lock:
            found = self._tables.pop(key, None)
            if found is not None:
                self._tables[key] = found
            return found

    def put(self, key: Hashable, loaded: Loaded) -> None:
        """Keep rows, in place of those that were not used for longest; too many are not kept."""
        with self._lock:
            self._tables.pop(key, None)
            room = self._most - loaded[0].nbytes
            while self._tables and sum(one.nbytes for one, _ in self._tables.values()) > room:
                del self._tables[next(iter(self._tables))]
            if room >= 0:
                self._tables[key] = loaded


def stamps(files: Sequence[Path]) -> tuple[tuple[str | int, ...], ...]:
    """Tell files, as they are now, from what else was or will be there."""
    return tuple(_stamp(one) for one in files)


def _stamp(file: Path) -> tuple[str | int, ...]:
    status = file.stat()
    times = (status.st_mtime_ns, status.st_ctime_ns)
    return (str(file.absolute()), status.st_dev, status.st_ino, status.st_size, *times)
