"""clary: the machine-learning lifecycle on machines you own."""

from __future__ import annotations

__all__: list[str] = []
