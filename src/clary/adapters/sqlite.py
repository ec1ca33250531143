"""Metadata and the work queue in one SQLite file, which threads and processes share.

The file is in WAL mode and every durable commit reaches the disk before it returns.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import create_engine, event
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.exc import DatabaseError, OperationalError
from sqlalchemy.pool import QueuePool

from clary.adapters.sql import SqlStore
from clary.adapters.sql_schema import HEAD
from clary.kernel.codec import from_json, to_json
from clary.kernel.errors import InvalidInput, NotSupported, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection, Engine
    from sqlalchemy.engine.interfaces import DBAPIConnection, DBAPICursor
    from sqlalchemy.pool import PoolProxiedConnection

_MIGRATIONS = Path(__file__).parent / "migrations"
_PATIENCE_S = 30.0
"""How long another process may hold the right to write."""
_READERS = 32
_RESERVE_BYTES = 4 << 20


class SqliteStore(SqlStore):
    """A ``SqlStore`` on the SQLite file at ``path``, made or brought up to date when needed.

    Raises
    ------
    InvalidInput
        The file is no SQLite database.
    NotSupported
        A newer clary has written it.
    Unavailable
        It cannot be opened or written now.
    """

    def __init__(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)
        except OSError as error:
            raise Unavailable(f"{path} cannot be opened: {error}") from error
        super().__init__(_engine(path, _READERS), _writer(path), insert)
        try:
            self._bring_up_to_date(path)
        except BaseException:
            self.close()
            raise
        self._reserve = _Reserve(path.with_suffix(".reserve"))

    @contextmanager
    def _write(self, *, durable: bool) -> Iterator[DBAPICursor]:
        try:
            with super()._write(durable=durable) as cursor:
                yield cursor
        except Unavailable:
            self._reserve.spend_if_full()
            raise
        if self._reserve.is_spent:
            self._reserve.fill()

    def _begin(
        self, connection: PoolProxiedConnection, cursor: DBAPICursor, *, durable: bool
    ) -> None:
        if connection.info.get("durable", True) != durable:
            cursor.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            connection.info["durable"] = durable
        cursor.execute("BEGIN IMMEDIATE")

    def _bring_up_to_date(self, path: Path) -> None:
        try:
            with self._reads.connect() as connection:
                _use_write_ahead_log(connection)
                current = _version(connection)
            if current != HEAD:
                with self._writes.begin() as connection:
                    _migrate(connection)
        except OperationalError as error:
            raise Unavailable(f"{path} cannot be opened: {error.orig}") from error
        except DatabaseError as error:
            raise InvalidInput("home", f"{path} is not clary's: {error.orig}") from error


class _Reserve:
    """Room held back on the disk, so that the end of the job that filled it can be written down.

    Without it the job could not end, and what it left could not be removed.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.fill()

    def fill(self) -> None:
        """Take the room, if there is plenty; else it counts as spent and is tried for again."""
        self.is_spent = not self._path.exists()
        if not self.is_spent or self._free_bytes() <= 4 * _RESERVE_BYTES:
            return
        try:
            self._path.touch(mode=0o600)
            with self._path.open("r+b") as file:
                os.posix_fallocate(file.fileno(), 0, _RESERVE_BYTES)
            self.is_spent = False
        except OSError:
            self._path.unlink(missing_ok=True)

    def spend_if_full(self) -> None:
        """Give the room back when the disk is full: what could not be written is tried again."""
        if self._free_bytes() < _RESERVE_BYTES:
            self._path.unlink(missing_ok=True)
            self.is_spent = True

    def _free_bytes(self) -> int:
        return shutil.disk_usage(self._path.parent).free


def _writer(path: Path) -> Engine:
    engine = _engine(path, 1)

    @event.listens_for(engine, "begin")
    def begin_immediate(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _engine(path: Path, connections: int) -> Engine:
    engine = create_engine(
        "sqlite://",
        creator=lambda: sqlite3.connect(
            path, timeout=_PATIENCE_S, isolation_level=None, check_same_thread=False
        ),
        poolclass=QueuePool,
        pool_size=connections,
        max_overflow=0,
        pool_timeout=_PATIENCE_S,
        pool_use_lifo=True,
        json_serializer=lambda value: to_json(value).decode(),
        json_deserializer=from_json,
    )

    @event.listens_for(engine, "connect")
    def set_up(connection: DBAPIConnection, _: Any) -> None:
        connection.execute("PRAGMA synchronous = FULL")

    return engine


def _use_write_ahead_log(connection: Connection) -> None:
    """Turn it on; SQLite does not wait for this by itself when processes open a file at once."""
    deadline = time.monotonic() + _PATIENCE_S
    while connection.exec_driver_sql("PRAGMA journal_mode").scalar() != "wal":
        try:
            connection.exec_driver_sql("PRAGMA journal_mode = WAL")
        except OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _version(connection: Connection) -> str | None:
    """Say which migration the database is at; None for a new one."""
    tables = "SELECT count(*) FROM sqlite_master WHERE name = 'alembic_version'"
    if not connection.exec_driver_sql(tables).scalar():
        return None
    found = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    return str(found) if found else None


def _migrate(connection: Connection) -> None:
    """Run the missing migrations, all in the connection's transaction."""
    from alembic.migration import MigrationContext  # noqa: PLC0415 - a current file needs none
    from alembic.operations import Operations  # noqa: PLC0415 - as above
    from alembic.script import ScriptDirectory  # noqa: PLC0415 - as above

    scripts = ScriptDirectory(str(_MIGRATIONS))
    current = _version(connection)
    if current is not None and current not in {
        script.revision for script in scripts.walk_revisions()
    }:
        raise NotSupported(
            f"the metadata were written by a newer clary (schema {current}, known up to {HEAD})",
            hint="install that version, or use another home directory",
        )
    context = MigrationContext.configure(
        connection,
        opts={
            "transactional_ddl": True,
            "fn": lambda revision, _: scripts._upgrade_revs("head", revision),  # noqa: SLF001 - as Alembic's manual does
        },
    )
    with Operations.context(context):
        context.run_migrations()
