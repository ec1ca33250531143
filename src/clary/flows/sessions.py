"""Connections of DuckDB that flows run on: bounded, spilling, with no way to anything else."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import duckdb

from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from duckdb import DuckDBPyConnection

MEMORY = "1GiB"
SETTINGS = (
    "SET TimeZone = 'UTC'; SET python_enable_replacements = false; "
    "SET disabled_optimizers = 'top_n_window_elimination'"
)
"""What every engine of flows is set to. DuckDB 2.0 takes another column for ``rowid`` where it
replaces a window of the first rows by an aggregate: it fails, or gives other rows."""
_THREADS = 2


@contextmanager
def session(*, memory: str = MEMORY) -> Iterator[tuple[DuckDBPyConnection, Path]]:
    """Open a connection, and a folder that goes with it.

    Parameters
    ----------
    memory
        What DuckDB may hold, such as ``4GiB``; what is more goes to the folder.
    """
    with TemporaryDirectory(prefix="clary-flow-") as folder:
        options: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": memory,
            "threads": _THREADS,
            "temp_directory": f"{folder}/spilled",
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
        with duckdb.connect(f"{folder}/flow.duckdb", config=options) as connection:
            connection.execute(SETTINGS)
            yield connection, Path(folder)


def allow(connection: DuckDBPyConnection, files: Sequence[Path]) -> None:
    """Let files be read for as long as the connection lasts, also once it is locked."""
    listed = ", ".join(map(_text, [*_allowed(connection), *files]))
    connection.execute(f"SET allowed_paths = [{listed}]")


def stamps(connection: DuckDBPyConnection, folder: Path) -> list[tuple[str, int, int, int]]:
    """Tell the files that are read for as long as it lasts, outside of its folder, from others.

    Raises
    ------
    InvalidInput
        One is gone.
    """
    found = []
    for path in map(Path, _allowed(connection)):
        if not path.is_relative_to(folder):
            try:
                status = path.stat()
            except OSError as error:
                raise InvalidInput("sources", f"{path} is gone: {error.strerror}") from None
            found.append((str(path), status.st_ino, status.st_size, status.st_mtime_ns))
    return found


def lock(connection: DuckDBPyConnection, *places: Path) -> None:
    """Close the way to files, for good: after sources are loaded, before the flow's own SQL.

    Parameters
    ----------
    places
        Folders that stay open: those of destinations.
    """
    listed = ", ".join(map(_text, places))
    connection.execute(f"SET allowed_directories = [{listed}]")
    connection.execute("SET enable_external_access = false; SET lock_configuration = true")


def _allowed(connection: DuckDBPyConnection) -> list[str]:
    [(found,)] = connection.execute("SELECT current_setting('allowed_paths')").fetchall()
    return list(found)


def _text(place: object) -> str:
    return "'" + str(place).replace("'", "''") + "'"
