"""What changed upstream of an endpoint between two moments, by journal and lineage."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from tests.monitoring.world import ACCOUNT, BUCKET, REGION

from clary.kernel.names import Ref
from clary.kernel.resource import Event, Link, Resource
from clary.lineage.model import Artifact
from clary.lineage.service import Lineage
from clary.monitoring.upstream import MOST_CHANGES, Upstream

T0 = datetime(2026, 1, 31, 9, tzinfo=UTC)


def at(minutes):
    return T0 + timedelta(minutes=minutes)


def ref(kind, name, version=0):
    return Ref(ACCOUNT, REGION, kind, name, version)


ENDPOINT = ref("endpoint", "prices")
GROUP, VIEW = ref("feature-group", "houses"), ref("feature-view", "houses", 1)


class Story:
    """Writes what happened into the store of a world."""

    def __init__(self, world):
        self.store = world.store
        self.lineage = Lineage(world.store)

    def make(self, what, minute, parent=None, status=""):
        with self.store.begin() as change:
            change.insert(Resource(what, {}, at(minute), at(minute), status, parent))

    def note(self, what, action, minute, **detail):
        with self.store.begin() as change:
            change.append(Event(at(minute), "ada", f"{what.kind}.{action}", what, detail))

    def link(self, source, target, kind="ContributedTo"):
        with self.store.begin() as change:
            change.link(Link(source, kind, target))

    def model(self, name, data, minute, version):
        """Register, by a job of a pipeline, a version of a model that is made from some data."""
        execution = ref("pipeline-execution", f"fit/run{version}")
        self.make(execution, minute, ref("pipeline", "fit"), "Succeeded")
        job, package = ref("training-job", f"fit-{version}"), ref("model-package", "m", version)
        self.make(job, minute, execution)
        self.make(package, minute)
        made = Artifact(f"{name}weights", f"s3://{BUCKET}/{name}/model", "object", 1)
        used = [("rows", Artifact(f"{data}digest", f"s3://{BUCKET}/{data}", "object", 1))]
        code = [("code", Artifact("samecode", f"s3://{BUCKET}/code", "object", 1))]
        with self.store.begin() as change:
            self.lineage.record(change, job, inputs=used, outputs=[("model", made)], code=code)
            self.lineage.record(change, package, inputs=[("model", made)])
        self.make(ref("model", name), minute)
        self.link(package, ref("model", name))

    def deploy(self, name, minute):
        variants = [{"name": "AllTraffic", "model": name, "choice": ""}]
        self.note(ENDPOINT, "in-service", minute, config=f"{name}-config", variants=variants)
        self.link(ref("model", name), ENDPOINT)


@pytest.fixture
def story(world):
    found = Story(world)
    found.make(ENDPOINT, 0)
    found.model("old", "first.csv", 0, 1)
    found.deploy("old", 1)
    return found


def told(story, since, until, watched=(ENDPOINT,)):
    found = Upstream(story.store).changes(watched, at(since), at(until))
    return [f"{one.of} {one.what}" for one in found]


def test_nothing_has_changed_where_nothing_did(story):
    assert told(story, 2, 60) == []


def test_a_new_model_and_what_it_was_made_from_are_told(story):
    story.model("new", "second.csv", 10, 2)
    story.deploy("new", 12)
    said = told(story, 5, 60)
    assert (
        "endpoint prices was deployed by configuration new-config: model new (AllTraffic)" in said
    )
    another = "is another rows: sha256:second.csvdi, where it was first.csvdig"
    assert f"s3://{BUCKET}/second.csv {another}" in said
    assert not [one for one in said if "code" in one]
    assert "pipeline-execution fit/run2 was started; it is Succeeded" in said
    assert told(story, 13, 60) == []
    assert told(story, 5, 9) == []
    with story.store.begin() as change:
        for name in ("old", "new"):
            change.delete(ref("model", name))
    assert told(story, 5, 60) == said


def test_features_and_approvals_are_counted(story):
    story.make(GROUP, 0)
    story.make(VIEW, 0)
    story.link(GROUP, VIEW)
    story.link(VIEW, ref("model", "old"))
    for minute in (3, 6, 7):
        story.note(GROUP, "ingested", minute)
    story.note(GROUP, "updated", 8)
    story.note(
        ref("model-package", "m", 1), "updated", 9, after={"ModelApprovalStatus": "Approved"}
    )
    story.note(ref("pipeline", "fit"), "updated", 10)
    story.make(ref("feature-view", "houses", 2), 11)
    assert told(story, 5, 60) == [
        "feature-group houses was ingested 2 times, the last time then",
        "feature-group houses was updated",
        "model-package m/1 was set to Approved",
        "pipeline fit was updated",
        "feature-view houses/2 was made, after version 1",
    ]


def test_contents_that_were_looked_at_lead_to_who_made_them(story):
    story.note(ref("pipeline", "fit"), "updated", 10)
    [content] = [
        link.target
        for link in story.store.links(ref("training-job", "fit-1"), incoming=False)
        if link.kind == "Produced"
    ]
    assert told(story, 5, 60, [content]) == ["pipeline fit was updated"]


def test_what_is_gone_tells_nothing_and_the_list_is_bounded(story):
    assert told(story, 0, 60, [ref("endpoint", "none"), ref("artifact", "none")]) == []
    story.make(GROUP, 0)
    story.link(GROUP, ref("model", "old"))
    for number in range(MOST_CHANGES + 9):
        story.note(GROUP, f"done-{number}", 10 + number)
    said = told(story, 5, 600)
    assert len(said) == MOST_CHANGES
    assert said[-1] == f"feature-group houses was done {MOST_CHANGES + 8}"
