"""What is installed for a model: as the files that came with it say, packed or not."""

from __future__ import annotations

import pytest
from tests.jobs.conftest import archive

from clary.jobs.contract import Plan
from clary.jobs.dependencies import needs
from clary.jobs.images import runtime
from clary.kernel.errors import InvalidInput


def found(ml, files, *, packed=True, code=None, program="serve.py"):
    if packed:
        (ml / "input/model").mkdir(parents=True)
        (ml / "input/model/model.tar.gz").write_bytes(archive(files))
    else:
        for name, text in files.items():
            (ml / "model" / name).parent.mkdir(parents=True, exist_ok=True)
            (ml / "model" / name).write_text(text)
    if code:
        (ml / "input/code").mkdir(parents=True)
        (ml / "input/code/sourcedir.tar.gz").write_bytes(archive(code))
    plan = Plan(runtime("python:3", field=""), ("algo-1",), (), (), ("r", {}), program=(program,))
    return needs(plan, ml).requirements


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("program", ["serve.py", "batch_transform.py"])
@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"xgboost-model": "x"}, ()),
        ({"code/requirements.txt": "joblib>=1\n# more\n"}, ("joblib>=1",)),
        ({"code/inference.py": "", "requirements.txt": "nothing"}, ()),
        (
            {"MLmodel": "a: b", "requirements.txt": "mlflow==3.1\nmlflow-extra\npandas\n"},
            ("mlflow-skinny==3.1", "mlflow-extra", "pandas", "mlflow-skinny"),
        ),
        ({"MLmodel": "a: b"}, ("mlflow-skinny", "pandas")),
        ({"model.onnx": "x"}, ("onnxruntime",)),
    ],
)
def test_what_a_model_needs(tmp_path, files, expected, packed, program):
    assert found(tmp_path, files, packed=packed, program=program) == expected


def test_code_beside_the_artifact_says_it(tmp_path):
    code = {"inference.py": "", "requirements.txt": "a==1"}
    assert found(tmp_path, {"code/requirements.txt": "b==1"}, code=code) == ("a==1",)


def test_what_is_no_requirement_is_refused(tmp_path):
    with pytest.raises(InvalidInput, match=r"requirements.txt, line 1"):
        found(tmp_path, {"code/requirements.txt": "--index-url http://elsewhere"})


def test_a_broken_archive_needs_nothing(tmp_path):
    (tmp_path / "input/model").mkdir(parents=True)
    (tmp_path / "input/model/model.tar.gz").write_bytes(archive({"MLmodel": "a: b"})[:40])
    plan = Plan(
        runtime("python:3", field=""), ("algo-1",), (), (), ("r", {}), program=("serve.py",)
    )
    assert needs(plan, tmp_path).requirements == ()
