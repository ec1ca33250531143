"""Tuning with the unmodified SDK: fit, analytics, attach, warm start, several, in a pipeline."""

from __future__ import annotations

import json
from pathlib import Path


def test_a_tuner_and_a_tuning_step(sdk, home):
    done = sdk(Path(__file__).parent / "sdk" / "tune.py")
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
    told = json.loads(done.stdout.rpartition("TUNED ")[2])
    assert len(told["values"]) == 3
    ranked = sorted(zip(told["values"], told["jobs"], strict=True))
    assert told["best"] == told["attached"] == told["estimator"] == ranked[0][1]
    assert told["warm"] in {*told["jobs"], told["own"]}
    assert told["grid"] == 2
    assert told["algorithms"] == ["other", "other", "plain", "plain"]
    client = home.client("sagemaker")
    steps = client.list_pipeline_execution_steps(PipelineExecutionArn=told["execution"])
    statuses = {one["StepName"]: one["StepStatus"] for one in steps["PipelineExecutionSteps"]}
    assert statuses["Tune"] == "Succeeded"
    arns = [
        one["Metadata"]["TuningJob"]["Arn"]
        for one in steps["PipelineExecutionSteps"]
        if one["StepName"] == "Tune"
    ]
    tuning = arns[0].rpartition("/")[2]
    found = client.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=tuning)
    best = found["BestTrainingJob"]["TrainingJobName"]
    models = client.list_models()["Models"]
    urls = [
        client.describe_model(ModelName=one["ModelName"])["PrimaryContainer"]["ModelDataUrl"]
        for one in models
    ]
    assert any(url.endswith(f"/{best}/output/model.tar.gz") for url in urls)
    [cached] = [
        one["CacheHitResult"]["SourcePipelineExecutionArn"]
        for one in client.list_pipeline_execution_steps(PipelineExecutionArn=told["again"])[
            "PipelineExecutionSteps"
        ]
        if one["StepName"] == "Tune"
    ]
    assert cached == told["execution"]
    assert " 500 " not in (home.path / "server.log").read_text()
