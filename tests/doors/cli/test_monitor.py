from __future__ import annotations

import csv
import json
import random
from datetime import timedelta

import pytest
from tests.monitoring.world import REF, VIOLATED, World, request

from clary.kernel.clock import now
from clary.monitoring.channels import CHANNEL, channel

FOUND = json.dumps(
    {
        "violations": [
            {
                "feature_name": "x",
                "constraint_check_type": "baseline_drift_check",
                "description": "far away",
            }
        ]
    }
)
PROGRAM = VIOLATED.replace("""'{"violations": [{"feature_name": "x"}]}'""", repr(FOUND))


@pytest.fixture
def world(home):
    world = World(home)
    world.bucket()
    yield world
    world.close()


def write(path, shift=0.0):
    draw = random.Random(1)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["size", "kind"])
        writer.writerows([draw.gauss(shift, 1), draw.choice("ab")] for _ in range(1000))
    return path


def test_data_is_held_against_a_baseline(clary, tmp_path):
    usual, moved = write(tmp_path / "usual.csv"), write(tmp_path / "moved.csv", 3.0)
    made = clary("monitor", "baseline", usual, "--output", tmp_path / "base")
    assert made.code == 0, made.err
    assert [line.rpartition("/")[2] for line in made.out.split()] == [
        "statistics.json",
        "constraints.json",
    ]
    fine = clary("monitor", "check", usual, tmp_path / "base")
    assert (fine.code, fine.err) == (0, "1000 rows fit the baseline\n")
    found = clary("monitor", "check", moved, tmp_path / "base", "--json")
    assert found.code == 1
    assert {one["of"] for one in found.json["violations"]} == {"size"}
    assert "baseline_drift_check" in clary("monitor", "check", moved, tmp_path / "base").out
    page = tmp_path / "report.html"
    assert clary("monitor", "check", moved, tmp_path / "base", "--report", page).code == 1
    assert "its distribution has moved" in page.read_text("utf-8")


def test_what_cannot_be_read_is_said_in_one_sentence(clary, tmp_path):
    missing = clary("monitor", "baseline", tmp_path / "none.csv", "-o", tmp_path)
    assert (missing.code, "there is nothing at" in missing.err) == (1, True)
    write(tmp_path / "usual.csv")
    nowhere = clary("monitor", "check", tmp_path / "usual.csv", tmp_path)
    assert (nowhere.code, "has no statistics.json" in nowhere.err) == (1, True)


def test_a_schedule_is_run_and_what_lasts_is_shown(clary, world, tmp_path):
    assert "no monitoring schedules yet" in clary("monitor", "list").err
    world.captured(now() - timedelta(days=3))
    world.schedules.create(REF, request(program=PROGRAM), actor="ada")
    page = tmp_path / "report.html"
    assert "a report of" in clary("monitor", "report", "monthly", "-o", page).err
    ran = clary("monitor", "run", "monthly")
    assert ran.code == 1
    assert "far away" in ran.out
    assert "CompletedWithViolations" in ran.out
    [row] = clary("monitor", "list", "--json").json
    assert (row["schedule"], row["last"], row["open"]) == (
        "monthly",
        "CompletedWithViolations",
        1,
    )
    [only] = clary("monitor", "executions", "monthly", "--json").json
    assert (only["status"], only["violations"]) == ("CompletedWithViolations", 1)
    [lasting] = clary("monitor", "show", "monthly", "--json").json["open"]
    assert (lasting["of"], lasting["times"]) == ("x", 1)
    assert "baseline_drift_check" in clary("monitor", "show", "monthly").out
    assert clary("monitor", "show", "none").code == 1
    said = clary("monitor", "explain", "monthly", lasting["of"])
    assert said.code == 0, said.err
    assert "x: far away" in said.out
    assert "Nothing that is recorded has changed upstream" in said.out
    assert "held against no baseline" in said.err
    assert "looked at batches" in said.err
    found = clary("monitor", "explain", "monthly", "--execution", only["execution"], "--json").json
    assert [one["of"] for one in found["causes"]] == ["x"]
    assert "it found x" in clary("monitor", "explain", "monthly", "none").err
    told = clary("monitor", "report", "monthly", "-o", page)
    assert (told.code, told.out.strip()) == (0, str(page)), told.err
    assert "<b>x</b>: far away" in page.read_text("utf-8")


def test_what_is_muted_is_said(clary, world):
    world.schedules.create(REF, request(), actor="ada")
    assert "muted until" in clary("monitor", "mute", "monthly", "--for", "2h").err
    said = clary("monitor", "show", "monthly")
    assert "finds nothing that lasts" in said.err
    assert "everything is muted until" in said.err
    assert "no longer muted" in clary("monitor", "mute", "monthly", "--for", "0m").err
    assert "muted" not in clary("monitor", "show", "monthly").err
    assert "such as 30m" in clary("monitor", "mute", "monthly", "--for", "soon").err


def test_channels_come_and_go_and_keep_their_secrets(clary, world):
    assert "nobody is told yet" in clary("monitor", "alerts", "list").err
    added = clary("monitor", "alerts", "add", "ops", "https://example.com/x", "--secret", "hush")
    assert added.code == 0, added.err
    assert clary("monitor", "alerts", "add", "me", "mailto:me@example.com").code == 0
    listed = clary("monitor", "alerts", "list")
    assert "hush" not in listed.out
    assert "mail" in listed.out
    made = {one.ref.name: channel(one) for one in world.platform.monitoring.channels.list(REF)}
    assert made["ops"].secret == "hush"
    assert made["me"].target == "me@example.com"
    assert clary("monitor", "alerts", "remove", "ops").code == 0
    assert REF.sibling(CHANNEL, "ops") not in [
        one.ref for one in world.platform.monitoring.channels.list(REF)
    ]
    wrong = clary("monitor", "alerts", "add", "it", "ftp://example.com")
    assert "pipeline:NAME" in wrong.err
    assert clary("monitor", "alerts", "add", "it", "pipeline:none").code == 1
