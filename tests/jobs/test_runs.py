"""Jobs that fail, stop, take too long, use several hosts or leave traps behind."""

from __future__ import annotations

import gzip
import hashlib
import json
import textwrap
import time

import pytest
from tests.jobs.conftest import (
    ACCOUNT,
    BUCKET,
    REGION,
    SKLEARN,
    World,
    archive,
    job,
    processing,
    training,
)

from clary.kernel.clock import now
from clary.kernel.errors import AlreadyExists, Conflict, InvalidInput, NotFound, NotSupported
from clary.kernel.names import Ref
from clary.kernel.resource import Bucket, Query, Resource

OUT = ("out", f"s3://{BUCKET}/out", "/opt/ml/processing/out", "EndOfJob")


def script(world, text, **more):
    world.put("code/s.py", textwrap.dedent(text))
    more.setdefault("outputs", [OUT])
    return processing("code/s.py", **more)


def run(world, text, **more):
    ref = job("processing", "j")
    return world.run(ref, script(world, text, **more))


def test_a_failing_script_is_quoted_and_stores_nothing(world):
    done = run(
        world,
        """
        open("/opt/ml/processing/out/half", "w").write("x")
        def deep(): raise KeyError("sex")
        deep()
        """,
    )
    assert done["ProcessingJobStatus"] == "Failed"
    assert done["FailureReason"] == "AlgorithmError: KeyError: 'sex', exit code: 1"
    assert world.keys("out") == []


def test_an_exit_message_is_kept(world):
    done = run(world, "open('/opt/ml/output/message', 'w').write('12 rows')")
    assert (done["ProcessingJobStatus"], done["ExitMessage"]) == ("Completed", "12 rows")
    assert "FailureReason" not in done


def test_a_command_that_does_not_exist_fails(world):
    request = script(world, "")
    request["AppSpecification"]["ContainerEntrypoint"] = ["/opt/ml/nothing"]
    done = world.run(job("processing", "n"), request)
    assert done["ProcessingJobStatus"] == "Failed"
    assert "/opt/ml/nothing" in done["FailureReason"]


def test_want_of_memory_is_named(tmp_path):
    world = World(tmp_path, memory_bytes=200 << 20)
    world.objects.create_bucket(Bucket(BUCKET, ACCOUNT, REGION, now()))
    world.worker.start()
    done = run(world, "x = b'x' * (1 << 30); print(len(x))")
    assert done["ProcessingJobStatus"] == "Failed"
    assert world.worker.stop()
    if "137" in done["FailureReason"]:
        assert done["FailureReason"] == (
            "AlgorithmError: OutOfMemory: the process exceeded its memory limit of 209715200 "
            "bytes, exit code: 137"
        )
    else:
        assert "MemoryError" in done["FailureReason"]


def test_processing_that_takes_too_long_is_stopped(world):
    done = run(
        world,
        "import time; time.sleep(600)",
        StoppingCondition={"MaxRuntimeInSeconds": 1},
    )
    assert done["ProcessingJobStatus"] == "Stopped"
    assert done["FailureReason"] == "stopped: it ran longer than MaxRuntimeInSeconds, 1 s"


SLOW_TRAINING = """
import time, os
os.makedirs("/opt/ml/checkpoints", exist_ok=True)
open("/opt/ml/checkpoints/c1", "w").write("c")
open("/opt/ml/model/part", "w").write("m")
print("ready", flush=True)
time.sleep(600)
"""


def slow_training(world, **more):
    world.put("src.tar.gz", archive({"train.py": SLOW_TRAINING}))
    request = training(
        SKLEARN,
        {},
        {
            "sagemaker_program": "train.py",
            "sagemaker_submit_directory": f"s3://{BUCKET}/src.tar.gz",
        },
        CheckpointConfig={"S3Uri": f"s3://{BUCKET}/ck"},
        **more,
    )
    del request["InputDataConfig"]
    return request


def test_training_that_takes_too_long_keeps_its_model(world):
    request = slow_training(world) | {"StoppingCondition": {"MaxRuntimeInSeconds": 2}}
    done = world.run(job("training", "t"), request)
    assert done["TrainingJobStatus"] == "Stopped"
    assert done["SecondaryStatus"] == "MaxRuntimeExceeded"
    assert world.keys("models/t") == ["models/t/output/model.tar.gz"]
    assert world.keys("ck") == ["ck/c1"]


