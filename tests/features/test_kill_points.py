"""``kill -9`` at seeded points of ingest, flush and compaction loses and doubles nothing."""

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("kill_points.py")


def killed(home, first, count, durability="disk"):
    done = subprocess.run(
        [sys.executable, str(PROGRAM), str(home), str(first), str(count), durability],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3_000:]
    return map(int, done.stdout.split())


def test_every_acknowledged_record_is_in_both_stores_once(tmp_path):
    deaths, acknowledged = killed(tmp_path, 0, 8)
    assert deaths >= 4
    assert acknowledged > 0


def test_what_waits_for_no_disk_outlives_being_killed(tmp_path):
    deaths, acknowledged = killed(tmp_path, 100, 4, "process")
    assert deaths >= 2
    assert acknowledged > 0


@pytest.mark.long
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("first", range(1_000, 1_240, 40))
def test_many_points(tmp_path, first):
    deaths, acknowledged = killed(tmp_path, first, 40)
    assert deaths >= 30
    assert acknowledged > 40
