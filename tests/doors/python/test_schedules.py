"""Pipelines that start by themselves."""

from __future__ import annotations

import time

import pytest

import clary
from clary.kernel.clock import now
from clary.kernel.errors import InvalidInput, NotFound
from clary.kernel.resource import Event, Query

PATIENCE_S = 60.0


@clary.step
def told(word: str) -> str:
    return word


@clary.pipeline
def tell(word: str = "nothing", name: str = "") -> None:
    told(word)


@clary.pipeline
def needs(word: str) -> None:
    told(word)


@clary.pipeline
def listen(word: str = "nothing") -> None:
    told(word)


def started(session, pipeline):
    session.work()
    ref = session.ref("pipeline", pipeline.name)
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        found = session.platform.pipelines.last_execution(ref)
        if found is not None:
            return session.execution(found.ref.name.rpartition("/")[2]).wait()
        time.sleep(0.05)
    raise TimeoutError(pipeline.name)


def test_a_pipeline_starts_at_known_times(session):
    tell.schedule("rate(1 day)", {"word": "morning", "name": "any"})  # a rate begins at once
    assert started(session, tell)["told"].result() == "morning"
    tell.unschedule()
    with pytest.raises(NotFound):
        tell.unschedule()


def test_a_pipeline_starts_when_something_happens(session):
    pattern = {"source": ["aws.sagemaker"], "detail": {"ModelApprovalStatus": ["Approved"]}}
    listen.on(pattern, {"word": "approved"})
    platform = session.platform
    group, version = session.ref("model-package-group", "m"), session.ref("model-package", "m")
    platform.models.create_group(group, {"ModelPackageGroupName": "m"}, actor="me")
    made = platform.models.create_package(
        version, {"ModelPackageGroupName": "m", "ModelApprovalStatus": "Approved"}, actor="me"
    )
    with platform.store.begin() as change:
        change.append(Event(now(), "me", "model-package.updated", made.ref))
    assert started(session, listen)["told"].result() == "approved"
    listen.off()
    with pytest.raises(NotFound):
        listen.off()


@pytest.mark.parametrize(
    ("expression", "arguments", "problem"),
    [
        ("every day", {}, "every day"),
        ("rate(0 days)", {}, "rate"),
        ("cron(0 6 * * * *)", {}, "cron"),
        ("rate(1 day)", {"wrod": "x"}, "wrod"),
    ],
)
def test_what_can_never_start_is_refused(session, expression, arguments, problem):
    with pytest.raises(InvalidInput, match=problem):
        tell.schedule(expression, arguments)


@pytest.mark.parametrize(
    "begin",
    [
        needs.start,
        lambda: needs.schedule("rate(1 day)"),
        lambda: needs.on({"source": ["aws.sagemaker"]}),
    ],
)
def test_an_argument_without_a_default_must_be_given(session, begin):
    with pytest.raises(InvalidInput, match="needs, word: has no default and is missing"):
        begin()
    schedules = Query("schedule", session.account, name_contains="needs")
    assert session.platform.store.select(schedules).items == []
