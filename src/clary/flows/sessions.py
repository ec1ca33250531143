"""Connections of DuckDB that flows run on: bounded, spilling, with no way to anything else."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import duckdb

if TYPE_CHECKING:
    from collections.abc import Iterator

    from duckdb import DuckDBPyConnection

MEMORY = "1GiB"
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
            connection.execute("SET TimeZone = 'UTC'; SET python_enable_replacements = false")
            yield connection, Path(folder)


def lock(connection: DuckDBPyConnection, *places: Path) -> None:
    """Close the way to files, for good: after sources are loaded, before the flow's own SQL.

    Parameters
    ----------
    places
        Folders that stay open: those of destinations.
    """
    listed = ", ".join("'" + str(one).replace("'", "''") + "'" for one in places)
    connection.execute(f"SET allowed_directories = [{listed}]")
    connection.execute("SET enable_external_access = false; SET lock_configuration = true")
