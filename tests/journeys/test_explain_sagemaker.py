"""Attribution by the unmodified SDK, in jobs of the Clarify image."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
import xgboost

PROGRAM = Path(__file__).parent / "sdk/explain.py"
REGISTRY = "683313688378.dkr.ecr.us-east-1.amazonaws.com"


@pytest.fixture
def features():
    return np.random.default_rng(11).random((300, 3))


@pytest.fixture
def booster(home, features, tmp_path):
    """Make a model known to the platform."""
    label = features @ [4.0, 2.0, 0.5]
    made = xgboost.train({"max_depth": 3, "nthread": 1}, xgboost.DMatrix(features, label), 20)
    made.save_model(tmp_path / "model.ubj")
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        tar.add(tmp_path / "model.ubj", "xgboost-model")
    s3, sagemaker = home.client("s3"), home.client("sagemaker")
    s3.create_bucket(Bucket="models")
    s3.put_object(Bucket="models", Key="model.tar.gz", Body=archive.getvalue())
    sagemaker.create_model(
        ModelName="amounts",
        ExecutionRoleArn="arn:aws:iam::123456789012:role/ClaryRole",
        PrimaryContainer={
            "Image": f"{REGISTRY}/sagemaker-xgboost:1.7-1",
            "ModelDataUrl": "s3://models/model.tar.gz",
        },
    )
    rows = np.column_stack([label, features])
    np.savetxt(tmp_path / "rows.csv", rows, delimiter=",", fmt="%.17g")
    return made


def test_a_models_reasons_and_their_drift(features, booster, sdk, tmp_path):
    done = sdk(PROGRAM, str(tmp_path / "rows.csv"), "Label,F0,F1,F2")
    assert done.returncode == 0, done.stdout + done.stderr
    lines = dict(line.split(" ", 1) for line in done.stdout.splitlines() if " " in line)
    check_trees(json.loads(lines["TREES"]), features, booster)
    check_asked(json.loads(lines["ASKED"]), lines["LOCAL"], features, booster)
    assert lines["CONSTRAINTS"].endswith("/explain/baseline/analysis.json")
    assert lines["EXECUTION"] == "CompletedWithViolations None"
    [violation] = json.loads(lines["VIOLATIONS"])
    assert violation["constraint_check_type"] == "feature_attribution_drift_check"
    assert violation["description"].startswith("Feature attribution drift 0.")
    assert violation["clary"]["p_value"] == 0.001
    assert next(iter(violation["clary"]["moved"])) == "F0"


def check_trees(trees, features, booster):
    assert trees["clary"]["attribution"]["method"] == "tree"
    found = trees["explanations"]["kernel_shap"]["label0"]
    own = booster.predict(xgboost.DMatrix(features), pred_contribs=True)
    wanted = dict(zip(("F0", "F1", "F2"), np.abs(own[:, :3]).mean(0), strict=True))
    assert found["global_shap_values"] == pytest.approx(wanted, rel=1e-4)
    assert found["expected_value"] == pytest.approx(own[0, 3], rel=1e-5)
    curves = {one["feature_name"]: one for one in trees["explanations"]["pdp"]}
    assert list(curves) == ["F0", "F1"]
    assert len(curves["F0"]["feature_values"]) == 4
    [curve] = curves["F0"]["model_predictions"]
    assert curve == sorted(curve)


def check_asked(asked, lines, features, booster):
    assert asked["clary"]["attribution"]["method"] == "kernel"
    predict = booster.inplace_predict
    moved = features.copy()
    moved[:, 0] = moved[:, 2] = 0.5
    found = asked["explanations"]["kernel_shap"]["label0"]
    assert list(found["global_shap_values"]) == ["F2", "F0"]
    assert found["expected_value"] == pytest.approx(predict(moved).mean(), rel=1e-4)
    local, count = lines.rsplit(" ", 1)
    head, first = json.loads(local)
    assert (head, count) == ("F2_label0,F0_label0", "301")
    one = features[:1].copy()
    base = predict(moved[:1])[0]
    assert sum(map(float, first.split(","))) == pytest.approx(predict(one)[0] - base, abs=1e-4)
