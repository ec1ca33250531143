"""What programs find around them: files, variables, arguments, words. Golden."""

from __future__ import annotations

import io
import json
import os
import sys
import tarfile
import textwrap
from pathlib import Path

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
    processing,
    training,
    transform,
)

LOOK = textwrap.dedent(
    """
    import json, os, sys
    files = {}
    for folder, _, names in os.walk("/opt/ml"):
        for name in names:
            path = os.path.join(folder, name)
            text = open(path).read() if path.endswith(("json", "txt")) else ""
            files[path] = json.loads(text) if path.endswith(".json") else text
    folders = sorted(f for f, _, _ in os.walk("/opt/ml"))
    found = {"argv": sys.argv, "cwd": os.getcwd(), "env": dict(os.environ), "files": files,
             "folders": folders, "python": sys.executable, "host": os.uname().nodename}
    open(OUT, "w").write(json.dumps(found))
    """
)


def look(out):
    return f"OUT = {out!r}\n{LOOK}"


def test_processing_contract(world):
    world.put("code/look.py", look("/opt/ml/processing/seen/seen.json"))
    world.put("in/a.txt", "one")
    world.put("in/deep/b.txt", "two")
    request = processing(
        "code/look.py",
        inputs=[
            ("tree", f"s3://{BUCKET}/in", "/opt/ml/processing/input", {}),
            ("one", f"s3://{BUCKET}/in/a.txt", "/opt/ml/processing/one", {}),
        ],
        outputs=[
            ("seen", f"s3://{BUCKET}/out/", "/opt/ml/processing/seen", "EndOfJob"),
            ("none", f"s3://{BUCKET}/none", "/opt/ml/processing/none", "EndOfJob"),
        ],
        Environment={"MINE": "yes", "AWS_REGION": "elsewhere-1"},
        Tags=[{"Key": "a", "Value": "b"}],
    )
    request["AppSpecification"]["ContainerArguments"] = ["--rows", "3"]
    ref = job("processing", "look")
    done = world.run(ref, request)
    assert done["ProcessingJobStatus"] == "Completed", world.log(ref)
    seen = json.loads(world.read("out/seen.json"))
    assert world.keys("none") == []
    assert seen["argv"] == ["/opt/ml/processing/input/code/look.py", "--rows", "3"]
    assert seen["cwd"] == "/opt/ml/processing"
    assert Path(seen["python"]).parent == Path(sys.executable).parent
    assert seen["host"] == "algo-1"
    env = seen["env"]
    assert (env["MINE"], env["AWS_REGION"]) == ("yes", REGION)
    assert (env["GIVEN_ROLE"], env["PROCESSING_JOB_NAME"]) == ("ClaryRole", "look")
    assert "/opt/ml/processing/none" in seen["folders"]
    document = {name: value for name, value in request.items() if name != "Tags"}
    assert seen["files"] == {
        "/opt/ml/config/resourceconfig.json": {"current_host": "algo-1", "hosts": ["algo-1"]},
        "/opt/ml/config/processingjobconfig.json": {
            "ProcessingJobArn": f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:processing-job/look",
            "ProcessingJobName": "look",
            **document,
        },
        "/opt/ml/processing/input/a.txt": "one",
        "/opt/ml/processing/input/deep/b.txt": "two",
        "/opt/ml/processing/one/a.txt": "one",
        "/opt/ml/processing/input/code/look.py": "",
    }


