"""Calls of functions in real processes, step by step."""

import io
import json
import threading
import zipfile
from dataclasses import replace
from datetime import timedelta

import pytest

from clary.adapters.files import FileObjects
from clary.adapters.logfiles import LogFiles
from clary.adapters.process.runner import ProcessRunner
from clary.adapters.sqlite import SqliteStore
from clary.functions.invocations import Invocations, Tools
from clary.functions.model import FUNCTION, Asked
from clary.functions.service import Functions
from clary.kernel.clock import now
from clary.kernel.names import Ref

REF = Ref("123456789012", "us-east-1", FUNCTION, "f")
HANDLERS = """
import os

def fine(event, context):
    return {"got": event, "reached": os.environ["REACHED"]}

def wrong(event, context):
    raise ValueError("no such table")
"""


class World:
    """Everything functions need, below one directory."""

    def __init__(self, home):
        self.store = SqliteStore(home / "metadata.db")
        objects = FileObjects(home / "buckets")
        self.runner = ProcessRunner(home / "processes")
        self.functions = Functions(self.store, objects)
        tools = Tools(
            self.store,
            self.store,
            objects,
            self.runner,
            LogFiles(home / "logs"),
            lambda ref, role: {"REACHED": role},
        )
        self.invocations = Invocations(tools)

    def make(self, handler):
        package = io.BytesIO()
        with zipfile.ZipFile(package, "w") as made:
            made.writestr("app.py", HANDLERS)
        request = {
            "Runtime": "python3.11",
            "Handler": f"app.{handler}",
            "Role": "arn:aws:iam::123456789012:role/reader",
            "Code": {"ZipFile": package.getvalue()},
            "Timeout": 60,
        }
        self.functions.create(REF, request, actor="ada")

    def run(self, call):
        return self.invocations.run(self.store.get(call), threading.Event())


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path)
    yield made
    made.store.close()


def test_a_call_outlives_the_worker_that_began_it(world):
    world.make("fine")
    call = world.invocations.start(REF, Asked(b'{"n": 1}', "ada"))
    stopping = threading.Event()
    stopping.set()
    assert world.invocations.run(world.store.get(call), stopping) is not None  # begun, left alone
    _, begun = world.invocations.get(call)
    assert world.runner.status(begun.process) is not None
    due_at = world.run(call)
    status, done = world.invocations.get(call)
    assert (status, json.loads(done.result)) == (
        "Succeeded",
        {"got": {"n": 1}, "reached": "reader"},
    )
    assert world.runner.status(begun.process) is None
    assert world.run(call) == due_at > now()
    ended = world.store.get(call)
    long_ago = replace(ended, modified_at=ended.modified_at - timedelta(hours=1))
    assert world.invocations.run(long_ago, stopping) is None
    assert world.store.get(call) is None  # read, or not: forgotten


def test_an_event_that_fails_is_tried_three_times(world):
    world.make("wrong")
    call = world.invocations.start(REF, Asked(b"", "ada", again=2))
    for minutes in (1, 2):
        due_at = world.run(call)
        assert timedelta() < due_at - now() - timedelta(minutes=minutes - 1) < timedelta(minutes=1)
        assert world.invocations.get(call)[0] == "Executing"
    world.run(call)
    status, done = world.invocations.get(call)
    assert (status, done.attempt, done.failure.error_message) == ("Failed", 2, "no such table")


def test_a_call_keeps_the_code_it_was_made_with(world):
    world.make("fine")
    call = world.invocations.start(REF, Asked(b"", "ada"))
    world.functions.update_configuration(REF, {"Handler": "app.wrong"}, actor="ada")
    world.run(call)
    assert world.invocations.get(call)[0] == "Succeeded"


def test_code_that_is_gone_fails_the_call(world):
    world.make("fine")
    call = world.invocations.start(REF, Asked(b"", "ada"))
    world.functions.delete(REF, actor="ada")
    world.run(call)
    status, done = world.invocations.get(call)
    assert (status, done.failure.error_type) == ("Failed", "Runtime.StartError")
