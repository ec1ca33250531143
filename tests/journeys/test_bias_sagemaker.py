"""Bias measured by the unmodified SDK, in jobs of the Clarify image."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
import xgboost

PROGRAM = Path(__file__).parent / "sdk/bias.py"
EXAMPLES = Path(__file__).parents[3] / "shared/examples/monitoring"
REGISTRY = "683313688378.dkr.ecr.us-east-1.amazonaws.com"


def measured(done):
    assert done.returncode == 0, done.stdout + done.stderr
    lines = dict(line.split(" ", 1) for line in done.stdout.splitlines() if " " in line)
    return json.loads(lines["ANALYSIS"]), lines


def test_of_data(sdk):
    data = EXAMPLES / "pipeline__clarify_check_step__dataset.csv"
    if not data.exists():
        pytest.skip("needs the recorded examples")
    found, _ = measured(sdk(PROGRAM, "data", str(data), "Label,F1,F2,F3,F4", "F1"))
    recorded = EXAMPLES / "pipeline__clarify_check_step__data_bias__good_cases__analysis.json"
    wanted = json.loads(recorded.read_text("utf-8"))["pre_training_bias_metrics"]
    ours = found["pre_training_bias_metrics"]
    assert (ours["label"], ours["label_value_or_threshold"]) == ("Label", "1")
    (facet,) = ours["facets"]["F1"]
    assert facet["value_or_threshold"] == wanted["facets"]["F1"][0]["value_or_threshold"]
    for metric, theirs in zip(facet["metrics"], wanted["facets"]["F1"][0]["metrics"], strict=True):
        assert (metric["name"], metric["description"]) == (theirs["name"], theirs["description"])
        assert metric["value"] == pytest.approx(theirs["value"], abs=1e-6)


def test_of_a_models_predictions_and_its_live_answers(home, sdk, tmp_path):
    draw = np.random.default_rng(7)
    features = draw.random((400, 2))
    labels = (features[:, 0] + draw.normal(scale=0.3, size=400) > 0.5).astype(int)
    booster = xgboost.train(
        {"objective": "binary:logistic", "max_depth": 2, "nthread": 1},
        xgboost.DMatrix(features, labels),
        5,
    )
    booster.save_model(tmp_path / "xgboost-model.ubj")
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        tar.add(tmp_path / "xgboost-model.ubj", "xgboost-model")
    s3, sagemaker = home.client("s3"), home.client("sagemaker")
    s3.create_bucket(Bucket="models")
    s3.put_object(Bucket="models", Key="model.tar.gz", Body=archive.getvalue())
    sagemaker.create_model(
        ModelName="scorer",
        ExecutionRoleArn="arn:aws:iam::123456789012:role/ClaryRole",
        PrimaryContainer={
            "Image": f"{REGISTRY}/sagemaker-xgboost:1.7-1",
            "ModelDataUrl": "s3://models/model.tar.gz",
        },
    )
    rows = np.column_stack([labels, features])
    np.savetxt(tmp_path / "rows.csv", rows, delimiter=",", fmt=["%d", "%.17g", "%.17g"])
    said, lines = measured(sdk(PROGRAM, "model", str(tmp_path / "rows.csv"), "Label,F1,F2", "F2"))
    assert lines["CONSTRAINTS"].endswith("/bias/model/out/analysis.json")
    assert lines["LEFT"] == "[] []"
    (facet,) = said["post_training_bias_metrics"]["facets"]["F2"]
    values = {one["name"]: one["value"] for one in facet["metrics"]}
    scores = booster.predict(xgboost.DMatrix(features)) > 0.4
    sensitive = features[:, 1] > 0.5
    assert values["DPPL"] == pytest.approx(scores[~sensitive].mean() - scores[sensitive].mean())
    assert len(values) == 13
    assert [name for name, value in values.items() if value is None] == ["CDDPL"]
    assert lines["EXECUTION"] == "CompletedWithViolations None"
    broken = {one["metric_name"]: one for one in json.loads(lines["VIOLATIONS"])}
    assert broken["DPPL"]["facet"] == "F2"
    assert broken["DPPL"]["facet_value"] == "0.5"
    assert "CDDPL" not in broken


def test_facets_and_predictions_in_files_of_their_own(home):
    s3, sagemaker = home.client("s3"), home.client("sagemaker")
    s3.create_bucket(Bucket="parts")
    config = {
        "dataset_type": "text/csv",
        "headers": ["id", "y", "x"],
        "label": "y",
        "joinsource_name_or_index": "id",
        "label_values_or_threshold": [1],
        "facet": [{"name_or_index": "sex", "value_or_threshold": ["F"]}],
        "facet_dataset_uri": "s3://parts/facets/",
        "facet_headers": ["id", "sex"],
        "predicted_label_dataset_uri": "s3://parts/predictions.csv",
        "predicted_label_headers": ["guess"],
        "predicted_label": "guess",
        "methods": {"post_training_bias": {"methods": ["DPPL", "FT"]}},
    }
    objects = {
        "config.json": json.dumps(config),
        "rows.csv": "1,0,0.5\n2,1,1.5\n3,0,2.5\n4,1,3.5\n",
        "facets/a": "4,F\n3,M\n",
        "facets/b": "2,F\n1,M\n",
        "predictions.csv": "0\n1\n0\n0\n",
    }
    for key, text in objects.items():
        s3.put_object(Bucket="parts", Key=key, Body=text.encode())
    mode = {"S3DataType": "S3Prefix", "S3InputMode": "File"}
    places = {"data": "rows.csv", "config": "config.json"}
    root = "/opt/ml/processing"
    output = {"S3Uri": "s3://parts/out", "LocalPath": f"{root}/output"}
    output["S3UploadMode"] = "EndOfJob"
    sagemaker.create_processing_job(
        ProcessingJobName="parts",
        RoleArn="arn:aws:iam::123456789012:role/ClaryRole",
        AppSpecification={"ImageUri": f"{REGISTRY}/sagemaker-clarify-processing:1.0"},
        ProcessingResources={
            "ClusterConfig": {
                "InstanceCount": 1,
                "InstanceType": "ml.m5.large",
                "VolumeSizeInGB": 1,
            }
        },
        ProcessingInputs=[
            {
                "InputName": word,
                "S3Input": {
                    "S3Uri": f"s3://parts/{key}",
                    "LocalPath": f"{root}/input/{word}",
                    **mode,
                },
            }
            for word, key in places.items()
        ],
        ProcessingOutputConfig={"Outputs": [{"OutputName": "out", "S3Output": output}]},
    )
    waiter = sagemaker.get_waiter("processing_job_completed_or_stopped")
    waiter.wait(ProcessingJobName="parts", WaiterConfig={"Delay": 0.2, "MaxAttempts": 300})
    found = sagemaker.describe_processing_job(ProcessingJobName="parts")
    assert found["ExitMessage"] == "Completed: Job completed successfully with no violations."
    said = json.loads(s3.get_object(Bucket="parts", Key="out/analysis.json")["Body"].read())
    (facet,) = said["post_training_bias_metrics"]["facets"]["sex"]
    values = {one["name"]: one["value"] for one in facet["metrics"]}
    assert values == {"DPPL": -0.5, "FT": 0.5}
