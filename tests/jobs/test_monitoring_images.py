"""Monitoring's images: programs of the server's own environment, whose versions are recorded."""

from __future__ import annotations

from importlib import metadata

import pytest

from clary.jobs import images


@pytest.mark.parametrize(
    ("image", "program"),
    [
        ("sagemaker-clarify-processing:1.0", "clarify"),
        ("sagemaker-model-monitor-analyzer", "analyzer"),
    ],
)
def test_their_programs_and_versions(image, program):
    image = f"205585389593.dkr.ecr.us-east-1.amazonaws.com/{image}"
    runtime = images.runtime(image, field="Image")
    assert runtime.command == ("python3", "-m", f"clary.monitoring.programs.{program}")
    assert images.exact(runtime) == images.usual(runtime) == images.Contents(())
    ran = images.ran(runtime)
    for package in ("clary", "duckdb", "scipy"):
        assert ran[package] == metadata.version(package)
