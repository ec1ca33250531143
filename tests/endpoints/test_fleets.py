"""Fleets of real processes: started, asked, killed, resized, retired."""

from __future__ import annotations

import textwrap

import pytest
from tests.endpoints.fleet_world import invocation, opened

ECHO = textwrap.dedent(
    """
    import os
    def model_fn(folder): return os.getpid()
    def transform_fn(model, data, content_type, accept, context):
        context.set_response_header(0, "X-Amzn-SageMaker-Custom-Attributes", "seen")
        return f"{data}|{content_type}|{accept}|{context.custom_attributes}", "text/plain"
    """
)


@pytest.fixture
def world(tmp_path):
    with opened(tmp_path) as world:
        yield world


def test_a_script_answers(world):
    ref = world.create("one", {"code/inference.py": ECHO})
    assert world.state(ref).status == "InService", world.state(ref)
    reply = world.client(ref).ask(invocation(custom_attributes="mine"))
    assert reply.body == b"1,2\n|text/csv|application/json|mine"
    assert (reply.content_type, reply.custom_attributes, reply.status) == (
        "text/plain",
        "seen",
        200,
    )
