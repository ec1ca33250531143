"""LMDB environments of this process, whose concurrent writers share one commit."""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from clary.kernel.errors import LimitExceeded, NotSupported, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from lmdb import Transaction

    from clary.kernel.errors import ClaryError

    Change = Callable[[Transaction[bytes]], int]
    """Changes what it is given and counts it; called again for itself when another fails."""

_MOST_READERS = 1024
_MOST_CHANGES = 64
"""So many changes share a commit at most."""


class _Waiting:
    """A change that waits for its commit."""

    def __init__(self, change: Change) -> None:
        self.change = change
        self.is_done = False
        self.changed = 0
        self.error: BaseException | None = None


class Environment:
    """An LMDB environment; ``opened`` gives it.

    Parameters
    ----------
    path
        Its folder, which exists.
    limit_bytes
        What it may grow to. Address space is reserved for all of it, disk for what it holds.
    is_relaxed
        Whether a power failure may undo the last commit: half the waiting for the disk.
    """

    def __init__(self, path: Path, limit_bytes: int, *, is_relaxed: bool = False) -> None:
        self._library = _library()
        self._path = path
        self._limit_bytes = limit_bytes
        self.errors: tuple[type[Exception], ...] = (self._library.Error, OSError)
        """What is raised below ``begin``; ``failure`` says it in our words."""
        self._queue = threading.Lock()
        self._writing = threading.Lock()
        self._waiting: list[_Waiting] = []
        with self.failures():
            self._lmdb = self._library.open(
                str(path),
                map_size=limit_bytes,
                mode=0o600,
                metasync=not is_relaxed,
                max_readers=_MOST_READERS,
                max_spare_txns=1,  # readers keep their slot: taking one locks out other processes
            )
            self._lmdb.reader_check()  # slots of processes that were killed while they read
        self.begin: Callable[..., Transaction[bytes]] = self._lmdb.begin
        """Begins a transaction to read in; use it below ``failures``."""

    def commit(self, change: Change) -> int:
        """Apply a change, durable when this returns, in one commit with those of other threads.

        Returns
        -------
        int
            What the change counted.

        Raises
        ------
        LimitExceeded
            The environment is full.
        Unavailable
            The disk does not take it.
        """
        mine = _Waiting(change)
        with self._queue:
            self._waiting.append(mine)
        with self._writing:  # whoever comes first commits for those who came meanwhile
            while not mine.is_done:
                with self._queue:
                    group = self._waiting[:_MOST_CHANGES]
                    del self._waiting[:_MOST_CHANGES]
                self._commit_group(group)
        error, mine.error = mine.error, None
        if error is None:
            return mine.changed
        try:
            raise error
        finally:
            del error  # a traceback that held itself would hold the environment open

    def failure(self, error: Exception) -> ClaryError:
        """Say in our words what LMDB raised."""
        if isinstance(error, self._library.MapFullError):
            return LimitExceeded(
                f"{self._path} holds {self._limit_bytes:,} bytes, which is its limit"
            )
        return Unavailable(f"{self._path} cannot be read or written: {error}")

    @contextmanager
    def failures(self) -> Iterator[None]:
        """Raise in our words what LMDB raises inside."""
        try:
            yield
        except self.errors as error:
            raise self.failure(error) from error

    def refuse(self) -> None:
        """Refuse what a forked process asks: the locks are its parent's."""

        def refused(**_: Any) -> Any:
            raise NotSupported(
                f"{self._path} is open in the process that this one was forked from",
                hint="start processes that read features by `spawn`",
            )

        self.begin = refused
        self._writing, self._queue = threading.Lock(), threading.Lock()

    def _commit_group(self, group: list[_Waiting]) -> None:
        try:
            self._commit_together(group)
        except BaseException as error:
            if len(group) == 1 or not isinstance(error, Exception):
                for one in group:
                    one.error = error
            else:  # one of them is to blame
                for one in group:
                    self._commit_group([one])
        for one in group:
            one.is_done = True

    def _commit_together(self, group: list[_Waiting]) -> None:
        with self.failures(), self.begin(write=True) as transaction:
            for one in group:
                one.changed = one.change(transaction)


def opened(path: Path, limit_bytes: int, *, is_relaxed: bool = False) -> Environment:
    """Open an environment, made when it is missing, or return it as it is open already.

    Raises
    ------
    NotSupported
        LMDB is not installed, or the process was forked from one that has it open.
    Unavailable
        It cannot be opened.
    """
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        found = path.stat()
    except OSError as error:
        raise Unavailable(f"{path} cannot be opened: {error}") from error
    with _OPENING:
        key = (found.st_dev, found.st_ino)
        environment = _OPEN.get(key)
        if environment is None:
            environment = _OPEN[key] = Environment(path, limit_bytes, is_relaxed=is_relaxed)
        return environment


def _library() -> Any:
    try:
        return import_module("lmdb")
    except ModuleNotFoundError as error:
        raise NotSupported(
            "online records need LMDB, which is not installed", hint="install clary[features]"
        ) from error


def _after_fork() -> None:
    _OPENING.release()
    for environment in _OPEN.values():
        environment.refuse()
        _INHERITED.append(environment)


_OPEN: WeakValueDictionary[tuple[int, int], Environment] = WeakValueDictionary()
"""By device and inode: LMDB must not open one environment twice in a process."""
_OPENING = threading.Lock()
_INHERITED: list[Environment] = []
"""Never closed: that would end what the parent reads."""
os.register_at_fork(
    before=_OPENING.acquire, after_in_parent=_OPENING.release, after_in_child=_after_fork
)
