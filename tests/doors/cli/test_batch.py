"""``clary batch``: a registered model version predicts the objects below a URI."""

from __future__ import annotations

import pytest
from tests.jobs.conftest import archive

from clary.config import Config
from clary.kernel.clock import now
from clary.kernel.names import Ref
from clary.kernel.resource import Bucket
from clary.platform import open_platform

ACCOUNT, REGION = "123456789012", "us-east-1"
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"
SCRIPT = """
def model_fn(folder): return 2
def transform_fn(factor, data, content_type, accept):
    return "".join(f"{factor * float(line)}\\n" for line in data.splitlines()), "text/csv"
"""


@pytest.fixture
def platform(home):
    opened = open_platform(Config(home=home))
    opened.objects.create_bucket(Bucket("sea", ACCOUNT, REGION, now()))
    opened.objects.put("sea", "m.tar.gz", [archive({"code/inference.py": SCRIPT})])
    group = Ref(ACCOUNT, REGION, "model-package-group", "rings")
    opened.models.create_group(group, {"ModelPackageGroupName": "rings"}, actor="ada")
    container = {"Image": IMAGE, "ModelDataUrl": "s3://sea/m.tar.gz"}
    request = {
        "ModelPackageGroupName": "rings",
        "InferenceSpecification": {
            "Containers": [container],
            "SupportedContentTypes": ["text/csv"],
            "SupportedResponseMIMETypes": ["text/csv"],
        },
    }
    opened.models.create_package(group.sibling("model-package", "rings"), request, actor="ada")
    return opened


def test_a_version_predicts_and_a_failure_says_why(clary, platform):
    platform.objects.put("sea", "in/a.csv", [b"1\n2\n"])
    words = ("--join", "--capture", "s3://sea/captured", "--json")
    said = clary("batch", "rings", "s3://sea/in", "s3://sea/out", *words)
    assert said.code == 0, said.err
    assert said.json["TransformJobStatus"] == "Completed"
    lines = b"".join(platform.objects.read("sea", "out/a.csv.out")).decode().splitlines()
    assert [line.split(",")[:2] for line in lines] == [["1", "2.0"], ["2", "4.0"]]
    assert len(platform.objects.list("sea", prefix="captured/").objects) == 2
    failed = clary("batch", "rings/1", "s3://sea/nothing", "s3://sea/out")
    assert failed.code == 1
    assert "there is no object at s3://sea/nothing; `clary logs rings-1-" in failed.err
    assert clary("batch", "rings/7", "s3://sea/in", "s3://sea/out").code == 1
