"""The captured rows that an execution looked at: with their requests, bounded, whatever is gone."""

import json
from datetime import timedelta

import pytest
from tests.monitoring.world import BUCKET

from clary.kernel.clock import now
from clary.kernel.errors import NotFound
from clary.monitoring import captured as module
from clary.monitoring.captured import captured
from clary.monitoring.model import Execution

END = now()
VALUE = Execution(
    "s",
    "ada",
    "DataQuality",
    END,
    endpoint="e",
    start=END - timedelta(hours=1),
    end=END,
    output=f"s3://{BUCKET}/out",
)


def line(asked, answered, *, event="1", inference="", minutes=5, encoding="CSV"):
    event = {
        "eventId": event,
        "inferenceId": inference,
        "inferenceTime": (END - timedelta(minutes=minutes)).isoformat(),
    }
    sides = {
        "endpointInput": {"data": asked, "encoding": encoding},
        "endpointOutput": {"data": answered, "encoding": encoding},
    }
    return json.dumps({"captureData": sides, "eventMetadata": event}).encode() + b"\n"


def store(world, **objects):
    """Keep captures, and the manifest that names them and one more that is gone."""
    for name, data in objects.items():
        world.put(f"c/{name}", data)
    manifest = [{"prefix": f"s3://{BUCKET}/c/"}, *objects, "gone"]
    world.put("out/inputs/data-1.manifest", json.dumps(manifest).encode())


def test_rows_keep_the_names_of_their_requests(world):
    store(
        world,
        a=line("1,x\n2,y", "7\n8", event="first", inference="mine")
        + line("9,9", "9", minutes=90)
        + b'{"captureData": \n',
        b=line('{"deep": {"x": 3}}', "[5]", event="second", encoding="JSON"),
    )
    with captured(world.objects, VALUE) as read:
        assert (read.objects, read.gone, read.left_out, read.faults.count) == (3, 1, 0, 1)
        assert read.columns == ["_c0", "_c1", "_c2", "deep.x"]
        assert read.table.column("_c0").to_pylist() == ["7", "8", "5"]
        assert read.table.column("deep.x").to_pylist() == [None, None, "3"]
        asked = read.requests([2, 0])
    assert [(one["event_id"], one["inference_id"]) for one in asked] == [
        ("second", ""),
        ("first", "mine"),
    ]


def test_what_is_too_large_is_left_out_and_said(world, monkeypatch):
    store(world, a=line("1", "1"), b=line("2", "2"), c=line("3", "3"))
    monkeypatch.setattr(module, "_MOST_BYTES", len(line("1", "1")) + 10)
    with captured(world.objects, VALUE) as read:
        assert (read.table.num_rows, read.left_out) == (1, 3)


def test_without_manifests_it_is_not_known_what_was_looked_at(world):
    with pytest.raises(NotFound, match="what s looked at"), captured(world.objects, VALUE):
        pass
