"""Artifacts, through an unmodified client, and as somebody hostile asks for them."""

from __future__ import annotations

import json
from pathlib import Path

import mlflow
import pytest

from clary.kernel.names import Ref


@pytest.fixture
def run(client, experiment):
    return client.create_run(experiment)


def test_files_come_back(client, run, tmp_path):
    ident = run.info.run_id
    (tmp_path / "a").mkdir()
    (tmp_path / "a/b.bin").write_bytes(bytes(range(256)) * 9_000)
    (tmp_path / "a/empty").touch()
    client.log_artifacts(ident, tmp_path / "a", "data")
    client.log_dict(ident, {"k": 1}, "conf/k.json")
    client.log_text(ident, "grüße", "ö % name.txt")
    listed = {(one.path, one.is_dir, one.file_size) for one in client.list_artifacts(ident)}
    assert listed == {("conf", True, None), ("data", True, None), ("ö % name.txt", False, 7)}
    inner = {(one.path, one.file_size) for one in client.list_artifacts(ident, "data")}
    assert inner == {("data/b.bin", 2_304_000), ("data/empty", 0)}
    assert client.list_artifacts(ident, "data/b.bin") == []
    root = Path(client.download_artifacts(ident, "", str(tmp_path)))
    assert (root / "data/b.bin").read_bytes() == (tmp_path / "a/b.bin").read_bytes()
    assert (root / "ö % name.txt").read_text(encoding="utf-8") == "grüße"
    assert mlflow.artifacts.load_dict(f"runs:/{ident}/conf/k.json") == {"k": 1}


def test_they_are_objects_below_the_runs_prefix(server, client, run):
    client.log_text(run.info.run_id, "x", "deep/a.txt")
    near = Ref("123456789012", "us-east-1", "experiment-trial-component", run.info.run_id)
    bucket, prefix = server.platform.experiments.runs.artifacts(near)
    found = server.platform.objects.stat(bucket, f"{prefix}deep/a.txt")
    assert (found.size_bytes, found.headers["content-type"]) == (1, "text/plain")


def test_directories_are_removed(server, client, run):
    for name in ("d/a", "d/b/c", "e"):
        client.log_text(run.info.run_id, "x", name)
    path = f"/api/2.0/mlflow-artifacts/artifacts/runs/{run.info.run_id}/d"
    assert server.send("DELETE", path).ok
    assert [one.path for one in client.list_artifacts(run.info.run_id)] == ["e"]


@pytest.mark.parametrize(
    "path",
    [
        *("runs/RUN/%2e%2e/x", "runs/RUN/a/%2e%2e/%2e%2e/x", "runs/..%2f..%2fx", "runs/RUN/a%00b"),
        *("runs/RUN//x", "runs/RUN/a%5c..%5cx", "other/RUN/x", "runs", "runs/RUN/" + "x" * 900),
        *("%2fetc/passwd", "runs/RUN/%2e", "models//x"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_nothing_else_is_reached(server, run, path, method):
    path = path.replace("RUN", run.info.run_id)
    answer = server.send(method, f"/api/2.0/mlflow-artifacts/artifacts/{path}", data=b"x")
    assert (answer.status_code, answer.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")


def test_what_is_not_there_is_said(server, run):
    base = "/api/2.0/mlflow-artifacts/artifacts/runs"
    for path in (f"{run.info.run_id}/none", "nobody/x"):
        answer = server.send("GET", f"{base}/{path}")
        assert (answer.status_code, answer.json()["error_code"]) == (
            404,
            "RESOURCE_DOES_NOT_EXIST",
        )
    answer = server.send("POST", "/api/2.0/mlflow-artifacts/mpu/create/runs/x", data=json.dumps({}))
    assert (answer.status_code, answer.json()["error_code"]) == (501, "NOT_IMPLEMENTED")


def test_big_files_go_in_one_piece_when_parts_are_asked_for(client, run, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD", "true")
    monkeypatch.setenv("MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE", "100")
    (tmp_path / "big").write_bytes(b"x" * 1000)
    client.log_artifact(run.info.run_id, str(tmp_path / "big"))
    assert [one.file_size for one in client.list_artifacts(run.info.run_id)] == [1000]
