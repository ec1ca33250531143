"""Uploading what a job left behind."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from clary.jobs.archives import packed
from clary.jobs.contract import join_uri, split_uri
from clary.jobs.trees import Sent, Tree
from clary.kernel.errors import ClaryError, NotFound
from clary.lineage.model import FileEntry, of_object, of_tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from clary.jobs.contract import Target
    from clary.jobs.trees import File
    from clary.kernel.ports import ObjectStore
    from clary.kernel.resource import ObjectInfo
    from clary.lineage.model import Artifact

    Used = tuple[str, Artifact]

MOST_SINGLE = 64
"""Trees of at most so many files also have each file as an artifact of its own."""
_SETTLED_NS = 1_000_000_000
"""A file that has not changed for so long is complete enough for a continuous upload."""


@dataclass(slots=True)
class Uploads:
    """The uploads of one job's attempt.

    Parameters
    ----------
    objects
        Where they go.
    workspaces
        The ``/opt/ml`` directory of every host, in the order of the hosts.
    check
        Called again and again; may raise to give up.
    sent
        All files below the first host's ``/opt/ml``, where they were sent.

    Attributes
    ----------
    stored
        The objects that were written, of trees.
    """

    objects: ObjectStore
    workspaces: Sequence[Path]
    check: Callable[[], None]
    sent: Mapping[str, bytes] | None = None
    stored: list[ObjectInfo] = field(default_factory=list)
    _sent: dict[tuple[str, str], tuple[int, int, ObjectInfo]] = field(default_factory=dict)

    def free_bytes(self) -> int:
        """Say how much room the workspaces' disk has."""
        return shutil.disk_usage(self.workspaces[0]).free

    def upload(self, target: Target) -> list[Used]:
        """Upload a target whole; what it was, as lineage names it, and nothing for no files.

        Raises
        ------
        ClaryError
            It cannot be read or stored; names the file or the URI.
        """
        trees = self._trees(target.path)
        files = [(tree, file) for tree in trees for file in tree.files()]
        if not files and not target.model:
            return []
        if target.archive:
            return [(target.name, of_object(self._pack(target, files)))]
        infos = {file.path: self._send(target, tree, file) for tree, file in files}
        entries = [FileEntry(path, one.sha256, one.size_bytes) for path, one in infos.items()]
        single = [(f"{target.name}/{path}", of_object(info)) for path, info in infos.items()]
        whole = (target.name, of_tree(target.uri, entries))
        return [whole, *(single if len(single) <= MOST_SINGLE else [])]

    def sync(self, target: Target) -> None:
        """Upload what has settled since the last time, while the job runs.

        What cannot be read or stored now is left to ``upload``, which says so.
        """
        before = time.time_ns() - _SETTLED_NS
        for ml in self.workspaces:
            tree = Tree(ml, target.path)
            try:
                for file in tree.files():
                    if file.modified_ns < before and file.path == file.real:
                        self._send(target, tree, file)
            except (ClaryError, OSError):
                continue

    def text(self, path: str, *, most_bytes: int) -> str | None:
        """Read the first host's text file of that path; None when no host has one."""
        folder, _, name = path.rpartition("/")
        for tree in self._trees(folder):
            text = tree.text(name, most_bytes=most_bytes)
            if text is not None:
                return text
        return None

    def _trees(self, path: str) -> Sequence[Tree | Sent]:
        if self.sent is not None:
            return [Sent(self.sent, path)]
        return [Tree(ml, path) for ml in self.workspaces]

    def _pack(self, target: Target, files: Sequence[tuple[Tree | Sent, File]]) -> ObjectInfo:
        chunks = packed(files, self.workspaces[0], self.check)
        return self._put(target.uri, chunks, "application/x-gzip")

    def _send(self, target: Target, tree: Tree | Sent, file: File) -> ObjectInfo:
        uri = join_uri(target.uri, file.path)
        seen = self._sent.get((str(tree.ml), uri))
        if seen is not None and seen[:2] == (file.size_bytes, file.modified_ns):
            return seen[2]
        info = self._put(uri, self._checked(tree.chunks(file)), "")
        self.stored.append(info)
        self._sent[str(tree.ml), uri] = (file.size_bytes, file.modified_ns, info)
        return info

    def _checked(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            self.check()
            yield chunk

    def _put(self, uri: str, chunks: Iterator[bytes], content_type: str) -> ObjectInfo:
        bucket, key = split_uri(uri, field="S3Uri")
        headers = {"content-type": content_type} if content_type else None
        try:
            return self.objects.put(bucket, key, chunks, headers=headers)
        except NotFound as error:
            raise ClaryError(f"{uri} cannot be written: {error.message}") from None
