"""The built-in XGBoost end to end: train, look at the model, transform a batch."""

from __future__ import annotations

import io
import json
import pickle
import random
import tarfile

import pytest
import xgboost
from tests.jobs.conftest import BUCKET, XGBOOST, job, make_model, training, transform

PARAMETERS = {
    "objective": "reg:linear",
    "num_round": "8",
    "max_depth": "3",
    "eta": "0.3",
    "subsample": "0.9",
    "seed": "1",
}


def table(rows, seed, *, label=True):
    draw = random.Random(seed)
    lines = []
    for _ in range(rows):
        x = [draw.uniform(-1, 1) for _ in range(3)]
        y = 2 * x[0] - x[1] + 0.1 * draw.gauss(0, 1)
        lines.append(",".join(f"{v:.5f}" for v in ([y, *x] if label else x)))
    return "\n".join(lines) + "\n"


def put_data(world):
    world.put("d/train/train.csv", table(200, 1))
    world.put("d/validation/validation.csv", table(80, 2))
    world.put("d/train/_ignored", "this is no number\n")
    return {"train": f"s3://{BUCKET}/d/train", "validation": f"s3://{BUCKET}/d/validation"}


def model_member(world, uri):
    data = world.read(uri.removeprefix(f"s3://{BUCKET}/"))
    with tarfile.open(fileobj=io.BytesIO(data)) as opened:
        assert opened.getnames() == ["xgboost-model"]
        return opened.extractfile("xgboost-model").read()


@pytest.mark.parametrize("tag", ["1.0-1-cpu-py3", "1.2-1", "1.3-1", "1.5-1", "1.7-1", "3.0-5"])
def test_every_image_trains_and_scores(world, tag):
    image = XGBOOST.format(tag)
    ref = job("training", "t")
    done = world.run(ref, training(image, put_data(world), PARAMETERS))
    assert done["TrainingJobStatus"] == "Completed", world.log(ref)
    uri = done["ModelArtifacts"]["S3ModelArtifacts"]
    assert uri == f"s3://{BUCKET}/models/t/output/model.tar.gz"
    data = model_member(world, uri)
    if tag in {"1.0-1-cpu-py3", "1.2-1"}:
        booster = pickle.loads(data)
    else:
        booster = xgboost.Booster()
        booster.load_model(bytearray(data))
    assert booster.num_boosted_rounds() == 8

    make_model(world, "m", uri, image)
    world.put("batch/part.csv", rows := table(7, 3, label=False))
    batch = job("transform", "b")
    scored = world.run(batch, transform("m", f"s3://{BUCKET}/batch"))
    assert scored["TransformJobStatus"] == "Completed", world.log(batch)
    scores = [float(line) for line in world.read("scores/part.csv.out").decode().splitlines()]
    matrix = [[float(x) for x in line.split(",")] for line in rows.splitlines()]
    expected = booster.predict(xgboost.DMatrix(matrix)).tolist()
    assert scores == pytest.approx(expected, rel=1e-5)


def test_metrics_log_lines_and_transitions(world):
    ref = job("training", "metrics")
    request = training(XGBOOST.format("1.5-1"), put_data(world), PARAMETERS)
    done = world.run(ref, request)
    lines = [line for line in world.log(ref) if line.startswith("[")]
    assert [line.split("\t")[0] for line in lines] == [f"[{n}]" for n in range(8)]
    words = [part.split(":")[0] for part in lines[0].split("\t")[1:]]
    assert words == ["train-rmse", "validation-rmse"]
    last = dict(part.rsplit(":", 1) for part in lines[-1].split("\t")[1:])
    metrics = {one["MetricName"]: one["Value"] for one in done["FinalMetricDataList"]}
    assert metrics == {
        "train:rmse": float(last["train-rmse"]),
        "validation:rmse": float(last["validation-rmse"]),
    }
    transitions = done["SecondaryStatusTransitions"]
    assert [one["Status"] for one in transitions] == [
        *("Starting", "Downloading", "Training", "Uploading", "Completed"),
    ]
    assert all(one["EndTime"] >= one["StartTime"] for one in transitions)
    assert done["SecondaryStatus"] == "Completed"
    assert done["TrainingTimeInSeconds"] >= 1
    assert world.jobs.ran(ref)["xgboost"] == xgboost.__version__
    assert world.jobs.ran(ref)["image"] == "sagemaker-xgboost 1.5-1"


def test_the_same_training_makes_the_same_archive(world):
    channels = put_data(world)
    uris = [
        world.run(job("training", name), training(XGBOOST.format("1.5-1"), channels, PARAMETERS))
        for name in ("one", "two")
    ]
    keys = [
        one["ModelArtifacts"]["S3ModelArtifacts"].removeprefix(f"s3://{BUCKET}/") for one in uris
    ]
    assert world.objects.stat(BUCKET, keys[0]).sha256 == world.objects.stat(BUCKET, keys[1]).sha256


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"num_round": None}, "ClientError: the hyperparameter num_round is required"),
        ({"num_round": "many"}, "num_round is 'many', legal: a whole number"),
        ({"depth": "3"}, "ClientError: the hyperparameter 'depth' is unknown"),
        ({"objective": "reg:nothing"}, "ClientError: XGBoost refuses"),
    ],
)
def test_bad_hyperparameters_fail_with_their_name(world, change, reason):
    given = {k: v for k, v in {**PARAMETERS, **change}.items() if v is not None}
    done = world.run(
        job("training", "bad"), training(XGBOOST.format("1.5-1"), put_data(world), given)
    )
    assert done["TrainingJobStatus"] == "Failed"
    assert reason in done["FailureReason"]
    assert done["FailureReason"].endswith(", exit code: 1")


