"""What a flow may use of what is around it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from clary.flows.bounds import GROUP, Bounds
from clary.kernel.errors import InvalidInput, NotSupported

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

    import pyarrow as pa

    from clary.flows.kept import Kept
    from clary.flows.sandboxed import Programs
    from clary.flows.stored import Stored

Sandboxes = Callable[[Path], "Programs"]
"""Makes what runs an author's code, below a folder of its own."""
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://|(jdbc):", re.IGNORECASE)
_NONE = "rows at {} are there in a session alone"


class Database(Protocol):
    """Reads a file of a database."""

    def __call__(
        self, path: Path, *, table: str, query: str
    ) -> AbstractContextManager[pa.RecordBatchReader]:
        """Give the rows of a table or query. Raises InvalidInput."""


@dataclass(frozen=True, slots=True)
class Reach:
    """What a flow may use.

    Parameters
    ----------
    sandboxes
        Makes what the flow's own code runs in; without it, such code is refused.
    stored
        Opens the home whose objects and feature groups are read and written; without it, they
        are refused.
    database
        Reads SQLite files.
    bounds
        By node: where its own path may lead. Those of other nodes are the caller's own.
    kept
        Where rows of files are looked for before they are read, and kept afterwards.
    """

    sandboxes: Sandboxes | None = None
    stored: Callable[[], Stored] | None = None
    database: Database | None = None
    bounds: Mapping[str, Bounds] = field(default_factory=dict)
    kept: Kept | None = None

    def file(self, place: str, folder: Path, bounds: Bounds | None = None) -> Path:
        """Give the file or folder of a path, or of ``s3://…`` as a copy.

        Raises
        ------
        InvalidInput
            It is out of bounds, or there is nothing.
        NotSupported
            It is in a database that is not read, or there is no home.
        """
        if not is_remote(place):
            found = Path(place) if bounds is None else bounds.file(place)
            if not _exists(found):
                raise InvalidInput("path", f"there is nothing at {place}")
            return found
        if bounds is not None:
            bounds.name(place)
        return self.home(place).fetch(place, folder)

    def group(self, name: str, bounds: Bounds | None = None) -> pa.Table:
        """Give the rows of a feature group, as they are now.

        Raises
        ------
        InvalidInput
            It is out of bounds, or has no offline store.
        NotFound
            There is none.
        NotSupported
            There is no home.
        """
        if bounds is not None:
            bounds.name(f"{GROUP}{name}")
        return self.home(f"{GROUP}{name}").group(name)

    def home(self, place: str) -> Stored:
        """Open the home of a place. Raises NotSupported: there is none."""
        if self.stored is None:
            raise NotSupported(_NONE.format(place), hint="give its rows by the name of the source")
        return self.stored()


NOWHERE = Reach()
"""Files alone."""


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError as error:
        raise InvalidInput("path", f"{path}: {error.strerror}") from None


def is_remote(place: str) -> bool:
    """Whether a place is ``s3://…``, and no path.

    Raises
    ------
    NotSupported
        It is in something else, such as a database with a server; its address is not repeated,
        for it may hold a password.
    """
    found = _SCHEME.match(place)
    if found is None:
        return False
    scheme = (found[1] or found[2]).lower()
    if scheme != "s3":
        hint = "read them with its own client and give a frame: clary.Flow(frame)"
        problem = f"flows do not read or write {scheme}: only files, SQLite files and s3://…"
        raise NotSupported(problem, hint=hint)
    return True
