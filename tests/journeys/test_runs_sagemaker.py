"""The unmodified SDK's runs, and the components of the jobs they start."""

from __future__ import annotations

from pathlib import Path


def test_runs_are_logged_listed_and_compared(sdk, home):
    done = sdk(Path(__file__).parent / "sdk" / "runs.py")
    assert done.returncode == 0, done.stderr
    assert "\nRUNS first second training\n" in done.stdout
    assert "\nFRAME abalone-tries-first 4\n" in done.stdout
    assert done.stdout.rstrip().endswith("GONE")
    assert " 500 " not in (home.path / "server.log").read_text()
