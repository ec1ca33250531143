"""Registering from a notebook: the unmodified SDK searches the training job and the group."""

from __future__ import annotations

from pathlib import Path

START = "arn:aws:sagemaker:us-east-1:123456789012:model-package"


def test_an_estimator_and_a_model_register_versions(sdk, home):
    done = sdk(Path(__file__).parent / "sdk" / "register.py")
    assert done.returncode == 0, done.stderr
    arns = done.stdout.rpartition("REGISTERED ")[2].split()
    by_estimator = [f"{START}/registered-by-estimator/{version}" for version in (1, 2)]
    assert arns == [*by_estimator, f"{START}/registered-by-model/1"]
    described = home.client("sagemaker").describe_model_package(ModelPackageName=arns[1])
    assert described["ModelApprovalStatus"] == "Approved"
    (container,) = described["InferenceSpecification"]["Containers"]
    assert container["ModelDataUrl"].endswith("/output/model.tar.gz")
    log = (home.path / "server.log").read_text()
    assert log.count("sagemaker:Search 200") >= 3
    assert "sagemaker:Search 4" not in log
    assert " 500 " not in log
