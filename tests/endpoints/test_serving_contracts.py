"""What each kind of model answers: the built-in XGBoost, scripts, MLflow's pyfunc, ONNX."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xgboost
from scipy import sparse
from tests.endpoints.fleet_world import XGBOOST, invocation, opened
from tests.jobs import wheels

from clary.endpoints.invocations import Refused


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with opened(tmp_path_factory.mktemp("world")) as world:
        yield world


def asker(world, name, files, **members):
    """Make a fleet; returns what asks it: body, content type and accept → body."""
    ref = world.create(name, files, **members)
    assert world.state(ref).status == "InService", world.state(ref).reason
    client = world.client(ref)

    def ask(body, content_type, accept=""):
        reply = client.ask(invocation(body, content_type, accept))
        return reply.status, reply.content_type, reply.body

    return ask


def refusal(ask, *request):
    with pytest.raises(Refused) as refused:
        ask(*request)
    return refused.value.status, refused.value.message


def booster(seed):
    draw = np.random.default_rng(seed)
    rows = draw.normal(size=(60, 3)).astype(np.float32)
    matrix = xgboost.DMatrix(rows, label=rows @ [2.0, -1.0, 0.5])
    return xgboost.train({"max_depth": 3, "seed": seed}, matrix, 5)


@pytest.fixture(scope="module")
def boosters():
    return booster(1), booster(2)


@pytest.fixture(scope="module")
def ensemble(world, boosters):
    files = {f"model-{n}": bytes(one.save_raw("ubj")) for n, one in enumerate(boosters)}
    return asker(world, "boosters", {**files, ".hidden": "no model"}, image=XGBOOST)


ROWS = [[0.5, -1.0, 2.0], [1.5, 0.25, -0.75]]
CSV = "\n".join(",".join(map(str, row)) for row in ROWS).encode()


def test_the_built_in_xgboost(ensemble, boosters):
    matrix = xgboost.DMatrix(np.array(ROWS, np.float32))
    expected = np.mean([one.predict(matrix) for one in boosters], axis=0)
    status, kind, body = ensemble(CSV, "text/csv")
    assert (status, kind) == (200, "text/csv")
    assert [float(line) for line in body.decode().splitlines()] == pytest.approx(expected)
    _, kind, body = ensemble(b"0 0:0.5 1:-1 2:2\n", "text/libsvm", "application/json")
    assert kind == "application/json"
    assert json.loads(body)["predictions"][0]["score"] == pytest.approx(expected[0])
    assert ensemble(b" \n", "text/csv")[0] == 204
    assert refusal(ensemble, CSV, "application/json")[0] == 415
    assert refusal(ensemble, b"a,b,c", "text/csv")[0] == 415
    assert refusal(ensemble, b"1,2", "text/csv")[0] == 400
    assert refusal(ensemble, CSV, "text/csv", "image/png")[0] == 406
    assert ensemble(CSV, "text/csv")[0] == 200


def test_an_xgboost_script_reads_matrices_by_default(world, boosters):
    code = """
import os, xgboost
import frames  # its own, not the container's
def model_fn(folder):
    assert frames.MINE
    model = xgboost.XGBRegressor()
    booster = xgboost.Booster()
    booster.load_model(os.path.join(folder, "b.ubj"))
    return booster
