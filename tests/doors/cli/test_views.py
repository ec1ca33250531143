from __future__ import annotations

import json
import threading
from datetime import UTC, datetime

import pytest

from clary.config import Config
from clary.jobs.model import LOG_GROUPS
from clary.kernel.names import Ref, arn
from clary.kernel.resource import Bucket
from clary.platform import open_platform

ACCOUNT, REGION = "123456789012", "us-east-1"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/ClaryRole"
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"
FAILING = {
    "Version": "2020-12-01",
    "Parameters": [{"Name": "Why", "Type": "String", "DefaultValue": "no reason"}],
    "Steps": [
        {"Name": "Stop", "Type": "Fail", "Arguments": {"ErrorMessage": {"Get": "Parameters.Why"}}}
    ],
}


def ref(kind, name):
    return Ref(ACCOUNT, REGION, kind, name)


@pytest.fixture
def platform(home):
    return open_platform(Config(home=home))


@pytest.fixture
def pipeline(platform):
    request = {"PipelineName": "Sea", "RoleArn": ROLE, "PipelineDefinition": json.dumps(FAILING)}
    return platform.pipelines.create(ref("pipeline", "Sea"), request, actor="ada")


@pytest.fixture
def job(platform):
    request = {
        "ProcessingJobName": "prepare",
        "RoleArn": ROLE,
        "AppSpecification": {"ImageUri": IMAGE, "ContainerEntrypoint": ["python3", "x.py"]},
        "ProcessingResources": {
            "ClusterConfig": {
                "InstanceCount": 1,
                "InstanceType": "ml.m5.xlarge",
                "VolumeSizeInGB": 1,
            }
        },
    }
    return platform.jobs.create(ref("processing-job", "prepare"), request, actor="ada")


@pytest.fixture
def versions(platform):
    at = datetime.now(UTC)
    platform.objects.create_bucket(Bucket("sea", ACCOUNT, REGION, at))
    platform.models.create_group(
        ref("model-package-group", "rings"), {"ModelPackageGroupName": "rings"}, actor="ada"
    )
    for number in (1, 2):
        platform.objects.put("sea", f"model{number}.tar.gz", [b"weights"])
        request = {
            "ModelPackageGroupName": "rings",
            "InferenceSpecification": {
                "Containers": [{"Image": IMAGE, "ModelDataUrl": f"s3://sea/model{number}.tar.gz"}],
                "SupportedContentTypes": ["text/csv"],
                "SupportedResponseMIMETypes": ["text/csv"],
            },
        }
        platform.models.create_package(ref("model-package", "rings"), request, actor="ada")


@pytest.mark.parametrize("what", ["pipelines", "executions", "jobs", "models"])
def test_nothing_yet(clary, platform, what):
    said = clary(what, "list")
    assert (said.code, said.out) == (0, "")
    assert said.err
    assert clary(what, "list", "--json").json == []


def test_pipelines(clary, pipeline):
    [row] = clary("pipelines", "list", "--json").json
    assert (row["name"], row["version"], row["last execution"]) == ("Sea", 1, "")
    assert "Sea" in clary("pipelines", "list").out
    shown = clary("pipelines", "show", "Sea", "--json").json
    assert shown["PipelineDefinition"] == FAILING
    assert shown["PipelineArn"] == arn(pipeline.ref)
    assert '"Get": "Parameters.Why"' in clary("pipelines", "show", arn(pipeline.ref)).out
    missing = clary("pipelines", "show", "Land")
    hint = "  `clary pipelines list` names what there is\n"
    assert (missing.code, missing.err) == (1, f"clary: pipeline Land does not exist\n{hint}")


@pytest.mark.parametrize("what", ["pipelines", "executions", "jobs", "models"])
def test_an_arn_of_another_kind_is_refused(clary, platform, pipeline, what):
    other = ref("model" if what == "pipelines" else "pipeline", "Sea")
    said = clary(what, "show", arn(other))
    assert said.code == 1
    assert f"{arn(other)} is a {other.kind}; legal: " in said.err