def test_script_mode_contract(world):
    source = f"s3://{BUCKET}/src/sourcedir.tar.gz"
    world.put(
        "src/sourcedir.tar.gz",
        archive(
            {
                "train.py": look("/opt/ml/output/data/seen.json")
                + "open('/opt/ml/model/m','w').write('x')",
                "requirements.txt": "numpy>=1.20\n# a comment\n\nscikit-learn\n",
            }
        ),
    )
    world.put("d/x.txt", "one")
    request = training(
        SKLEARN,
        {"train": f"s3://{BUCKET}/d"},
        {
            "sagemaker_program": '"train.py"',
            "sagemaker_submit_directory": json.dumps(source),
            "sagemaker_container_log_level": "20",
            "sagemaker_job_name": '"given"',
            "sagemaker_region": f'"{REGION}"',
            "n-estimators": "20",
            "d": "1.5",
            "mode": '"fast"',
            "flag": "true",
            "plain": "no json",
        },
    )
    ref = job("training", "script")
    done = world.run(ref, request)
    assert done["TrainingJobStatus"] == "Completed", world.log(ref)
    assert world.keys("models/script/") == [
        "models/script/output/model.tar.gz",
        "models/script/output/output.tar.gz",
    ]
    seen = seen_in_output(world, "models/script/output/output.tar.gz")
    arguments = ["-d", "1.5", "--flag", "True", "--mode", "fast", "--n-estimators", "20"]
    arguments += ["--plain", "no json"]
    assert seen["argv"] == ["train.py", *arguments]
    assert seen["cwd"] == "/opt/ml/code"
    env = {name: value for name, value in seen["env"].items() if name.startswith("SM_")}
    hyperparameters = {
        "d": 1.5,
        "flag": True,
        "mode": "fast",
        "n-estimators": 20,
        "plain": "no json",
    }
    reserved = {
        "sagemaker_container_log_level": 20,
        "sagemaker_job_name": "given",
        "sagemaker_program": "train.py",
        "sagemaker_region": REGION,
        "sagemaker_submit_directory": source,
    }
    group = {
        "hosts": ["algo-1"],
        "instance_group_name": "homogeneousCluster",
        "instance_type": "ml.m5.xlarge",
    }
    resources = {
        "current_group_name": "homogeneousCluster",
        "current_host": "algo-1",
        "current_instance_type": "ml.m5.xlarge",
        "hosts": ["algo-1"],
        "instance_groups": [group],
        "network_interface_name": "lo",
    }
    channels = {
        "train": {
            "ContentType": "text/csv",
            "RecordWrapperType": "None",
            "S3DistributionType": "FullyReplicated",
            "TrainingInputMode": "File",
        }
    }
    assert env.pop("SM_TRAINING_ENV")
    assert env == {
        "SM_HOSTS": '["algo-1"]',
        "SM_NETWORK_INTERFACE_NAME": "lo",
        "SM_CURRENT_HOST": "algo-1",
        "SM_CURRENT_INSTANCE_TYPE": "ml.m5.xlarge",
        "SM_CURRENT_INSTANCE_GROUP": "homogeneousCluster",
        "SM_CURRENT_INSTANCE_GROUP_HOSTS": '["algo-1"]',
        "SM_INSTANCE_GROUPS": '["homogeneousCluster"]',
        "SM_INSTANCE_GROUPS_DICT": compact({"homogeneousCluster": group}),
        "SM_DISTRIBUTION_INSTANCE_GROUPS": "[]",
        "SM_IS_HETERO": "false",
        "SM_NUM_CPUS": str(os.cpu_count()),
        "SM_NUM_GPUS": "0",
        "SM_NUM_NEURONS": "0",
        "SM_RESOURCE_CONFIG": compact(resources),
        "SM_HPS": compact(hyperparameters),
        "SM_HP_D": "1.5",
        "SM_HP_FLAG": "true",
        "SM_HP_MODE": "fast",
        "SM_HP_N-ESTIMATORS": "20",
        "SM_HP_PLAIN": "no json",
        "SM_USER_ENTRY_POINT": "train.py",
        "SM_USER_ARGS": compact(arguments),
        "SM_FRAMEWORK_PARAMS": compact(reserved),
        "SM_FRAMEWORK_MODULE": "sagemaker_sklearn_container.training:main",
        "SM_MODULE_NAME": "train",
        "SM_MODULE_DIR": source,
        "SM_LOG_LEVEL": "20",
        "SM_CHANNELS": '["train"]',
        "SM_CHANNEL_TRAIN": "/opt/ml/input/data/train",
        "SM_INPUT_DATA_CONFIG": compact(channels),
        "SM_INPUT_DIR": "/opt/ml/input",
        "SM_INPUT_CONFIG_DIR": "/opt/ml/input/config",
        "SM_OUTPUT_DIR": "/opt/ml/output",
        "SM_OUTPUT_DATA_DIR": "/opt/ml/output/data",
        "SM_OUTPUT_INTERMEDIATE_DIR": "/opt/ml/output/intermediate",
        "SM_MODEL_DIR": "/opt/ml/model",
    }
    config = "/opt/ml/input/config"
    assert seen["files"][f"{config}/hyperparameters.json"] == request["HyperParameters"]
    assert seen["files"][f"{config}/resourceconfig.json"] == resources
    assert seen["files"][f"{config}/inputdataconfig.json"] == channels
    assert seen["files"]["/opt/ml/input/data/train/x.txt"] == "one"


