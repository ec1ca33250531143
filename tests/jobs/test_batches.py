"""Transform jobs: models of several containers, several payloads at once, what they capture."""

from __future__ import annotations

import json
import re
import textwrap
from datetime import UTC, datetime

import pytest
from tests.jobs.conftest import (
    ACCOUNT,
    BUCKET,
    REGION,
    ROLE,
    SKLEARN,
    XGBOOST,
    archive,
    job,
    make_model,
    training,
    transform,
)

from clary.jobs import dependencies, images, recipes
from clary.jobs import transform as transforms
from clary.jobs.dependencies import Needs
from clary.jobs.model import Job
from clary.kernel.clock import now
from clary.kernel.errors import InvalidInput, NotSupported
from clary.kernel.names import Ref
from clary.kernel.resource import Resource

SCRIPT = textwrap.dedent(
    """
    import os, threading
    def model_fn(model_dir):
        print("loaded in", os.getpid())
        return float(open(os.path.join(model_dir, "factor.txt")).read())
    def input_fn(body, content_type):
        assert content_type == "text/csv", content_type
        return [[float(x) for x in line.split(",")] for line in body.splitlines()]
    def predict_fn(rows, factor):
        if rows[0][0] < 0:
            raise ValueError("negative")
        return [[x * factor + float(os.environ.get("OFFSET", 0)) for x in row] for row in rows]
    def output_fn(prediction, accept):
        text = "".join(",".join(f"{x:g}" for x in row) + "\\n" for row in prediction)
        return text, "text/csv"
    """
)
LEAVING = "import os\ndef model_fn(d): pass\ndef transform_fn(*a): os._exit(3)"


def model(world, name, *containers, **more):
    ref = Ref(ACCOUNT, REGION, "model", name)
    request = {"ModelName": name, "ExecutionRoleArn": ROLE, "Containers": containers, **more}
    with world.store.begin() as change:
        change.insert(Resource(ref, {"request": request}, now(), now()))


def scaling(world, factor, *, packed_code=True, **environment):
    """Store a container whose script multiplies by ``factor``."""
    key = f"m/{factor}-{packed_code}/model.tar.gz"
    files = {"factor.txt": str(factor)}
    if packed_code:
        world.put(key, archive({**files, "code/inference.py": SCRIPT}))
    else:
        world.put(key, archive(files))
        source = f"m/{factor}/sourcedir.tar.gz"
        world.put(source, archive({"serve_me.py": SCRIPT}))
        environment |= {
            "SAGEMAKER_PROGRAM": "serve_me.py",
            "SAGEMAKER_SUBMIT_DIRECTORY": f"s3://{BUCKET}/{source}",
        }
    uri = f"s3://{BUCKET}/{key}"
    return {"Image": SKLEARN, "ModelDataUrl": uri, "Environment": environment}


def test_a_payload_goes_through_the_containers_in_a_row(world):
    rows = "".join(f"{x % 7},{x % 5},{x % 3}\n" for x in range(200))
    labelled = "".join(f"{x % 7},{10 * (x % 5)},{10 * (x % 3)}\n" for x in range(200))
    world.put("train/rows.csv", labelled)
    fit = training(XGBOOST.format("1.7-1"), {"train": f"s3://{BUCKET}/train/"}, {"num_round": "5"})
    ref = job("training", "fit")
    assert world.run(ref, fit)["TrainingJobStatus"] == "Completed", world.log(ref)
    fitted = f"s3://{BUCKET}/models/fit/output/model.tar.gz"
    boosted = {"Image": XGBOOST.format("1.7-1"), "ModelDataUrl": fitted}
    model(
        world,
        "row",
        scaling(world, 2, packed_code=False, OFFSET="0"),
        scaling(world, 5),
        boosted,
    )
    model(world, "alone", boosted)
    features = "".join(line.partition(",")[2] + "\n" for line in rows.splitlines())
    scaled = "".join(line.partition(",")[2] + "\n" for line in labelled.splitlines())
    world.put("batch/rows.csv", features)
    world.put("scaled/rows.csv", scaled)
    done = world.run(job("transform", "row"), transform("row", f"s3://{BUCKET}/batch/"))
    assert done["TransformJobStatus"] == "Completed", world.log(job("transform", "row"))
    found = world.read("scores/rows.csv.out")
    assert len(found.splitlines()) == 200
    world.run(job("transform", "alone"), transform("alone", f"s3://{BUCKET}/scaled/"))
    assert found == world.read("scores/rows.csv.out")
    links = world.store.links(job("transform", "row"), incoming=True)
    assert {"model", "model-2", "model-3", "code", "transform"} <= {one.role for one in links}


