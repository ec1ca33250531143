"""The programs and commands of the page on violations run as they stand, and are heard of."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import shlex
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import clary
from clary.kernel.resource import Query

PAGE = Path(__file__).parents[2] / "docs/how-to/be-told-of-violations.md"
SECRET = "what only both know"


class Hook(ThreadingHTTPServer):
    """Keeps what is posted."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answer)
        self.heard = []
        self.told = threading.Event()


class Answer(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.heard.append((self.headers["Clary-Signature"], body))
        self.send_response(204)
        self.end_headers()
        self.server.told.set()

    def log_message(self, *_):
        pass


@pytest.fixture
def hook():
    server = Hook()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def blocks(language):
    found = rf"^```{language}\n(.*?)^```$"
    return re.findall(found, PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)


def test_the_page_does_what_it_says(tmp_path, hook):
    home = tmp_path / "home"
    environment = {**os.environ, "CLARY_HOME": str(home), "CLARY_WEBHOOK_SECRET": SECRET}

    def ran(*argv):
        done = subprocess.run(
            [sys.executable, *argv],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def typed(block):
        url = f"http://127.0.0.1:{hook.server_port}/hook"
        lines = block.replace("https://example.com/hook", url).splitlines()
        return "\n".join(ran("-m", *shlex.split(line)) for line in lines)

    for name, block in zip(("watch.py", "drift.py"), blocks("python"), strict=True):
        (tmp_path / name).write_text(block)
    channels, why, report, mute = blocks("console")
    ran("watch.py")
    assert "retrain" in typed(channels)
    said = ran("drift.py")
    assert said.startswith("CompletedWithViolations\n")
    assert "200 of 200 rows lie above 1.99" in said
    shown = typed(why)
    assert "weight: its distribution has moved" in shown
    assert "200 of 200 rows lie above" in shown
    assert "Nothing that is recorded has changed upstream" in shown
    typed(report)
    assert "Monitoring: sums-data-quality" in (tmp_path / "sums.html").read_text("utf-8")
    heard(home, hook)
    typed(mute)


def heard(home, hook):
    """Let what waits be sent: to the program, and to the pipeline."""
    with clary.connect(home) as session:
        session.work()
        assert hook.told.wait(60)
        [(signature, body)] = hook.heard
        expected = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
        assert signature == f"sha256={expected}"
        document = json.loads(body)
        assert document["state"] == "violated"
        assert "weight" in {one["feature_name"] for one in document["violations"]}
        until = time.monotonic() + 60
        query = Query("pipeline-execution", statuses=["Succeeded"])
        while not session.platform.store.select(query).items:
            assert time.monotonic() < until
            time.sleep(0.05)
        clary.endpoints.get("sums").delete()
