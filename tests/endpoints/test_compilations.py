"""Compilations: what becomes of artifacts, good and bad, whoever dies when."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from datetime import timedelta
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
import xgboost
from msgspec import structs
from tests.endpoints import compile_world
from tests.endpoints.compile_world import ACCOUNT, BUCKET, NEAR, REGION, XGBOOST, booster

from clary.endpoints import compilations
from clary.kernel.clock import now
from clary.kernel.names import Ref
from clary.kernel.resource import Event, Resource
from clary.lineage.model import FileEntry, of_object, of_tree

ROOT = Path(__file__).resolve().parents[2]
ROWS = np.array([[0.5, -1, np.nan, 2], [0, 0, 0, 0]], np.float32)
BODY = b"0.5,-1,,2\n0,0,0,0\n"


@pytest.fixture
def quiet(tmp_path):
    """Give a world in which nobody works."""
    return compile_world.world(tmp_path)


@pytest.fixture
def world(quiet):
    worker = quiet.new_worker()
    worker.start()
    yield quiet
    assert worker.stop()


def saved(model):
    return bytes(model.save_raw("ubj"))


def answers(world, compilation, body=BODY):
    reply = world.models.load(compilation.key).answer(body, "text/csv")
    return [float(line) for line in reply.body.splitlines()]


def actions(world, kind="compilation."):
    return [event.action for event in world.store.events() if event.action.startswith(kind)]


@pytest.mark.parametrize("form", ["ubj", "json", "pickle"])
def test_a_saved_booster_answers_as_it_does_natively(world, form):
    model = booster()
    content = pickle.dumps(model) if form == "pickle" else bytes(model.save_raw(form))
    found = world.ended(world.put({"xgboost-model": content}))
    assert found.status == "Compiled", found.reason
    assert (found.evidence.rows, found.evidence.real) == (2000, 0)
    assert found.evidence.difference == 0
    assert found.evidence.objective == "reg:squarederror"
    assert set(found.evidence.versions) == {"xgboost", "python", "onnx", "onnxruntime"}
    native = model.predict(xgboost.DMatrix(ROWS))
    assert answers(world, found) == native.tolist()


def test_several_boosters_answer_with_their_mean(world):
    models = [booster(seed) for seed in (1, 2, 3)]
    files = {f"fold-{n}": saved(model) for n, model in enumerate(models)}
    found = world.ended(world.put(files | {".hidden": b"nothing to load"}))
    assert found.status == "Compiled", found.reason
    native = np.mean([model.predict(xgboost.DMatrix(ROWS)) for model in models], axis=0)
    assert answers(world, found) == pytest.approx(native.tolist(), rel=1e-6)


def test_unpacked_files_are_compiled_too(world):
    for name in ("xgboost-model", "deep/other"):
        world.objects.put(BUCKET, f"plain/{name}", [saved(booster())])
    stage = compile_world.Stage(XGBOOST, f"s3://{BUCKET}/plain/", packed=False)
    assert world.ended(stage).status == "Compiled"


class Trap:
    """A pickle that does something when it is loaded."""

    def __init__(self, what, *arguments):
        self.what = what, arguments

    def __reduce__(self):
        return self.what


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({}, "the model archive holds no model file"),
        ({"m": b"neither"}, "m is no model that can be loaded"),
        ({"m": pickle.dumps([1])}, "holds a list, no Booster"),
        ({"m": b"", "code/inference.py": b""}, "it has an inference script of its own"),
        ({"m": pickle.dumps(Trap(os._exit, 3))}, "its export ended with exit code 3"),
        ({"m": pickle.dumps(Trap(sys.exit, 0))}, "there is no export.json"),
        ({"a": saved(booster(features=3)), "b": saved(booster(features=4))}, "different numbers"),
        ({"m": saved(booster(booster="gblinear"))}, "the booster gblinear is not compiled"),
    ],
)
def test_what_cannot_be_compiled_is_native_with_the_reason(world, files, reason):
    found = world.ended(world.put(files))
    assert reason in found.reason
    assert found.status == "Native"


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"image": "sagemaker-scikit-learn:1.2-1"}, "is not the built-in XGBoost's"),
        ({"multi_model": True}, "it is not one artifact"),
        ({"model_data": ""}, "it is not one artifact"),
        ({"environment": {"SAGEMAKER_PROGRAM": "x.py"}}, "script of its own"),
        ({"model_data": "s3://models/gone/", "packed": False, "sha256": ""}, "no object at"),
    ],
)
def test_what_is_not_even_tried_is_native_at_once(quiet, members, reason):
    stage = structs.replace(quiet.put({"m": b""}), **members)
    found = quiet.ensure(stage)
    assert (found.status, found.key) == ("Native", "")
    assert reason in found.reason


def test_a_vector_of_leaves_and_categories_are_native(world):
    draw = np.random.default_rng(0)
    rows = draw.normal(size=(200, 3))
    many = xgboost.train(
        {"multi_strategy": "multi_output_tree", "nthread": 1}, xgboost.DMatrix(rows, rows[:, :2]), 2
    )
    found = world.ended(world.put({"m": saved(many)}))
    assert found.reason == "trees with vectors in their leaves are not compiled"
    rows[:, 0] = draw.integers(8, size=200)
    matrix = xgboost.DMatrix(
        rows, draw.normal(size=200), feature_types=["c", "q", "q"], enable_categorical=True
    )
    found = world.ended(world.put({"m": saved(xgboost.train({"nthread": 1}, matrix, 3))}, "other"))
    assert found.reason == "splits on categories are not compiled"


def test_the_same_content_is_compiled_once(world):
    one = world.put({"m": saved(booster())}, "one")
    other = structs.replace(one, model_data=world.put({"m": b""}, "x").model_data)
    assert world.ended(one) == world.ended(other)
    assert actions(world) == ["compilation.compiled"]


def test_a_native_model_that_answers_otherwise_stays_native(world):
    patched = (
        "[setattr(b := __import__('xgboost').Booster, 'predict',"
        " (lambda true: lambda *a, **k: true(*a, **k) + 0.001)(b.predict)),"
        f" __import__('pickle').loads({pickle.dumps(booster())!r})][1]"
    )
    found = world.ended(world.put({"m": pickle.dumps(Trap(eval, patched))}))
    assert found.status == "Native"
    assert "the compiled model differs from the native one in row " in found.reason


def test_what_a_sandbox_leaves_is_read_without_following_links(world):
    secret = world.home / "secret"
    secret.write_text('{"unfit": "the content of a file outside"}')
    linked = (
        "[__import__('os').makedirs('/opt/ml/output/export', exist_ok=True),"
        f" __import__('os').symlink({str(secret)!r}, '/opt/ml/output/export/export.json'),"
        " __import__('os')._exit(0)]"
    )
    found = world.ended(world.put({"m": pickle.dumps(Trap(eval, linked))}))
    assert found.status == "Native"
    assert "out of the directory" in found.reason


def test_training_rows_are_compared_first(world):
    stage = world.put({"m": saved(booster())})
    draw = np.random.default_rng(3)
    lines = [",".join(f"{x:.3f}" for x in row) for row in draw.normal(size=(40, 5))]
    data = world.objects.put(BUCKET, "d/train.csv", ["\n".join(lines).encode()])
    job = Ref(ACCOUNT, REGION, "training-job", "t")
    model = world.objects.stat(BUCKET, stage.model_data.partition(BUCKET + "/")[2])
    with world.store.begin() as change:
        used = [("train", of_object(data))]
        world.lineage.record(change, job, inputs=used, outputs=[("model", of_object(model))])
    found = world.ended(stage)
    assert found.status == "Compiled", found.reason
    assert (found.evidence.real, found.evidence.rows) == (40, 2040)


def test_models_are_compiled_when_they_are_made(world):
    stage = world.put({"m": saved(booster())})
    model = NEAR.sibling("model", "m")
    container = {"Image": XGBOOST, "ModelDataUrl": stage.model_data}
    at = now()
    events = [Event(at, "me", "model.created", NEAR.sibling("model", name)) for name in "mgone"]
    with world.store.begin() as change:
        request = {"ModelName": "m", "PrimaryContainer": container}
        change.insert(Resource(model, {"request": request}, at, at))
        world.compilations.follow(events, change)
    found = world.ended(stage)
    assert found.status == "Compiled"
    assert actions(world) == ["compilation.compiled"]


def test_who_waits_is_woken(world):
    waiter = NEAR.sibling("waiting", "w")
    with world.store.begin() as change:
        change.insert(Resource(waiter, {}, now(), now()))
    stage = world.put({"m": saved(booster())})
    assert world.ensure(stage, waiter).status == "Pending"
    world.ended(stage)
    assert world.store.claim(["waiting"], "me", 5.0).resource.ref == waiter


def test_what_failed_by_circumstances_is_tried_again_later(quiet, monkeypatch):
    whole = saved(booster())
    stage = quiet.put({"m": whole})
    quiet.ensure(stage)
    quiet.put({"m": b"other"})
    worker = quiet.new_worker()
    worker.start()
    found = quiet.ended(stage)
    assert found.status == "Native"
    assert "is not what it was" in found.reason
    quiet.put({"m": whole})
    assert quiet.ended(stage).status == "Native"
    monkeypatch.setattr(compilations, "_AGAIN_AFTER", timedelta())
    assert quiet.ended(stage).status == "Compiled"
    assert worker.stop()


POINTS = ["runner.discard", "runner.start", "models.compile", "before", "after"]


@pytest.mark.parametrize("point", POINTS)
def test_another_server_goes_on_with_what_a_killed_one_left(quiet, point):
    stage = quiet.put({"m": saved(booster())})
    quiet.ensure(stage)
    path = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
    server = subprocess.run(
        [sys.executable, "-m", "tests.endpoints.compile_server", str(quiet.home), point],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path},
        timeout=60,
        check=False,
    )
    assert server.returncode == -signal.SIGKILL
    world = compile_world.World(quiet.home, lease_s=0.5)
    worker = world.new_worker()
    worker.start()
    found = world.ended(stage)
    assert found.status == "Compiled", found.reason
    assert len(answers(world, found)) == 2
    while world.workspaces():
        time.sleep(0.01)
    assert worker.stop()
    assert actions(world) == ["compilation.compiled"]


def test_without_the_extra_everything_is_native_and_says_so(quiet, monkeypatch):
    stage = quiet.put({"m": saved(booster())})
    true = metadata.version

    def version(name):
        if name == "onnxruntime":
            raise metadata.PackageNotFoundError(name)
        return true(name)

    monkeypatch.setattr(metadata, "version", version)
    found = quiet.ensure(stage)
    assert (found.status, found.choice) == ("Native", "native: clary[serving] is not installed")


@pytest.mark.parametrize("form", ["csv", "libsvm", "too many columns", "no numbers"])
def test_rows_of_training_data_in_any_format_help_or_do_no_harm(world, form):
    model = booster()
    content = {
        "csv": "1,2,,4,5\n" * 3,
        "libsvm": "1 0:2 3:5\n" * 3,
        "too many columns": "1 7:2\n",
        "no numbers": "a,b\n",
    }[form]
    stage = world.put({"m": saved(model)}, form.replace(" ", "-"))
    data = world.objects.put(BUCKET, "d/train/part", [content.encode()])
    job = Ref(ACCOUNT, REGION, "training-job", "t")
    made = world.objects.stat(BUCKET, stage.model_data.partition(BUCKET + "/")[2])
    tree = of_tree(f"s3://{BUCKET}/d/train", [FileEntry("part", data.sha256, data.size_bytes)])
    with world.store.begin() as change:
        used = [("model", of_object(made))]
        world.lineage.record(change, job, inputs=[("train", tree)], outputs=used)
    found = world.ended(stage)
    assert found.status == "Compiled", found.reason
    assert found.evidence.real == (3 if form in {"csv", "libsvm"} else 0)
    assert found.choice.startswith("compiled: verified on 200")
    assert ("of its training data" in found.choice) == bool(found.evidence.real)
