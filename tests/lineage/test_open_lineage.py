"""OpenLineage events: the rules of the published schema, and how they reach their target."""

from __future__ import annotations

import json
import re
import threading
import uuid
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest
from tests.lineage.conftest import ref

from clary.adapters.openlineage import OpenLineage
from clary.kernel.errors import InvalidInput, Unavailable
from clary.kernel.resource import Event
from clary.lineage.open_lineage import RunEvents

FACET_RULES = {
    "parent": lambda it: is_uuid(it["run"]["runId"]) and is_name(it["job"]),
    "errorMessage": lambda it: is_text(it["message"]) and is_text(it["programmingLanguage"]),
    "jobType": lambda it: is_text(it["processingType"]) and is_text(it["integration"]),
    "version": lambda it: is_text(it["datasetVersion"]),
    "outputStatistics": lambda it: type(it["size"]) is int and type(it["fileCount"]) is int,
}


def is_text(value):
    return isinstance(value, str) and value != ""


def is_uuid(value):
    return str(uuid.UUID(value)) == value


def is_uri(value):
    return bool(urlsplit(value).scheme) and " " not in value


def is_name(value):
    return is_text(value["namespace"]) and is_text(value["name"])


def check_facets(facets):
    """What BaseFacet requires of every facet, and what the facets' own schemas do."""
    for name, facet in facets.items():
        assert is_uri(facet["_producer"])
        assert is_uri(facet["_schemaURL"])
        assert name.startswith("clary_") or FACET_RULES[name](facet), (name, facet)


def check_event(event):
    """What RunEvent of the specification 2-0-2 requires."""
    assert event["eventType"] in {"START", "RUNNING", "COMPLETE", "ABORT", "FAIL", "OTHER"}
    assert datetime.fromisoformat(event["eventTime"]).tzinfo is not None
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", event["eventTime"])
    assert is_uri(event["producer"])
    assert event["schemaURL"].endswith("/2-0-2/OpenLineage.json#/$defs/RunEvent")
    assert is_uuid(event["run"]["runId"])
    check_facets(event["run"]["facets"])
    assert is_name(event["job"])
    check_facets(event["job"]["facets"])
    for word in ("inputs", "outputs"):
        for dataset in event[word]:
            assert is_name(dataset)
            check_facets(dataset["facets"])
            check_facets(dataset.get("outputFacets", {}))


@pytest.fixture
def happened(world):
    """A pipeline's job that failed and one that completed, with all their lines."""
    execution = world.execution("p/4r83jejmhorv")
    names = {step: f"pipelines-4r83jejmhorv-{step}-0123456789" for step in ("Prep", "Fit")}
    lines = []
    for step, end in (("Prep", "completed"), ("Fit", "failed")):
        job = ref("training-job", names[step])
        world.job(names[step], uses=["raw"], makes=["out", "out/a"], parent=execution)
        for word, detail in (
            ("created", {}),
            ("advanced", {"stage": "Downloading"}),
            ("advanced", {"stage": "Running"}),
            (end, {"reason": "boom"} if end == "failed" else {}),
        ):
            lines.append(Event(world._at(), "ada", f"training-job.{word}", job, detail))
    lines.append(Event(world._at(), "ada", "pipeline-execution.failed", execution, {"reason": "b"}))
    lines.append(Event(world._at(), "ada", "model.created", ref("model", "m")))
    with world.store.begin() as change:
        for line in lines:
            change.append(line)
    return world


def test_events_keep_the_rules_and_tell_the_story(happened):
    writer = RunEvents(happened.store, happened.lineage)
    events = [found for line in happened.store.events() if (found := writer.of(line))]
    for event in events:
        check_event(event)
    assert [(event["eventType"], event["job"]["name"]) for event in events] == [
        ("START", "p"),
        ("START", "p.Prep"),
        ("RUNNING", "p.Prep"),
        ("COMPLETE", "p.Prep"),
        ("START", "p.Fit"),
        ("RUNNING", "p.Fit"),
        ("FAIL", "p.Fit"),
        ("FAIL", "p"),
    ]
    complete = events[3]
    assert [one["name"] for one in complete["inputs"]] == ["raw"]
    assert [(one["namespace"], one["name"]) for one in complete["outputs"]] == [("s3://b", "out")]
    version = complete["outputs"][0]["facets"]["version"]["datasetVersion"]
    assert version == "sha256:" + b"out".hex().ljust(64, "0")
    assert complete["run"]["facets"]["parent"]["run"] == {"runId": events[0]["run"]["runId"]}
    assert events[6]["run"]["facets"]["errorMessage"]["message"] == "boom"
    assert len({event["run"]["runId"] for event in events}) == 3