def test_an_execution_from_start_to_its_reason(clary, platform, pipeline):
    started = clary("pipelines", "start", "Sea", "-p", "Why=storm, and more", "--json")
    name = started.json["execution"]
    assert "no server runs" in started.err
    platform.worker.start()
    ended = threading.Event()
    while clary("executions", "list", "--json").json[0]["status"] == "Executing":
        ended.wait(0.02)
    platform.worker.stop()
    [row] = clary("executions", "list", "--pipeline", "Sea", "--json").json
    assert (row["execution"], row["status"]) == (name, "Failed")
    assert "storm, and more" in row["reason"]
    shown = clary("executions", "show", name.partition("/")[2], "--json").json
    assert shown["Parameters"] == {"Why": "storm, and more"}
    assert [step["StepName"] for step in shown["Steps"]] == ["Stop"]
    assert "storm, and more" in clary("executions", "show", name).out
    again = clary("executions", "stop", name)
    assert again.code == 1
    assert "is Failed" in again.err
    assert clary("pipelines", "list", "--json").json[0]["status"] == "Failed"


def ended(clary, platform):
    """Let a worker run until nothing executes, and give the newest execution's row."""
    platform.worker.start()
    moment = threading.Event()
    while (row := clary("executions", "list", "--json").json[0])["status"] == "Executing":
        moment.wait(0.02)
    platform.worker.stop()
    return row


def test_a_failed_execution_goes_on(clary, home, pipeline):
    name = clary("pipelines", "start", "Sea").out.strip()
    assert ended(clary, open_platform(Config(home=home)))["status"] == "Failed"
    assert "goes on" in clary("executions", "retry", name).err
    assert clary("executions", "list", "--json").json[0]["status"] == "Executing"
    again = open_platform(Config(home=home))
    assert ended(clary, again)["status"] == "Failed"
    [step] = again.pipelines.steps(ref("pipeline-execution", name))
    assert step["AttemptCount"] == 2
    why = clary("executions", "why", name, "Stop")
    assert why.out == "its results are never reused: caching is not enabled for it\n"
    assert clary("executions", "why", name, "Stop", "--json").json["differences"] == []
    assert clary("executions", "why", name, "None").code == 1


def test_steps_can_be_selected(clary, platform, pipeline):
    words = ["--only", "Stop", "--version", "1", "--parallel", "2"]
    name = clary("pipelines", "start", "Sea", *words).out.strip()
    found = platform.pipelines.describe_execution(ref("pipeline-execution", name))
    assert found["SelectiveExecutionConfig"]["SelectedSteps"] == [{"StepName": "Stop"}]
    assert found["ParallelismConfiguration"] == {"MaxParallelExecutionSteps": 2}
    other = clary("pipelines", "start", "Sea", "--only", "Stop", "--from", name).out.strip()
    found = platform.pipelines.describe_execution(ref("pipeline-execution", other))
    source = found["SelectiveExecutionConfig"]["SourcePipelineExecutionArn"]
    assert source == arn(ref("pipeline-execution", name))
    assert "with --only" in clary("pipelines", "start", "Sea", "--from", name).err


@pytest.mark.parametrize("text", ["Why", "=x"])
def test_a_parameter_has_a_name_and_a_value(clary, pipeline, text):
    said = clary("pipelines", "start", "Sea", "-p", text)
    assert said.code == 1
    assert "legal: NAME=VALUE" in said.err


def test_a_running_execution_is_stopped(clary, platform, pipeline):
    name = clary("pipelines", "start", "Sea").out.strip()
    assert clary("executions", "stop", name).code == 0
    [row] = clary("executions", "list", "--json").json
    assert row["status"] == "Stopping"


def test_jobs(clary, job):
    [row] = clary("jobs", "list", "--json").json
    assert (row["job"], row["kind"], row["status"]) == ("prepare", "processing", "InProgress")
    assert "working on  1 processing-job\n" in clary("status").out
    assert clary("jobs", "list", "--kind", "training", "--json").json == []
    assert clary("jobs", "list", "--status", "Failed", "--json").json == []
    assert clary("jobs", "list", "--kind", "other").code == 2
    shown = clary("jobs", "show", "prepare", "--json").json
    assert shown["ProcessingJobArn"] == arn(job.ref)
    assert clary("jobs", "stop", "prepare").code == 0
    assert clary("jobs", "list", "--json").json[0]["status"] == "Stopping"
    assert "prepare" in clary("jobs", "list").out
    assert clary("status", "--json").json["working on"]["processing-job"] == 1


