"""Deploying from a notebook: the unmodified SDK makes, asks, updates and deletes endpoints."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from botocore.exceptions import ClientError


@pytest.mark.timeout(300)
def test_a_notebook_deploys_predicts_updates_and_deletes(sdk, home):
    done = sdk(Path(__file__).parent / "sdk" / "deploy.py")
    assert done.returncode == 0, done.stderr[-4000:]
    assert "DEPLOYED arn:aws:sagemaker:" in done.stdout
    sagemaker = home.client("sagemaker")
    while sagemaker.list_endpoints()["Endpoints"]:
        time.sleep(0.05)
    left = sagemaker.list_endpoint_configs()["EndpointConfigs"]
    assert [one["EndpointConfigName"] for one in left] == ["deployed-by-model"]  # it was replaced
    with pytest.raises(ClientError, match="Could not find model"):
        sagemaker.describe_model(ModelName="deployed-model")
    log = (home.path / "server.log").read_text()
    assert " 500 " not in log
