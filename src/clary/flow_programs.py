"""What flows use of this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clary.adapters.process.runner import ProcessRunner
from clary.adapters.sqlite_tables import rows
from clary.flows.reach import Reach
from clary.flows.sandboxed import Sandbox, beside

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from clary.flows.bounds import Bounds
    from clary.flows.sandboxed import Programs
    from clary.flows.stored import Stored


def sandboxed(root: Path) -> Programs:
    """Make what runs programs in a sandbox of processes.

    Parameters
    ----------
    root
        A folder of its own.
    """
    return Sandbox(ProcessRunner(root)).run


def reach(stored: Callable[[], Stored], bounds: Mapping[str, Bounds]) -> Reach:
    """Let flows run code, read SQLite files and use a home.

    Parameters
    ----------
    stored
        Opens the home.
    bounds
        By node, where a loaded flow's own paths may lead.
    """
    return Reach(sandboxed, stored, rows, bounds)


IN_A_STEP = Reach(lambda _: beside, database=rows)
"""What a step of a pipeline uses: it is in a sandbox of its own, and its rows are given."""