def test_a_stopped_training_keeps_its_model(world):
    ref = job("training", "t")
    world.jobs.create(ref, slow_training(world), actor="tester")
    world.wait(ref, until=lambda resource: resource.body.get("stage") == "Running")
    deadline = time.monotonic() + 30
    while "ready" not in log_of(world, ref) and time.monotonic() < deadline:
        time.sleep(0.01)
    world.jobs.stop(ref, actor="somebody")
    world.jobs.stop(ref, actor="somebody")
    world.wait(ref)
    done = world.jobs.describe(ref)
    assert (done["TrainingJobStatus"], done["SecondaryStatus"]) == ("Stopped", "Stopped")
    words = [one["Status"] for one in done["SecondaryStatusTransitions"]]
    assert words == ["Starting", "Downloading", "Training", "Stopping", "Uploading", "Stopped"]
    assert world.keys("models/t") == ["models/t/output/model.tar.gz"]
    with pytest.raises(Conflict, match="it is Stopped"):
        world.jobs.stop(ref, actor="somebody")
    actions = [(event.action, event.actor) for event in world.store.events(ref=ref)]
    assert actions.count(("training-job.stopping", "somebody")) == 1
    assert actions[-1] == ("training-job.stopped", "tester")


def log_of(world, ref):
    try:
        return world.log(ref)
    except NotFound:
        return []


def test_a_job_stopped_before_it_starts_never_runs(bare_world):
    ref = job("processing", "early")
    bare_world.jobs.create(ref, script(bare_world, "print('ran')"), actor="tester")
    bare_world.jobs.stop(ref, actor="tester")
    bare_world.worker.start()
    assert bare_world.wait(ref).status == "Stopped"
    assert log_of(bare_world, ref) == []
    assert bare_world.worker.stop()


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        (
            f"s3://{BUCKET}/nothing/here.csv",
            f"there is no object at s3://{BUCKET}/nothing/here.csv",
        ),
        ("s3://no-such-bucket/x", "s3://no-such-bucket/x cannot be read"),
    ],
)
def test_a_missing_input_is_named(world, uri, words):
    inputs = [("in", uri, "/opt/ml/processing/input", {})]
    done = run(world, "print('ran')", inputs=inputs)
    assert done["ProcessingJobStatus"] == "Failed"
    assert words in done["FailureReason"]


def test_a_missing_output_bucket_is_named(world):
    outputs = [("o", "s3://no-such-bucket/x", "/opt/ml/processing/out", "EndOfJob")]
    done = run(world, "open('/opt/ml/processing/out/a', 'w')", outputs=outputs)
    assert "s3://no-such-bucket/x/a cannot be written" in done["FailureReason"]


@pytest.mark.parametrize(
    ("trap", "words"),
    [
        ("os.symlink('/etc', 'etc')", "/opt/ml/processing/out/etc: is a link to '/etc', out of"),
        ("os.symlink('/etc/passwd', 'p')", "is a link to '/etc/passwd', out of"),
        ("os.symlink('../../../../etc/passwd', 'p')", "out of the directory it lies in"),
        ("os.symlink('nothing', 'p')", "cannot be read"),
        ("os.mkfifo('pipe')", "/opt/ml/processing/out/pipe: is no regular file"),
        ("os.chdir('..'); os.rmdir('out'); os.symlink('/etc', 'out')", "is a link"),
        ("open(b'\\xff\\xfe', 'w')", "which is not UTF-8"),
        ("s=__import__('socket').socket(1); s.bind('s')", "is no regular file"),
    ],
)
def test_traps_in_outputs_are_refused_by_name(world, trap, words):
    done = run(world, f"import os\nos.chdir('/opt/ml/processing/out')\n{trap}\n")
    assert done["ProcessingJobStatus"] == "Failed", world.keys("out")
    assert words in done["FailureReason"]


def test_links_within_an_output_stand_for_their_file(world):
    done = run(
        world,
        """
        import os
        os.chdir("/opt/ml/processing/out")
        os.mkdir("v1"); open("v1/model", "w").write("m")
        os.symlink("v1/model", "latest"); os.symlink("/opt/ml/processing/out/v1/model", "abs")
        """,
    )
    assert done["ProcessingJobStatus"] == "Completed", done
    assert {key: world.read(key) for key in world.keys("out")} == {
        "out/abs": b"m",
        "out/latest": b"m",
        "out/v1/model": b"m",
    }


def test_several_hosts_share_sharded_inputs_and_merge_outputs(world):
    for number in range(5):
        world.put(f"in/{number}.txt", str(number))
    world.put("all/x", "x")
    request = script(
        world,
        """
        import json, os, socket
        host = json.load(open("/opt/ml/config/resourceconfig.json"))["current_host"]
        peers = [socket.gethostbyname(f"algo-{n}") for n in (1, 2)]
        os.listdir("/opt/ml/processing/all")
        names = sorted(os.listdir("/opt/ml/processing/part"))
        open(f"/opt/ml/processing/out/{host}", "w").write(" ".join(names))
        """,
        inputs=[
            ("part", f"s3://{BUCKET}/in/", "/opt/ml/processing/part", SHARDED),
            ("all", f"s3://{BUCKET}/all", "/opt/ml/processing/all", {}),
        ],
    )
    request["ProcessingResources"]["ClusterConfig"]["InstanceCount"] = 2
    ref = job("processing", "two")
    done = world.run(ref, request)
    assert done["ProcessingJobStatus"] == "Completed", (done, world.log(ref), world.log(ref, 1))
    assert world.read("out/algo-1") == b"0.txt 2.txt 4.txt"
    assert world.read("out/algo-2") == b"1.txt 3.txt"
    assert len(world.jobs.streams(ref).names) == 2


