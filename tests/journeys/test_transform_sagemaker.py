"""Batch transform through the unmodified SDK: filters, joins, containers in a row, captures."""

from __future__ import annotations

import re
from pathlib import Path


def test_batches_are_transformed(sdk, home):
    done = sdk(Path(__file__).parent / "sdk" / "transform.py")
    assert done.returncode == 0, done.stderr
    captured = re.search(r"^CAPTURED (.*)$", done.stdout, re.MULTILINE)[1].split()
    assert len(captured) == 2
    for side, uri in zip(("input", "output"), captured, strict=True):
        assert re.search(rf"/transform/captured/{side}/\d{{4}}/\d\d/\d\d/\d\d/.*\.jsonl$", uri)
    ids = re.search(r"^IDS (.*)$", done.stdout, re.MULTILINE)[1].split()
    assert len(set(ids)) == 9
    assert " 500 " not in (home.path / "server.log").read_text()
