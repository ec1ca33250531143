"""Asynchronous inference from a notebook: the unmodified SDK waits for objects."""

from __future__ import annotations

import time
from pathlib import Path

import pytest


@pytest.mark.timeout(300)
def test_a_notebook_asks_and_is_answered_in_objects(sdk, home):
    done = sdk(Path(__file__).parent / "sdk" / "async_inference.py")
    assert done.returncode == 0, done.stderr[-4000:]
    assert "ANSWERED s3://" in done.stdout
    while home.client("sagemaker").list_endpoints()["Endpoints"]:
        time.sleep(0.05)
