"""Definitions with anything in any place: refused in words, or run to an end; never a crash."""

import copy
import json
import random
from pathlib import Path

import pytest
from tests.pipelines.conftest import PIPELINE, ROLE

from clary.config import Config
from clary.kernel.errors import ClaryError
from clary.platform import open_platform

EXAMPLE = Path(__file__).parents[2] / "examples" / "abalone" / "definition.json"
JUNK = [
    *(None, True, 0, -1, 1e9, "", "x", [], {}, [[]], [None], ["x"], {"a": 1}, [{"OutputName": 1}]),
    {"Get": "Parameters.MseThreshold"},
    {"Get": "Steps.AbaloneTrain.ModelArtifacts.S3ModelArtifacts"},
    {"Get": 1},
    {"Std:Join": {"On": "/", "Values": [{"Get": "Execution.PipelineName"}]}},
    {"Std:Join": []},
]


def places(value, path=()):
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        yield (*path, key)
        if isinstance(item, dict | list):
            yield from places(item, (*path, key))


def spoilt(document, luck):
    """Put junk in, or take out, a place or two."""
    document = copy.deepcopy(document)
    for _ in range(luck.choice([1, 1, 2])):
        *path, last = luck.choice(list(places(document)))
        holder = document
        for key in path:
            holder = holder[key]
        if luck.random() < 0.3:
            del holder[last]
        else:
            holder[last] = copy.deepcopy(luck.choice(JUNK))
    return document


@pytest.fixture(scope="module")
def platform(tmp_path_factory):
    return open_platform(Config(home=tmp_path_factory.mktemp("home")))


def create(platform, luck):
    text = json.dumps(spoilt(json.loads(EXAMPLE.read_text()), luck))
    request = {"PipelineName": "abalone", "RoleArn": ROLE, "PipelineDefinition": text}
    try:
        platform.pipelines.create(PIPELINE, request, actor="ada")
    except ClaryError:
        pass
    else:
        platform.pipelines.delete(PIPELINE, actor="ada")


def test_spoilt_definitions_are_refused_or_made(platform):
    luck = random.Random(20261122)
    for _ in range(400):
        create(platform, luck)


@pytest.mark.long
def test_many_spoilt_definitions_are_refused_or_made(platform):
    luck = random.Random(1)
    for _ in range(5_000):
        create(platform, luck)
