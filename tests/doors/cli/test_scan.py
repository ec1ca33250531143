from __future__ import annotations

import os
import pickle
import tarfile

from clary.doors.python.session import connect


class Runs:
    def __reduce__(self):
        return os.system, ("true",)


def test_files_and_folders(clary, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model/good.pkl").write_bytes(pickle.dumps({1: 2}))
    said = clary("models", "scan", tmp_path / "model")
    assert said.code == 0
    assert "clean" in said.err
    (tmp_path / "model/evil.pkl").write_bytes(pickle.dumps(Runs()))
    said = clary("models", "scan", tmp_path / "model", "--json")
    assert said.code == 1
    assert said.json["verdict"] == "dangerous"
    assert said.json["uses"][0] == {
        "verdict": "dangerous",
        "what": "posix.system",
        "does": "called",
        "file": "evil.pkl",
        "why": "runs code, or reaches files, processes or the network",
    }
    cut = tmp_path / "cut.pkl"
    cut.write_bytes(pickle.dumps([1] * 100)[:20])
    assert clary("models", "scan", cut).code == 2
    assert clary("models", "scan", tmp_path / "nothing.pkl").code == 1


def test_what_is_unknown_counts_when_strict(clary, tmp_path):
    file = tmp_path / "model.pkl"
    file.write_bytes(b"cmine\nModel\n.")
    assert clary("models", "scan", file).code == 0
    assert clary("models", "scan", file, "--strict").code == 1


def test_objects_and_model_versions(clary, home, tmp_path):
    with connect(home) as session:
        (tmp_path / "evil.pkl").write_bytes(pickle.dumps(Runs()))
        with tarfile.open(tmp_path / "model.tar.gz", "w:gz") as archive:
            archive.add(tmp_path / "evil.pkl", "evil.pkl")
        uploads = session.uploads()
        uri = uploads.path(tmp_path / "model.tar.gz", "model")
        session.send(uploads)
        models = session.platform.models
        group = session.ref("model-package-group", "abalone")
        models.create_group(group, {"ModelPackageGroupName": "abalone"}, actor="me")
        container = {"Image": "sagemaker-xgboost:3.0-5", "ModelDataUrl": uri}
        request = {
            "ModelPackageGroupName": "abalone",
            "InferenceSpecification": {"Containers": [container]},
        }
        models.create_package(session.ref("model-package", ""), request, actor="me")
    for target in (uri, uri.rpartition("/")[0], "abalone/1", "abalone"):
        said = clary("models", "scan", target, "--json")
        assert said.code == 1, target
        [use] = said.json["uses"]
        assert use["what"] == "posix.system"
    missing = clary("models", "scan", "s3://nowhere/at-all")
    assert missing.code == 1
    assert "does not exist" in missing.err