"""
    files = {
        "code/inference.py": code,
        "code/frames.py": "MINE = True",
        "b.ubj": bytes(boosters[0].save_raw("ubj")),
    }
    ask = asker(world, "script", files, image=XGBOOST)
    _, kind, body = ask(CSV, "text/csv")
    assert kind == "application/json"
    expected = boosters[0].predict(xgboost.DMatrix(np.array(ROWS, np.float32)))
    assert json.loads(body) == pytest.approx(expected)


SUM = "def model_fn(folder): return None\ndef predict_fn(data, model): return data.sum(axis=-1)"


def test_the_defaults_of_scripts(world):
    ask = asker(
        world,
        "defaults",
        {"other.txt": "x", "code/sum.py": SUM},
        environment={
            "SAGEMAKER_PROGRAM": "sum.py",
            "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
            "SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT": "text/csv",
        },
    )
    assert ask(b"[[1, 2], [3, 4]]", "application/json", "application/json")[2] == b"[3, 7]"
    assert ask(b"1,2\n3,4\n", "text/csv") == (200, "text/csv", b"3.0\n7.0\n")
    data = io.BytesIO()
    np.save(data, np.array([[1, 2]]))
    _, kind, body = ask(data.getvalue(), "application/x-npy", "application/x-npy")
    assert (kind, np.load(io.BytesIO(body)).tolist()) == ("application/x-npy", [3])
    assert refusal(ask, b"\xff", "text/csv")[0] == 400
    assert refusal(ask, b"[1,", "application/json")[0] == 415
    assert refusal(ask, b"x", "image/png")[0] == 415
    assert refusal(ask, b"[1]", "application/json", "image/png")[0] == 406
    data = io.BytesIO()
    sparse.save_npz(data, sparse.csr_matrix([[1.0, 0.0], [0.0, 5.0]]))
    assert ask(data.getvalue(), "application/x-npz", "application/json")[2] == b"[[1.0], [5.0]]"
    assert refusal(ask, data.getvalue()[:50], "application/x-npz")[0] == 415
    assert refusal(ask, b"", "application/x-npy")[0] == 415
    bad = io.BytesIO()
    np.save(bad, np.array([{}], dtype=object), allow_pickle=True)
    assert refusal(ask, bad.getvalue(), "application/x-npy")[0] == 415


def test_code_beside_the_artifact(world):
    world.put("beside/sourcedir.tar.gz", {"sum.py": SUM})
    ask = asker(
        world,
        "beside",
        {"weights": "x"},
        environment={
            "SAGEMAKER_PROGRAM": "sum.py",
            "SAGEMAKER_SUBMIT_DIRECTORY": "s3://models/beside/sourcedir.tar.gz",
        },
    )
    assert ask(b"[1, 2]", "application/json")[2] == b"3"


def test_requirements_are_there_before_the_script(tmp_path, monkeypatch):
    index = wheels.use(tmp_path / "index", tmp_path / "cache", monkeypatch)
    wheels.write_wheel(index, "little", "1.0")
    script = """