SHARDED = {"S3DataDistributionType": "ShardedByS3Key"}


def test_one_failing_host_fails_the_job_and_ends_the_others(world):
    request = script(
        world,
        """
        import json, time
        if json.load(open("/opt/ml/config/resourceconfig.json"))["current_host"] == "algo-2":
            raise SystemExit("algo-2 gives up")
        time.sleep(600)
        """,
    )
    request["ProcessingResources"]["ClusterConfig"]["InstanceCount"] = 2
    done = world.run(job("processing", "two"), request)
    assert done["FailureReason"] == "AlgorithmError: algo-2 gives up, exit code: 1"


def test_continuous_outputs_appear_while_the_job_runs(world):
    ref = job("processing", "live")
    outputs = [("out", f"s3://{BUCKET}/live", "/opt/ml/processing/out", "Continuous")]
    request = script(
        world,
        """
        import time
        open("/opt/ml/processing/out/first", "w").write("1")
        time.sleep(600)
        """,
        outputs=outputs,
    )
    world.jobs.create(ref, request, actor="tester")
    world.wait(ref, until=lambda _: world.keys("live") == ["live/first"])
    assert world.jobs.get(ref).status == "InProgress"
    world.jobs.stop(ref, actor="tester")
    assert world.wait(ref).status == "Stopped"


def test_manifest_and_gzip_inputs(world):
    world.put("m/data/a.csv", "a")
    world.put("m/data/deep/b.csv", "b")
    world.put("m/data/c.csv", "c")
    manifest = [{"prefix": f"s3://{BUCKET}/m/data/"}, "deep/b.csv", "a.csv"]
    world.put("m/list.manifest", json.dumps(manifest))
    world.put("z/big.csv.gz", gzip.compress(b"row\n" * 100_000) + gzip.compress(b"end\n"))
    done = run(
        world,
        """
        import hashlib, os
        walk = os.walk("/opt/ml/processing/m")
        found = sorted(os.path.join(folder, name) for folder, _, names in walk for name in names)
        open("/opt/ml/processing/out/found", "w").write(" ".join(found))
        data = open("/opt/ml/processing/z/big.csv", "rb").read()
        open("/opt/ml/processing/out/digest", "w").write(hashlib.sha256(data).hexdigest())
        """,
        inputs=[
            (
                "m",
                f"s3://{BUCKET}/m/list.manifest",
                "/opt/ml/processing/m",
                {"S3DataType": "ManifestFile"},
            ),
            ("z", f"s3://{BUCKET}/z", "/opt/ml/processing/z", {"S3CompressionType": "Gzip"}),
        ],
    )
    assert done["ProcessingJobStatus"] == "Completed", done
    paths = world.read("out/found").decode().split()
    assert paths == ["/opt/ml/processing/m/a.csv", "/opt/ml/processing/m/deep/b.csv"]
    expected = hashlib.sha256(b"row\n" * 100_000 + b"end\n").hexdigest()
    assert world.read("out/digest").decode() == expected


def test_a_damaged_gzip_input_is_named(world):
    world.put("z/big.csv.gz", gzip.compress(b"row\n" * 1000)[:-9])
    inputs = [("z", f"s3://{BUCKET}/z", "/opt/ml/processing/z", {"S3CompressionType": "Gzip"})]
    done = run(world, "", inputs=inputs)
    assert f"s3://{BUCKET}/z/big.csv.gz is no whole gzip file" in done["FailureReason"]


def test_kept_files_come_from_the_jobs_own_directory(world):
    ref = job("processing", "kept")
    text = "open('/opt/ml/processing/out/r.json', 'w').write('{\"mse\": 4}')"
    keep = {"Report": ("out", "r.json"), "None": ("out", "no.json"), "Up": ("out", "../../x")}
    world.run(ref, script(world, text), kept=keep)
    world.put("out/r.json", "another execution's")
    assert world.jobs.kept(ref) == {"Report": '{"mse": 4}'}


def test_a_kept_file_that_is_too_big_fails_the_job(world):
    ref = job("processing", "kept")
    text = "open('/opt/ml/processing/out/r', 'w').write('x' * (1 << 20) + 'x')"
    done = world.run(ref, script(world, text), kept={"Report": ("out", "r")})
    assert "r of the output out is over 1048576 bytes" in done["FailureReason"]


