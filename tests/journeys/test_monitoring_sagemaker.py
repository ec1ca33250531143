"""Monitoring from a notebook: the unmodified SDK's monitors watch an endpoint."""

from __future__ import annotations

from pathlib import Path

import pytest

SDK = Path(__file__).parent / "sdk"


@pytest.mark.timeout(300)
def test_a_notebook_watches_an_endpoint(sdk, home):
    done = sdk(SDK / "monitoring.py")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    assert done.stdout.endswith("MONITORED\n")
    sagemaker = home.client("sagemaker")
    listed = sagemaker.list_monitoring_executions(MonitoringScheduleName="data")
    [execution] = listed["MonitoringExecutionSummaries"]  # it outlives its schedule
    job = execution["ProcessingJobArn"].rpartition("/")[2]
    ended = sagemaker.describe_processing_job(ProcessingJobName=job)
    assert ended["ExitMessage"].startswith("CompletedWithViolations: ")
    metrics = home.client("cloudwatch").list_metrics(
        Namespace="aws/sagemaker/Endpoints/data-metrics"
    )["Metrics"]
    where = [
        {"Name": "Endpoint", "Value": "watched"},
        {"Name": "MonitoringSchedule", "Value": "data"},
    ]
    assert any(one["Dimensions"][:2] == where for one in metrics), metrics
    log = (home.path / "server.log").read_text()
    assert " 500 " not in log


@pytest.mark.timeout(300)
def test_a_pipeline_checks_data_models_and_bias_against_the_registry(sdk):
    done = sdk(SDK / "check_steps.py")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    assert done.stdout.endswith("CHECKED\n")
