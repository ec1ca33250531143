"""What a benchmark reports, and the few tools all of them share."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

CACHE = Path(__file__).resolve().parent / ".cache"
_INSTALLED_WITHIN_S = 1200.0


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number, its goal, and the peer or limit measured in the same run.

    ``goal`` bounds ``value`` from above (``<=``) or below (``>=``). ``reference`` names what stands
    beside it, ``reference_value`` is in the same unit.
    """

    name: str
    value: float
    unit: str
    goal: float
    reference: str
    reference_value: float
    bound: Literal["<=", ">="] = "<="

    @property
    def is_met(self) -> bool:
        """Say whether the value keeps its goal."""
        return self.value <= self.goal if self.bound == "<=" else self.value >= self.goal


def interleaved_s(runs: int, *actions: Callable[[], object]) -> list[float]:
    """Time several actions in turn, ``runs`` times; return each one's median in seconds.

    Turn by turn, so that a busy spell of a shared machine falls on all of them.
    """
    took: list[list[float]] = [[] for _ in actions]
    for _ in range(runs):
        for samples, action in zip(took, actions, strict=True):
            begin = time.perf_counter()
            action()
            samples.append(time.perf_counter() - begin)
    return [median(samples) for samples in took]


def peer_python(name: str, requirements: Sequence[str]) -> Path:
    """Build (once) a peer's own virtual environment in the cache; return its interpreter."""
    home = CACHE / name
    python = home / "bin" / "python"
    wanted = "\n".join(requirements)
    stamp = home / "requirements.txt"
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != wanted:
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(home)], check=True)
        install = [str(python), "-m", "pip", "install", "-q", *requirements]
        subprocess.run(install, check=True, timeout=_INSTALLED_WITHIN_S)
        stamp.write_text(wanted, encoding="utf-8")
    return python