import little
def model_fn(folder): return little.__version__
def predict_fn(data, model): return model
def output_fn(prediction, accept): return prediction
"""
    files = {"code/inference.py": script, "code/requirements.txt": "little<2"}
    with opened(tmp_path / "home") as world:
        ask = asker(world, "needs", files, image="python:3")
        assert "needs the package numpy" in refusal(ask, b"1", "text/csv")[1]
        script = script.replace(
            "def output_fn", "def input_fn(body, kind): return body\ndef output_fn"
        )
        ask = asker(world, "more", files | {"code/inference.py": script}, image="python:3")
        assert ask(b"1", "text/csv")[2] == b"1.0"
        files["code/requirements.txt"] = "little>=3"
        reason = world.state(world.create("none", files, image="python:3")).reason
        assert "little" in reason


def tree(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in Path(folder).rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module")
def pyfunc(world, tmp_path_factory):
    mlflow = pytest.importorskip("mlflow")
    folder = tmp_path_factory.mktemp("mlflow") / "model"

    class Total(mlflow.pyfunc.PythonModel):
        def predict(self, context, model_input, params=None):
            scale = (params or {}).get("scale", 1.0)
            return model_input[["a", "b"]].sum(axis=1) * scale

    frame = pd.DataFrame({"a": [1.0], "b": [2.0]}).astype({"b": "float32"})
    signature = mlflow.models.infer_signature(frame, [3.0], params={"scale": 1.0})
    mlflow.pyfunc.save_model(
        folder, python_model=Total(), signature=signature, pip_requirements=["pandas"]
    )
    files = tree(folder)
    shutil.rmtree(folder)
    return asker(world, "pyfunc", files, image="python:3")


@pytest.mark.parametrize(
    ("body", "kind", "expected"),
    [
        ("a,b\n1,2\n3,4\n", "text/csv", [3.0, 7.0]),
        ({"dataframe_split": {"columns": ["b", "a"], "data": [[1, 2]]}}, "", [3.0]),
        ({"dataframe_records": [{"a": 1, "b": 2}]}, "application/json", [3.0]),
        ({"instances": [{"a": 1, "b": 2}]}, "application/json", [3.0]),
        ({"instances": [[1, 2]]}, "application/json", [3.0]),
        ({"inputs": {"a": [1, 2], "b": [3, 4]}}, "application/json; charset=utf-8", [4.0, 6.0]),
        ({"inputs": {"a": [1.5], "b": [0.1]}}, "application/json", [1.6]),
        ({"inputs": [[1, 2]], "params": {"scale": 2.0}}, "application/json", [6.0]),
    ],
)
def test_mlflow_models(pyfunc, body, kind, expected):
    text = body if isinstance(body, str) else json.dumps(body)
    status, answered, found = pyfunc(text.encode(), kind)
    assert (status, answered) == (200, "application/json")
    assert json.loads(found)["predictions"] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"a,b\n1,2", "text/tab-separated-values", 415),
        (b"{", "application/json", 400),
        (b"[1]", "application/json", 400),
        (b'{"rows": 1}', "application/json", 400),
        (b'{"inputs": 1, "instances": 2}', "application/json", 400),
        (b'{"dataframe_records": [{"a": 1}]}', "application/json", 400),
        (b'{"dataframe_split": {"columns": ["a"]}}', "application/json", 400),
    ],
)
def test_mlflow_refuses(pyfunc, body, kind, status):
    assert refusal(pyfunc, body, kind)[0] == status


@pytest.fixture(scope="module")
def onnx(world):
    library = pytest.importorskip("onnx")
    helper, number = library.helper, library.TensorProto.FLOAT

    def value(name):
        return helper.make_tensor_value_info(name, number, [None, 2])

    doubled = helper.make_graph(
        [helper.make_node("Add", ["x", "x"], ["y"])],
        "g",
        [value("x")],
        [value("y")],
    )
    model = helper.make_model(doubled, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return asker(world, "onnx", {"m.onnx": model.SerializeToString()}, image="python:3")


def test_onnx_files(onnx):
    assert json.loads(onnx(b"[[1, 2]]", "application/json")[2]) == {"y": [[2.0, 4.0]]}
    assert json.loads(onnx(b'{"x": [[1, 2]]}', "application/json")[2]) == {"y": [[2.0, 4.0]]}
    assert json.loads(onnx(b'{"inputs": [[1, 2]]}', "application/json")[2]) == {"y": [[2.0, 4.0]]}
    assert onnx(b"1,2\n3,4\n", "text/csv")[1:] == ("text/csv", b"2.0,4.0\n6.0,8.0\n")
    data = io.BytesIO()
    np.save(data, np.array([[1.0, 2.0]]))
    _, _, body = onnx(data.getvalue(), "application/x-npy", "application/x-npy")
    assert np.load(io.BytesIO(body)).tolist() == [[2.0, 4.0]]
    assert refusal(onnx, b'{"z": 1}', "application/json")[0] == 400
    assert refusal(onnx, b"[[1, 2, 3]]", "application/json")[0] == 400
    assert refusal(onnx, b'[["a", "b"]]', "application/json")[0] == 400
    assert refusal(onnx, b"x", "image/png")[0] == 415
    assert refusal(onnx, b"[[1, 2]]", "application/json", "image/png")[0] == 406
