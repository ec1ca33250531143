"""What tests of monitoring share."""

import pytest
from tests.monitoring.world import World


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path / "home")
    world.bucket()
    yield world
    world.close()
