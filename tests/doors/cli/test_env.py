from __future__ import annotations

import os
import subprocess

from clary.governance.presence import Presence, announce, hold
from clary.kernel.clock import now


def test_a_shell_can_evaluate_it(clary, home, monkeypatch):
    monkeypatch.setenv("AWS_PROFILE", "work")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://elsewhere")
    said = clary("env", "--home", home.with_name("a 'b' home"), "--port", 1234)
    script = said.out + "\nenv -0"
    shown = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    after = dict(item.split("=", 1) for item in shown.stdout.split("\0") if item)
    assert after["AWS_ENDPOINT_URL"] == "http://127.0.0.1:1234"
    assert after["AWS_ACCESS_KEY_ID"].startswith("AKIA")
    assert "AWS_PROFILE" not in after
    assert "AWS_ENDPOINT_URL_S3" not in after


def test_it_finds_the_server_of_the_home(clary, home):
    before = clary("env", "--json").json
    assert before["AWS_ENDPOINT_URL"] == "http://127.0.0.1:8930"
    with hold(home):
        announce(home, Presence("http://127.0.0.1:4711", os.getpid(), now()))
        after = clary("env", "--json").json
        asked = clary("env", "--json", "--port", 99).json
    at = dict.fromkeys(("AWS_ENDPOINT_URL", "MLFLOW_TRACKING_URI"), "http://127.0.0.1:4711")
    assert after == before | at
    assert asked["AWS_ENDPOINT_URL"] == "http://127.0.0.1:99"
