"""What runs the code of a flow's author on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clary.adapters.process.runner import ProcessRunner
from clary.flows.sandboxed import Sandbox

if TYPE_CHECKING:
    from pathlib import Path

    from clary.flows.sandboxed import Programs


def sandboxed(root: Path) -> Programs:
    """Make what runs programs in a sandbox of processes.

    Parameters
    ----------
    root
        A folder of its own.
    """
    return Sandbox(ProcessRunner(root)).run
