"""What monitoring costs: every part, in a `monitoring_*.py` with `figures` of its own."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from figure import Figure

HERE = Path(__file__).resolve().parent


def figures() -> list[Figure]:
    """Measure every part beside its peers."""
    modules = [importlib.import_module(path.stem) for path in sorted(HERE.glob("monitoring_*.py"))]
    parts = [module for module in modules if hasattr(module, "figures")]
    return [figure for part in parts for figure in part.figures()]