def compact(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def seen_in_output(world, key):
    with tarfile.open(fileobj=io.BytesIO(world.read(key))) as opened:
        return json.loads(opened.extractfile("seen.json").read())


def script_job(world, name, files, *, image=SKLEARN, **hyperparameters):
    world.put(f"src/{name}.tar.gz", archive(files))
    request = training(
        image,
        {},
        {
            "sagemaker_program": '"train.py"',
            "sagemaker_submit_directory": f'"s3://{BUCKET}/src/{name}.tar.gz"',
            **hyperparameters,
        },
    )
    del request["InputDataConfig"]
    return world.run(job("training", name), request)


def test_a_script_that_raises_is_quoted(world):
    files = {"train.py": "print('working')\nraise ValueError('no rows left')\n"}
    done = script_job(world, "raises", files, alpha="1")
    assert done["TrainingJobStatus"] == "Failed"
    reason = done["FailureReason"]
    assert reason.startswith('AlgorithmError: ExecuteUserScriptError:\nExitCode 1\nErrorMessage "')
    assert "ValueError: no rows left" in reason
    assert f'Command "{sys.executable} train.py --alpha 1", exit code: 1' in reason


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"other.py": ""}, "ClientError: the entry point 'train.py' is not in the source"),
        (
            {"train.py": "", "requirements.txt": "\ngit+https://example.org/x.git\n"},
            "ClientError: requirements.txt, line 2: 'git+https://example.org/x.git' is no",
        ),
        ({"train.py": "", "../../evil": "x"}, "the member '../../evil' is refused"),
        ({"train.py": "", "/etc/evil": "x"}, "the member '/etc/evil' is refused"),
    ],
)
def test_bad_sources_fail_with_the_place(world, files, reason):
    done = script_job(world, "bad", files)
    assert done["TrainingJobStatus"] == "Failed"
    assert reason in done["FailureReason"]


def test_a_broken_archive_is_named(world):
    world.put("src/broken.tar.gz", b"\x1f\x8bno archive at all")
    request = training(
        XGBOOST.format("1.5-1"),
        {},
        {
            "sagemaker_program": "train.py",
            "sagemaker_submit_directory": f"s3://{BUCKET}/src/broken.tar.gz",
        },
    )
    del request["InputDataConfig"]
    done = world.run(job("training", "broken"), request)
    assert "sourcedir.tar.gz is no whole tar archive" in done["FailureReason"]


def test_script_mode_inference(world):
    code = textwrap.dedent(
        """
        import json, os
        def model_fn(model_dir):
            return float(open(os.path.join(model_dir, "factor.txt")).read())
        def input_fn(body, content_type):
            assert content_type == "text/csv", content_type
            return [[float(x) for x in line.split(",")] for line in body.splitlines()]
        def predict_fn(rows, factor):
            return [sum(row) * factor for row in rows]
        def output_fn(prediction, accept):
            return "".join(f"{one}\\n" for one in prediction), "text/csv"
        """
    )
    world.put("m/model.tar.gz", archive({"factor.txt": "10", "code/inference.py": code}))
    make_model(world, "script", f"s3://{BUCKET}/m/model.tar.gz", SKLEARN)
    world.put("batch/a.csv", "1,2\n3,4\n")
    world.put("batch/b.csv", "5,6\n")
    ref = job("transform", "script")
    done = world.run(ref, transform("script", f"s3://{BUCKET}/batch/"))
    assert done["TransformJobStatus"] == "Completed", world.log(ref)
    assert world.read("scores/a.csv.out") == b"30.0\n70.0\n"
    assert world.read("scores/b.csv.out") == b"110.0\n"
    assert done["TransformOutput"]["S3OutputPath"] == f"s3://{BUCKET}/scores"


def test_a_model_archive_that_leaves_its_directory_is_refused(world):
    world.put("m/model.tar.gz", archive({"../../../tmp/evil": "x"}))
    make_model(world, "evil", f"s3://{BUCKET}/m/model.tar.gz", XGBOOST.format("1.5-1"))
    world.put("batch/a.csv", "1,2\n")
    done = world.run(job("transform", "evil"), transform("evil", f"s3://{BUCKET}/batch/"))
    assert "the member '../../../tmp/evil' is refused" in done["FailureReason"]


def test_role_is_optional_and_credentials_stay_out_of_isolated_jobs(world):
    world.put("code/look.py", look("/opt/ml/processing/seen/seen.json"))
    request = processing(
        "code/look.py",
        outputs=[("seen", f"s3://{BUCKET}/iso", "/opt/ml/processing/seen", "EndOfJob")],
        NetworkConfig={"EnableNetworkIsolation": True},
        RoleArn=ROLE,
    )
    assert world.run(job("processing", "iso"), request)["ProcessingJobStatus"] == "Completed"
    assert "GIVEN_ROLE" not in json.loads(world.read("iso/seen.json"))["env"]