def test_logs_of_every_host_in_order(clary, platform, job):
    assert "has logged nothing yet" in clary("logs", "prepare").err
    group = LOG_GROUPS["processing-job"]
    for host in ("algo-1", "algo-2"):
        path = platform.logs.path(ACCOUNT, REGION, group, f"prepare/{host}-17")
        path.write_text(f"1000 {host} begins\n2000 colour \x1b[31mred\n")
    said = clary("logs", "prepare").out
    assert said == (
        "algo-1  algo-1 begins\nalgo-1  colour �[31mred\n"
        "algo-2  algo-2 begins\nalgo-2  colour �[31mred\n"
    )
    lines = [json.loads(line) for line in clary("logs", "prepare", "--json").out.splitlines()]
    assert lines[0] == {
        "at": "1970-01-01T00:00:01Z",
        "stream": "prepare/algo-1-17",
        "text": "algo-1 begins",
    }


def test_following_a_log_ends_with_the_job(clary, platform, job):
    platform.jobs.stop(job.ref, actor="ada")
    platform.worker.start()
    try:
        assert clary("logs", "--follow", "prepare").code == 0
    finally:
        platform.worker.stop()
    assert clary("jobs", "list", "--json").json[0]["status"] == "Stopped"


def test_model_versions_are_decided_on(clary, platform, versions):
    rows = clary("models", "list", "--json").json
    assert [row["version"] for row in rows] == ["rings/2", "rings/1"]
    assert {row["approval"] for row in rows} == {"PendingManualApproval"}
    assert clary("models", "approve", "rings/1", "--note", "good enough").code == 0
    assert clary("models", "reject", "rings").err == "model-package rings/2 is Rejected\n"
    shown = clary("models", "show", "rings/1", "--json").json
    assert (shown["ModelApprovalStatus"], shown["ApprovalDescription"]) == (
        "Approved",
        "good enough",
    )
    assert clary("models", "show", shown["ModelPackageArn"], "--json").json == shown
    assert clary("models", "show", "rings", "--json").json["ModelApprovalStatus"] == "Rejected"
    assert len(clary("models", "list", "rings", "--json").json) == 2
    for name in ("rings/3", "stones", "rings/x"):
        assert clary("models", "show", name).code == 1


def test_lineage(clary, versions):
    tree = clary("lineage", "rings/1", "--json").json
    assert tree["ref"]["version"] == 1
    assert tree["children"][0]["uri"] == "s3://sea/model1.tar.gz"
    said = clary("lineage", "rings/1").out
    assert said.startswith("model-package rings/1\n")
    assert f"sha256:{tree['children'][0]['digest']}" in said


def test_lineage_down_to_a_depth_and_as_a_drawing(clary, versions):
    uri = "s3://sea/model1.tar.gz"
    said = clary("lineage", uri, "--down").out
    assert said.splitlines()[1].endswith("model: model-package rings/1")
    assert clary("lineage", uri, "--down", "--depth", "1", "--json").json["children"] != []
    drawn = clary("lineage", "rings/1", "--draw", "mermaid").out
    assert drawn.startswith("flowchart LR\n")
    assert f'n1[("{uri} ' in drawn
    assert 'n1 -->|"model"| n0' in drawn
    drawn = clary("lineage", "rings/1", "--draw", "dot").out
    assert drawn.startswith("digraph lineage {\n")
    assert 'n1 -> n0 [label="model"];' in drawn
    arn = "arn:aws:sagemaker:us-east-1:123456789012:model-package/rings/1"
    assert clary("lineage", arn).out.startswith("model-package rings/1\n")
    for thing in ("s3://sea/none", f"{arn}9", "stones"):
        assert clary("lineage", thing).code == 1


def test_status_without_a_server(clary, platform, home):
    assert "none runs" in clary("status").out
    shown = clary("status", "--json").json
    assert (shown["home"], shown["server"]) == (str(home), None)


def test_doctor(clary, platform, home):
    said = clary("doctor", "--json")
    found = {row["what"]: row["is"] for row in said.json}
    assert found["python"] == found["keys"] == "ok"
    assert any(what.startswith("jobs") for what in found)
    (home / "credentials.json").chmod(0o644)
    said = clary("doctor")
    assert said.code == 1
    assert "chmod 600" in said.out


def test_doctor_makes_no_home(clary, home):
    said = clary("doctor", "--json")
    assert {"what": "home", "is": "note"}.items() <= next(
        row for row in said.json if row["what"] == "home"
    ).items()
    assert not home.exists()
