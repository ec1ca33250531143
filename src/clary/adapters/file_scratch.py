"""A folder for unfinished files that is this process's alone, and gone some time after it."""

from __future__ import annotations

import fcntl
import os
import shutil
import weakref
from typing import TYPE_CHECKING
from uuid import uuid4

if TYPE_CHECKING:
    from pathlib import Path


class FileScratch:
    """Unfinished files of one process; those of processes that ended are swept when it is made.

    Parameters
    ----------
    folder
        The place shared by all processes, on the file system of the finished files.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            for left in folder.iterdir():
                if left.is_dir() and not _is_held(left):
                    shutil.rmtree(left)
            self.path = folder / uuid4().hex
            self.path.mkdir()
            held = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
            fcntl.flock(held, fcntl.LOCK_EX)
            weakref.finalize(self, os.close, held)

    def name(self) -> str:
        """Return a path that nothing has yet."""
        return f"{self.path}/{uuid4().hex}"


def _is_held(folder: Path) -> bool:
    handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False
