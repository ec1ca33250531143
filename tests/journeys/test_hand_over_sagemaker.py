"""Work handed to a function, to somebody behind a queue, and to the clock: the unmodified SDK."""

from __future__ import annotations

import json
from pathlib import Path


def test_steps_that_call_and_wait_and_schedules(sdk, home):
    done = sdk(Path(__file__).parent / "sdk" / "hand_over.py")
    assert done.returncode == 0, done.stderr
    said = dict(line.split(" ", 1) for line in done.stdout.splitlines() if line[:1].isupper())
    assert json.loads(said["OUTPUTS"]) == {
        "labels": "s3://data/abalone/train.labels",
        "count": "80",
    }
    start = "arn:aws:scheduler:us-east-1:123456789012:schedule/default"
    assert json.loads(said["ARNS"]) == [f"{start}/nightly", f"{start}/often"]
    nightly = json.loads(said["NIGHTLY"])
    assert nightly["Schedule_Expression"] == "cron(0 3 * * ? *)"
    assert nightly["Schedule_State"] == "ENABLED"
    assert said["STATE"] == "DISABLED"
    scheduler = home.client("scheduler")
    assert scheduler.list_schedules()["Schedules"] == []
    log = (home.path / "server.log").read_text()
    assert " 500 " not in log
