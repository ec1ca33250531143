"""Directory trees that a job wrote: hostile in depth, names, kinds and modes."""

from __future__ import annotations

import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def give(root: Path, uid: int) -> None:
    """Make ``uid`` the owner of a tree that nobody else writes to at this time.

    Files with other names elsewhere (hard links) keep their owner, so that a job can never write
    to what it was only lent.
    """
    os.chown(root, uid, uid, follow_symlinks=False)
    for _, names, files, folder in os.fwalk(root):
        for name in (*names, *files):
            status = os.stat(name, dir_fd=folder, follow_symlinks=False)
            if stat.S_ISDIR(status.st_mode) or status.st_nlink == 1:
                os.chown(name, uid, uid, dir_fd=folder, follow_symlinks=False)


def remove(root: Path) -> None:
    """Remove a tree of any depth; an absent one is no error, nor is what others remove meanwhile.

    Folders are moved up beside each other before they are emptied, so neither the depth of the
    tree nor the length of its paths matters. Links are removed, never followed.
    """
    try:
        parent = os.open(root.parent, _DIRECTORY)
    except FileNotFoundError:
        return
    try:
        with suppress(FileNotFoundError):
            top = _open_own(root.name, parent)
            try:
                while folders := list(_unlink_files(top)):
                    for folder in folders:
                        with suppress(FileNotFoundError):
                            _lift(top, folder)
            finally:
                os.close(top)
            os.rmdir(root.name, dir_fd=parent)
    finally:
        os.close(parent)


def _lift(top: int, name: str) -> None:
    """Empty the folder ``name`` of ``top``: its folders become folders of ``top``."""
    folder = _open_own(name, top)
    try:
        for inner in _unlink_files(folder):
            with suppress(FileNotFoundError):
                os.close(_open_own(inner, folder))
                os.rename(inner, f".{secrets.token_hex(16)}", src_dir_fd=folder, dst_dir_fd=top)
    finally:
        os.close(folder)
    os.rmdir(name, dir_fd=top)


def _open_own(name: str, parent: int) -> int:
    """Open a folder after making it ours to change, whatever its mode is."""
    handle = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    try:
        Path(f"/proc/self/fd/{handle}").chmod(0o700)
    finally:
        os.close(handle)
    return os.open(name, _DIRECTORY, dir_fd=parent)


def _unlink_files(folder: int) -> Iterator[str]:
    """Remove everything that is no folder; yields the folders' names."""
    with os.scandir(folder) as entries:
        listed = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    for name, is_folder in listed:
        if is_folder:
            yield name
        else:
            with suppress(FileNotFoundError):
                os.unlink(name, dir_fd=folder)
