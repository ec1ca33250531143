from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from clary.governance.presence import Presence, announce, find, hold
from clary.kernel.clock import now
from clary.kernel.errors import Conflict

HOLDER = """
import os, sys
from pathlib import Path
from clary.governance.presence import Presence, announce, hold
from clary.kernel.clock import now
home = Path(sys.argv[1])
with hold(home):
    announce(home, Presence("http://127.0.0.1:1234", os.getpid(), now()))
    print("held", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def holder(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_running_server_is_found_and_alone(tmp_path, holder):
    assert find(tmp_path).pid == holder.pid
    with pytest.raises(Conflict, match=rf"at http://127.0.0.1:1234 \(process {holder.pid}\)"):
        hold(tmp_path).__enter__()
    assert find(tmp_path) is not None


@pytest.mark.parametrize("end", ["orderly", "killed"])
def test_one_that_ended_is_not_found(tmp_path, holder, end):
    if end == "killed":
        os.kill(holder.pid, signal.SIGKILL)
    holder.communicate("\n", timeout=30)
    assert find(tmp_path) is None
    with hold(tmp_path):
        assert find(tmp_path) is None
        announce(tmp_path, Presence("http://127.0.0.1:1", os.getpid(), now()))
        assert find(tmp_path).endpoint == "http://127.0.0.1:1"
    assert find(tmp_path) is None


def test_no_home_no_server(tmp_path):
    assert find(tmp_path / "absent") is None
