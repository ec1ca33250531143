"""The settings of the home a command is called for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clary.config import Config, default_home

if TYPE_CHECKING:
    from pathlib import Path


def settings(home: Path | None) -> Config:
    """Return the settings of a home: the one given, else the default."""
    return Config(home=(home or default_home()).expanduser().absolute())
