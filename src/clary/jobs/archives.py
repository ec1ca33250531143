"""Packing files so that equal content makes an equal archive."""

from __future__ import annotations

import gzip
import tarfile
import tempfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from clary.jobs.trees import File, Sent, Tree

_CHUNK = 1 << 20


def packed(
    files: Sequence[tuple[Tree | Sent, File]], scratch: Path, check: Callable[[], None]
) -> Iterator[bytes]:
    """Yield a tar.gz: sorted names, no times, no owners.

    Parameters
    ----------
    files
        What to pack, each under its path; the first of a name counts.
    scratch
        A directory on a disk with room for the archive; nothing stays there.
    check
        Called again and again; may raise to give up.
    """
    first: dict[str, tuple[Tree | Sent, File]] = {}
    for tree, file in files:
        first.setdefault(file.path, (tree, file))
    with tempfile.TemporaryFile(dir=scratch) as whole:
        with (
            gzip.GzipFile("", "wb", 6, whole, mtime=0) as stream,
            tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive,
        ):
            for path in sorted(first):
                check()
                tree, file = first[path]
                with tree.open(file) as content:
                    archive.addfile(_member(file), content)
        whole.seek(0)
        while chunk := whole.read(_CHUNK):
            check()
            yield chunk


def _member(file: File) -> tarfile.TarInfo:
    member = tarfile.TarInfo(file.path)
    member.size = file.size_bytes
    member.mode = 0o755 if file.executable else 0o644
    return member
