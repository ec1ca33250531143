"""What all tests share."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from clary.adapters.process.runner import ProcessRunner

pytest.register_assert_rewrite("clary.testing")


@pytest.fixture(scope="session", autouse=True)
def no_process_outlives_the_tests(tmp_path_factory):
    """End the workers of endpoints that are left: they outlive the servers that tests stop."""
    yield
    below = re.compile(rf"{re.escape(str(tmp_path_factory.getbasetemp()))}\S*?/processes(?=/)")
    found = set()
    for cmdline in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            text = cmdline.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        found.update(below.findall(text))
    for folder in sorted(found):
        runner = ProcessRunner(Path(folder))
        for process in Path(folder).iterdir():
            if not process.name.startswith("."):
                runner.discard(process.name)