def test_payloads_are_worked_on_at_once_and_stay_in_order(world):
    make_model(world, "one", scaling(world, 3)["ModelDataUrl"], SKLEARN)
    world.put("batch/a.csv", "".join(f"{x}\n" for x in range(500)))
    world.put("batch/b.csv", "7\n")
    request = transform("one", f"s3://{BUCKET}/batch/", MaxConcurrentTransforms=2)
    request |= {"BatchStrategy": "SingleRecord", "Environment": {"OFFSET": "1"}}
    ref = job("transform", "many")
    assert world.run(ref, request)["TransformJobStatus"] == "Completed", world.log(ref)
    assert world.read("scores/a.csv.out").split() == [b"%d" % (3 * x + 1) for x in range(500)]
    assert world.read("scores/b.csv.out") == b"22\n"
    loaded = [line for line in world.log(ref) if line.startswith("loaded in")]
    assert len(set(loaded)) == len(loaded) <= 2


@pytest.mark.parametrize(
    ("second", "data", "reason"),
    [
        ({}, "-1\n", "AlgorithmError: ValueError: negative"),
        ({"code/inference.py": "import nothing_of_the_kind"}, "1\n", "No module named"),
        ({"code/inference.py": LEAVING}, "1\n", "the model's process ended: 3"),
        ({"code/inference.py": "x = 1"}, "1\n", "ClientError: inference.py defines no model_fn"),
    ],
)
def test_a_container_that_fails_fails_the_job_with_its_reason(world, second, data, reason):
    world.put("m/bad.tar.gz", archive({"factor.txt": "1", "code/inference.py": SCRIPT, **second}))
    bad = {"Image": SKLEARN, "ModelDataUrl": f"s3://{BUCKET}/m/bad.tar.gz"}
    model(world, "bad", scaling(world, 1, OFFSET="-1") if not second else scaling(world, 1), bad)
    world.put("batch/a.csv", data)
    ref = job("transform", "bad")
    done = world.run(ref, transform("bad", f"s3://{BUCKET}/batch/"))
    assert done["TransformJobStatus"] == "Failed"
    assert reason in done["FailureReason"]


def test_a_job_captures_manifests_and_ids(world):
    make_model(world, "one", scaling(world, 10)["ModelDataUrl"], SKLEARN)
    for name in ("x/a.csv", "x/b.csv", "y/c.csv"):
        world.put(f"in/{name}", "1,2\n3,4\n")
    request = transform("one", f"s3://{BUCKET}/in")
    request["DataCaptureConfig"] = {
        "DestinationS3Uri": f"s3://{BUCKET}/captured",
        "GenerateInferenceId": True,
    }
    request["TransformResources"]["InstanceCount"] = 2
    ref, before = job("transform", "cap"), datetime.now(UTC)
    done = world.run(ref, request)
    assert done["TransformJobStatus"] == "Completed", world.log(ref)
    assert done["DataCaptureConfig"] == request["DataCaptureConfig"]
    sides = {"input": [], "output": []}
    for key in world.keys("captured/"):
        match = re.fullmatch(
            r"captured/(input|output)/(\d{4}/\d\d/\d\d/\d\d)/\d\d-\d\d-cap-algo-[12]\.jsonl", key
        )
        assert match[2] in {f"{one:%Y/%m/%d/%H}" for one in (before, datetime.now(UTC))}
        [line] = world.read(key).splitlines()
        first, *names = json.loads(line)
        sides[match[1]] += [first["prefix"] + name for name in names]
    assert sorted(sides["input"]) == [f"s3://{BUCKET}/{key}" for key in world.keys("in/")]
    assert sorted(sides["output"]) == [f"s3://{BUCKET}/{key}" for key in world.keys("scores/")]
    ids = set()
    for key in world.keys("scores/"):
        rows = [line.split(",") for line in world.read(key).decode().splitlines()]
        assert [row[:2] for row in rows] == [["10", "20"], ["30", "40"]]
        for row in rows:
            datetime.strptime(row[3], "%Y-%m-%dT%H:%M:%SZ")
            ids.add(row[2])
    assert len(ids) == 6