def test_the_same_line_is_the_same_event(happened):
    writer = RunEvents(happened.store, happened.lineage)
    lines = happened.store.events()
    assert [writer.of(line) for line in lines] == [writer.of(line) for line in lines]


def test_a_name_that_is_used_again_is_another_run(world):
    job = ref("training-job", "j")
    with world.store.begin() as change:
        for word in ("created", "completed", "deleted", "created", "completed"):
            change.append(Event(world._at(), "ada", f"training-job.{word}", job))
    writer = RunEvents(world.store, world.lineage)
    found = [writer.of(line) for line in world.store.events()]
    runs = [event["run"]["runId"] for event in found if event]
    assert runs[0] == runs[1] != runs[2] == runs[3]


def test_a_file_gets_a_line_an_event_also_after_a_torn_one(happened, tmp_path):
    path = tmp_path / "deep" / "er" / "events.jsonl"
    sender = OpenLineage(RunEvents(happened.store, happened.lineage), path.as_uri())
    sender.send(happened.store.events())
    whole = path.read_text()
    assert len(whole.splitlines()) == 8
    for line in whole.splitlines():
        check_event(json.loads(line))
    path.write_text(whole + '{"torn":')
    sender.send(happened.store.events()[:1])
    lines = path.read_text().splitlines()
    assert (len(lines), lines[8]) == (10, '{"torn":')
    assert json.loads(lines[9]) == json.loads(lines[0])
    path.unlink()
    path.mkdir()
    with pytest.raises(Unavailable, match="cannot be written"):
        sender.send(happened.store.events())


class Endpoint(BaseHTTPRequestHandler):
    """Keeps what is posted; answers what the test says."""

    answers: list[int]
    got: list[dict]

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        code = self.answers.pop(0) if self.answers else 201
        if code < 400:
            self.got.append(json.loads(body))
        self.send_response(code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def endpoint():
    handler = type("Handler", (Endpoint,), {"answers": [], "got": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield handler, f"http://127.0.0.1:{server.server_port}/api/v1/lineage"
    server.shutdown()
    server.server_close()
    thread.join()


def test_an_endpoint_gets_every_event_again_when_it_was_not_there(happened, endpoint):
    handler, url = endpoint
    sender = OpenLineage(RunEvents(happened.store, happened.lineage), url)
    handler.answers[:] = [201, 503]
    with pytest.raises(Unavailable, match="answers 503"):
        sender.send(happened.store.events())
    sender.send(happened.store.events())
    assert [event["eventType"] for event in handler.got[1:]] == [
        *("START", "START", "RUNNING", "COMPLETE", "START", "RUNNING", "FAIL", "FAIL"),
    ]


def test_an_event_that_an_endpoint_refuses_does_not_hold_up_the_others(happened, endpoint, caplog):
    handler, url = endpoint
    sender = OpenLineage(RunEvents(happened.store, happened.lineage), url)
    handler.answers[:] = [400]
    sender.send(happened.store.events())
    assert len(handler.got) == 7
    assert "refuses an event with 400" in caplog.text


def test_an_endpoint_that_nobody_serves_is_tried_again(happened):
    sender = OpenLineage(RunEvents(happened.store, happened.lineage), "http://127.0.0.1:1/x")
    with pytest.raises(Unavailable, match="cannot be reached"):
        sender.send(happened.store.events())


@pytest.mark.parametrize(
    "url", ["", "events.jsonl", "ftp://x/y", "file://", "http://", "file://h/x"]
)
def test_other_targets_are_refused(happened, url):
    with pytest.raises(InvalidInput, match="is no place for events"):
        OpenLineage(RunEvents(happened.store, happened.lineage), url)