def test_data_with_a_header_fails_with_the_row(world):
    channels = put_data(world)
    world.put("d/train/train.csv", "label,a,b,c\n" + table(5, 1))
    done = world.run(job("training", "h"), training(XGBOOST.format("1.5-1"), channels, PARAMETERS))
    assert "train.csv, row 1: could not convert string to float: 'label'" in done["FailureReason"]


def test_libsvm_missing_values_weights_and_early_stopping(world):
    rows = "\n".join(f"{i % 2} 0:{i % 2} 2:{i / 50}" for i in range(50))
    world.put("s/train/a", rows)
    world.put("s/validation/a", rows)
    request = training(
        XGBOOST.format("1.5-1"),
        {"train": f"s3://{BUCKET}/s/train", "validation": f"s3://{BUCKET}/s/validation"},
        {
            "num_round": "60",
            "objective": "binary:logistic",
            "eval_metric": "error,logloss",
            "early_stopping_rounds": "3",
            "eta": "1",
        },
    )
    for channel in request["InputDataConfig"]:
        channel["ContentType"] = "text/libsvm"
    ref = job("training", "svm")
    done = world.run(ref, request)
    assert done["TrainingJobStatus"] == "Completed", world.log(ref)
    names = {one["MetricName"] for one in done["FinalMetricDataList"]}
    assert names == {f"{c}:{m}" for c in ("train", "validation") for m in ("error", "logloss")}

    world.put("w/a.csv", "1,2.0,0.5\n0,1.0,\n1,3,0.7\n")
    weighted = training(
        XGBOOST.format("1.5-1"),
        {"train": f"s3://{BUCKET}/w"},
        {"num_round": "2", "csv_weights": "1"},
    )
    assert world.run(job("training", "w"), weighted)["TrainingJobStatus"] == "Completed"


def test_filters_and_joins(world):
    uri = world.run(
        job("training", "f"), training(XGBOOST.format("1.5-1"), put_data(world), PARAMETERS)
    )["ModelArtifacts"]["S3ModelArtifacts"]
    make_model(world, "f", uri, XGBOOST.format("1.5-1"))
    rows = table(5, 3, label=False).splitlines()
    world.put("ids/x.csv", "".join(f"id{n},{row}\n" for n, row in enumerate(rows)))
    request = transform(
        "f",
        f"s3://{BUCKET}/ids/x.csv",
        DataProcessing={
            "InputFilter": "$[1:]",
            "JoinSource": "Input",
            "OutputFilter": "$[0,-1]",
        },
        BatchStrategy="SingleRecord",
    )
    request["TransformOutput"]["AssembleWith"] = "Line"
    ref = job("transform", "f")
    assert world.run(ref, request)["TransformJobStatus"] == "Completed", world.log(ref)
    lines = [line.split(",") for line in world.read("scores/x.csv.out").decode().splitlines()]
    assert [line[0] for line in lines] == [f"id{n}" for n in range(5)]
    assert all(abs(float(line[1])) < 5 for line in lines)

    json_request = transform("f", f"s3://{BUCKET}/batch.csv")
    world.put("batch.csv", "\n".join(rows))
    json_request["TransformOutput"]["Accept"] = "application/json"
    assert world.run(job("transform", "j"), json_request)["TransformJobStatus"] == "Completed"
    document = json.loads(world.read("scores/batch.csv.out"))
    assert len(document["predictions"]) == 5


@pytest.mark.parametrize(
    ("content_type", "accept", "rows", "reason"),
    [
        ("application/json", "", "{}", "415"),
        ("text/csv", "image/png", "1,2,3", "406"),
        ("text/csv", "", "1,2", "400"),
        ("text/csv", "", "a,b,c", "415"),
    ],
)
def test_refused_batches_fail_in_the_services_words(world, content_type, accept, rows, reason):
    uri = world.run(
        job("training", "r"), training(XGBOOST.format("1.5-1"), put_data(world), PARAMETERS)
    )["ModelArtifacts"]["S3ModelArtifacts"]
    make_model(world, "r", uri, XGBOOST.format("1.5-1"))
    world.put("r.csv", rows)
    request = transform("r", f"s3://{BUCKET}/r.csv")
    request["TransformInput"]["ContentType"] = content_type
    request["TransformOutput"]["Accept"] = accept
    done = world.run(job("transform", "r"), request)
    assert done["TransformJobStatus"] == "Failed"
    assert f"Bad HTTP status received from algorithm: {reason}" in done["FailureReason"]