def test_an_end_wakes_the_parent(world):
    parent = Ref(ACCOUNT, REGION, "pipeline-execution", "p/e")
    with world.store.begin() as change:
        change.insert(Resource(parent, {}, now(), now()))
    assert world.store.claim(["pipeline-execution"], "me", 5) is None
    world.run(job("processing", "child"), script(world, ""), parent=parent)
    claim = world.store.claim(["pipeline-execution"], "me", 5)
    assert claim is not None
    assert claim.resource.ref == parent
    page = world.jobs.list(Query("processing-job", parent=parent))
    assert [one.ref.name for one in page.items] == ["child"]


def test_create_in_a_transaction_that_fails_leaves_nothing(bare_world):
    ref = job("processing", "gone")
    request = script(bare_world, "")

    def create_and_fail():
        with bare_world.store.begin() as change:
            bare_world.jobs.create(ref, request, actor="tester", transaction=change)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        create_and_fail()
    with pytest.raises(NotFound):
        bare_world.jobs.describe(ref)


def test_names_are_taken_until_deleted(world):
    ref = job("processing", "once")
    request = script(world, "print('hello')")
    world.jobs.create(ref, request, actor="tester", tags={"team": "a"})
    with pytest.raises(AlreadyExists):
        world.jobs.create(ref, request, actor="tester")
    with pytest.raises(Conflict, match="cannot be deleted: it is InProgress"):
        world.jobs.delete(ref, actor="tester")
    world.wait(ref)
    assert world.store.tags(ref) == {"team": "a"}
    world.jobs.delete(ref, actor="tester")
    with pytest.raises(NotFound):
        world.jobs.stop(ref, actor="tester")
    done = world.run(ref, request)
    assert done["ProcessingJobStatus"] == "Completed"


def test_workspaces_are_gone_when_jobs_have_ended(bare_world):
    bare_world.worker.start()
    run(bare_world, "")
    assert bare_world.worker.stop()
    assert [path for path in (bare_world.home / "processes").rglob("ml") if path.is_dir()] == []


BAD = [
    ("AppSpecification.ImageUri", {"AppSpecification": {"ImageUri": "tensorflow:2"}}, InvalidInput),
    ("ContainerEntrypoint", {"AppSpecification": {"ImageUri": SKLEARN}}, InvalidInput),
    ("LocalPath", {"ProcessingInputs": [("/etc", "S3Prefix", "File")]}, InvalidInput),
    ("LocalPath", {"ProcessingInputs": [("/opt/ml/../x", "S3Prefix", "File")]}, InvalidInput),
    ("Pipe", {"ProcessingInputs": [("/opt/ml/a", "S3Prefix", "Pipe")]}, NotSupported),
    ("S3DataType", {"ProcessingInputs": [("/opt/ml/a", "Converse", "File")]}, NotSupported),
    (
        "instance_count|InstanceCount",
        {"ProcessingResources": {"ClusterConfig": {"InstanceCount": 99}}},
        InvalidInput,
    ),
]


@pytest.mark.parametrize(("words", "change", "error"), BAD)
def test_requests_that_can_never_run_are_refused(bare_world, words, change, error):
    request = script(bare_world, "")
    if "AppSpecification" in change:
        base = {"ContainerEntrypoint": ["python3"]} if error is not InvalidInput else {}
        entry = {"ContainerEntrypoint": ["x"]} if "ImageUri" in words else base
        change = {"AppSpecification": {**entry, **change["AppSpecification"]}}
    if "ProcessingInputs" in change:
        path, kind, mode = change["ProcessingInputs"][0]
        given = {"S3Uri": f"s3://{BUCKET}/x", "LocalPath": path, "S3DataType": kind}
        change = {
            "ProcessingInputs": [{"InputName": "i", "S3Input": {**given, "S3InputMode": mode}}]
        }
    with pytest.raises(error, match=words):
        bare_world.jobs.create(job("processing", "bad"), {**request, **change}, actor="tester")


def test_a_transform_of_no_model_is_refused(bare_world):
    request = {
        "ModelName": "none",
        "TransformInput": {
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/x"}}
        },
        "TransformOutput": {"S3OutputPath": f"s3://{BUCKET}/y"},
        "TransformResources": {"InstanceCount": 1, "InstanceType": "ml.m5.large"},
    }
    with pytest.raises(NotFound, match="model none"):
        bare_world.jobs.create(job("transform", "t"), request, actor="tester")


def test_a_network_isolated_job_has_none(world):
    done = run(
        world,
        """
        import socket
        try:
            socket.create_connection(("192.0.2.1", 9), timeout=2)
        except OSError as error:
            open("/opt/ml/processing/out/error", "w").write(str(error))
        """,
        NetworkConfig={"EnableNetworkIsolation": True},
    )
    assert done["ProcessingJobStatus"] == "Completed"
    assert b"unreachable" in world.read("out/error")
