"""``python -m clary`` is ``clary``."""

from __future__ import annotations

from clary.doors.cli.main import run

if __name__ == "__main__":
    run()
