"""DuckDB within limits: memory, threads, files that may be read, and a place to spill."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

from clary.kernel.errors import LimitExceeded, NotSupported

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from duckdb import DuckDBPyConnection

EXTRA = 'needs the feature store\'s libraries: pip install "clary[features]"'
_THREADS = 2
_LONGEST_SPILL = "64GiB"
_OUT_OF_MEMORY = re.compile(r"out of memory|could not allocate", re.IGNORECASE)


def literal(text: str) -> str:
    """Quote a text for SQL."""
    return "'" + text.replace("'", "''") + "'"


def name(text: str) -> str:
    """Quote an identifier for SQL."""
    return '"' + text.replace('"', '""') + '"'


def parquet(files: Sequence[str]) -> str:
    """Write the table function that reads files as one table."""
    listed = ", ".join(literal(file) for file in files)
    return f"read_parquet([{listed}], union_by_name = true)"


class DuckDB:
    """Makes connections that keep to their limits.

    Parameters
    ----------
    scratch
        Where they spill; each has a directory of its own there, removed at its end.
    memory_bytes
        What one may hold in memory.
    """

    def __init__(self, scratch: Path, *, memory_bytes: int = 360 << 20) -> None:
        self._scratch = scratch
        self._memory_bytes = memory_bytes

    @contextmanager
    def open(
        self, files: Sequence[str] = (), options: Mapping[str, Any] | None = None
    ) -> Iterator[DuckDBPyConnection]:
        """Connect to an empty database that can read ``files`` and nothing else.

        Parameters
        ----------
        files
            Paths.
        options
            More of DuckDB's settings.

        Raises
        ------
        NotSupported
            The libraries are not installed.
        LimitExceeded
            What is done with it needs more memory than it may have.
        """
        duckdb = library("duckdb")
        with self.folder() as spill:
            connection = duckdb.connect(config=self._limits(spill) | dict(options or {}))
            try:
                _confine(connection, files)
                yield connection
            except duckdb.OutOfMemoryException as error:
                raise self._exceeded() from error
            except duckdb.Error as error:
                if _OUT_OF_MEMORY.search(str(error)):
                    raise self._exceeded() from error
                raise
            finally:
                connection.close()

    @contextmanager
    def folder(self) -> Iterator[str]:
        """Make a directory that is there for the block; remove those of processes that died."""
        self._scratch.mkdir(parents=True, exist_ok=True, mode=0o700)
        for left in self._scratch.glob("[0-9]*-*"):
            if not _lives(int(left.name.partition("-")[0])):
                shutil.rmtree(left, ignore_errors=True)
        with tempfile.TemporaryDirectory(dir=self._scratch, prefix=f"{os.getpid()}-") as made:
            yield made

    def _exceeded(self) -> LimitExceeded:
        return LimitExceeded(f"the query needs more than {self._memory_bytes >> 20} MiB of memory")

    def _limits(self, spill: str) -> dict[str, Any]:
        return {
            "memory_limit": f"{self._memory_bytes >> 20}MiB",
            "threads": _THREADS,
            "temp_directory": spill,
            "max_temp_directory_size": _LONGEST_SPILL,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except OSError as error:
        return not isinstance(error, ProcessLookupError)
    return True


def _confine(connection: DuckDBPyConnection, files: Sequence[str]) -> None:
    listed = ", ".join(literal(file) for file in files)
    connection.execute(f"SET allowed_paths = [{listed}]")
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET python_enable_replacements = false")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def library(module: str) -> Any:
    """Import one of the feature store's libraries. Raises NotSupported where it is missing."""
    try:
        return import_module(module)
    except ImportError as error:
        raise NotSupported(f"SQL over features {EXTRA}") from error