def test_more_instances_than_objects_is_no_error(world):
    make_model(world, "one", scaling(world, 10)["ModelDataUrl"], SKLEARN)
    world.put("in/a.csv", "1\n")
    request = transform("one", f"s3://{BUCKET}/in/")
    request["TransformResources"]["InstanceCount"] = 3
    request["DataCaptureConfig"] = {"DestinationS3Uri": f"s3://{BUCKET}/captured"}
    ref = job("transform", "few")
    assert world.run(ref, request)["TransformJobStatus"] == "Completed", world.log(ref)
    assert world.keys("scores/") == ["scores/a.csv.out"]
    assert len(world.keys("captured/")) == 2


def test_a_package_stands_for_its_containers(bare_world):
    package = Ref(ACCOUNT, REGION, "model-package", "group", 1)
    inner = [
        {"Image": SKLEARN, "ModelDataUrl": f"s3://{BUCKET}/{x}", "Environment": {"A": x}}
        for x in "ab"
    ]
    specification = {"InferenceSpecification": {"Containers": inner}}
    with bare_world.store.begin() as change:
        change.insert(Resource(package, {"request": specification}, now(), now()))
    arn = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:model-package/group/1"
    last = {"Image": SKLEARN, "ModelDataUrl": f"s3://{BUCKET}/c"}
    model(bare_world, "mixed", {"ModelPackageName": arn, "Environment": {"B": "1"}}, last)
    made = bare_world.jobs.create(
        job("transform", "t"), transform("mixed", f"s3://{BUCKET}/x"), actor="tester"
    )
    found = made.body["containers"]
    assert [one["ModelDataUrl"][-1] for one in found] == ["a", "b", "c"]
    assert found[0]["Environment"] == {"A": "a", "B": "1"}


def test_a_row_runs_in_one_environment_that_has_all_its_images_hold(tmp_path):
    row = tuple({"Image": image} for image in (SKLEARN, XGBOOST.format("1.7-1"), SKLEARN))
    job_of = Job(request=transform("row", "s3://b/x"), actor="", uid="", containers=row)
    plan = transforms.plan(job("transform", "t"), job_of)
    assert [one.framework for one in plan.beside] == ["xgboost"]
    exact = recipes.wanted(plan, Needs(), None, strict=True)
    assert {"scikit-learn==1.2.1", "xgboost==1.7.4"} <= set(exact.requirements)
    assert recipes.wanted(plan, Needs(), None, strict=False) is None
    used = images.ran(plan.runtime, plan.beside)
    assert used["image"] == "sagemaker-scikit-learn 1.2-1-cpu-py3, sagemaker-xgboost 1.7-1"
    assert {"scikit-learn", "xgboost"} <= used.keys()
    for folder, text in (("", "regex"), ("containers/3/", "rich>=1")):
        place = tmp_path / folder / "input/code"
        place.mkdir(parents=True)
        (place / "sourcedir.tar.gz").write_bytes(archive({"requirements.txt": text}))
    assert dependencies.needs(plan, tmp_path).requirements == ("regex", "rich>=1")


