"""The files of a fleet: fetched once, then the same for every worker for as long as it lasts."""

from __future__ import annotations

import hashlib
import os
import shutil
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from clary.jobs.inputs import fetch, find, require_space
from clary.kernel.errors import ClaryError

if TYPE_CHECKING:
    from collections.abc import Callable

    from clary.endpoints.workers import Tools
    from clary.jobs.contract import Source
    from clary.kernel.names import Ref


class Files:
    """What the workers of one fleet are given; no worker sees this folder.

    Parameters
    ----------
    tools
        See ``Tools``.
    fleet
        Whose they are.
    """

    def __init__(self, tools: Tools, fleet: Ref) -> None:
        self._tools = tools
        self._id = f"{fleet.name}-files"

    def lay(
        self,
        source: Source,
        ml: Path,
        check: Callable[[], None],
        *,
        sha256: str = "",
        keep: bool = True,
    ) -> None:
        """Give a worker's workspace the files of a source, as links to the one copy.

        As root, that is: a link's owner does not change, so that no worker can write to it.
        Workers of other users are the server's own user, and get copies.

        Parameters
        ----------
        ml
            The workspace of a process that has not been started.
        sha256
            What the digest of a single object must be; empty: any.
        keep
            Later workers get the same files, whatever has become of the objects.

        Raises
        ------
        ClaryError
            They cannot be had, or are others than they should be.
        """
        name = hashlib.sha256(f"{source.uri} {sha256}".encode()).hexdigest()
        kept = self._tools.runner.workspace(self._id) / name
        if not (keep and kept.exists()):
            shutil.rmtree(kept, ignore_errors=True)
            self._fetch(source, kept, check, sha256)
        give = os.link if os.geteuid() == 0 else shutil.copyfile
        for folder, _, names in os.walk(kept):
            place = ml / Path(folder).relative_to(kept)
            place.mkdir(parents=True, exist_ok=True)
            for file in names:
                give(Path(folder) / file, place / file)
        if not keep:
            shutil.rmtree(kept)

    def discard(self) -> None:
        """Remove them."""
        self._tools.runner.discard(self._id)

    def _fetch(self, source: Source, kept: Path, check: Callable[[], None], sha256: str) -> None:
        found = find(self._tools.objects, source)
        if found is None:
            raise ClaryError(f"there is no object at {source.uri}")
        if sha256 and found.artifact.digest != sha256:
            raise ClaryError(
                f"{source.uri} has changed while it was being deployed",
                hint="deploy again for its present content",
            )
        draft = kept.with_name(f".{uuid.uuid4().hex}")
        draft.mkdir()
        try:
            require_space([found], 1, draft)
            fetch(self._tools.objects, found.items, source, draft, check)
            for file in draft.rglob("*"):
                file.chmod(0o755 if file.is_dir() else 0o644)  # whatever the server's umask is
            draft.replace(kept)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