def test_what_cannot_be_is_refused(bare_world):
    create = bare_world.jobs.create
    uri = f"s3://{BUCKET}/x"
    one = {"Image": SKLEARN, "ModelDataUrl": uri}
    environment = {"Image": "clary-environment:" + "0" * 24, "ModelDataUrl": uri}
    model(bare_world, "direct", one, one, InferenceExecutionConfig={"Mode": "Direct"})
    model(bare_world, "mixed", one, environment)
    with pytest.raises(NotSupported, match="one by one"):
        create(job("transform", "a"), transform("direct", uri), actor="tester")
    with pytest.raises(NotSupported, match="share an environment"):
        create(job("transform", "a"), transform("mixed", uri), actor="tester")
    with pytest.raises(InvalidInput, match="MaxConcurrentTransforms"):
        create(
            job("transform", "a"), transform("x", uri, MaxConcurrentTransforms=17), actor="tester"
        )
    capture = {"DestinationS3Uri": uri, "GenerateInferenceId": True}
    request = transform("x", uri, DataCaptureConfig=capture)
    request["TransformInput"]["SplitType"] = "None"
    with pytest.raises(InvalidInput, match="GenerateInferenceId"):
        create(job("transform", "a"), request, actor="tester")
    request = transform("one", uri, DataCaptureConfig={"DestinationS3Uri": "https://x/y"})
    make_model(bare_world, "one", uri, SKLEARN)
    with pytest.raises(InvalidInput, match=r"DataCaptureConfig\.DestinationS3Uri"):
        create(job("transform", "a"), request, actor="tester")


def test_onnx_files_transform_too(world):
    onnx = pytest.importorskip("onnx")
    world.put("m/onnx.tar.gz", archive({"model.onnx": doubling(onnx)}))
    make_model(world, "onnx", f"s3://{BUCKET}/m/onnx.tar.gz", "python:3")
    world.put("rows/a.csv", "7,1,2\n8,3,4\n")
    only = {"InputFilter": "$[1:]", "JoinSource": "Input", "OutputFilter": "$[0,3:]"}
    request = transform("onnx", f"s3://{BUCKET}/rows/", DataProcessing=only)
    ref = job("transform", "onnx")
    assert world.run(ref, request)["TransformJobStatus"] == "Completed", world.log(ref)
    assert world.read("scores/a.csv.out") == b"7,2.0,4.0\n8,6.0,8.0\n"


@pytest.mark.long
def test_mlflow_models_transform_too(world, tmp_path):
    mlflow = pytest.importorskip("mlflow")

    class Total(mlflow.pyfunc.PythonModel):
        def predict(self, context, model_input, params=None):
            return model_input.sum(axis=1)

    mlflow.pyfunc.save_model(tmp_path / "saved", python_model=Total(), pip_requirements=["pandas"])
    saved = [path for path in (tmp_path / "saved").rglob("*") if path.is_file()]
    files = {str(path.relative_to(tmp_path / "saved")): path.read_bytes() for path in saved}
    world.put("m/mlflow.tar.gz", archive(files))
    make_model(world, "mlflow", f"s3://{BUCKET}/m/mlflow.tar.gz", "python:3")
    world.put("frames/b.csv", "x,y\n1,2\n3,4\n")  # a header: the frame is one payload
    request = transform("mlflow", f"s3://{BUCKET}/frames/")
    request["TransformInput"]["SplitType"] = "None"
    ref = job("transform", "mlflow")
    assert world.run(ref, request)["TransformJobStatus"] == "Completed", world.log(ref)
    assert json.loads(world.read("scores/b.csv.out")) == {"predictions": [3, 7]}


def doubling(onnx):
    """Write a model that doubles two numbers."""
    helper, number = onnx.helper, onnx.TensorProto.FLOAT
    given, made = (helper.make_tensor_value_info(name, number, [None, 2]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Add", ["x", "x"], ["y"])], "g", [given], [made])
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opset, ir_version=9).SerializeToString()
