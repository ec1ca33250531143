"""Models behind endpoints, as Python has them: real workers, in this process's session."""

from __future__ import annotations

import time
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import clary
from clary.doors.python import bodies, serving_program
from clary.endpoints.options import policy
from clary.kernel.resource import Query

xgboost = pytest.importorskip("xgboost")
linear_model = pytest.importorskip("sklearn.linear_model")
X = np.random.default_rng(7).random((60, 3))
Y = X.sum(axis=1)


class Doubler:
    factor = 2

    def predict(self, value):
        if isinstance(value, str) and value == "stream":
            return iter([b"a", b"b"])
        return value * self.factor


class Tripler(Doubler):
    factor = 3


class Reader:
    """Is made with the folder of its files, and then loads one."""

    def __init__(self, folder):
        self.folder = folder

    def load(self, folder):
        assert folder == self.folder
        self.words = (Path(folder) / "words.txt").read_text("utf-8").split()

    def predict(self, place):
        return {"word": self.words[place]}


class Broken:
    def __init__(self):
        raise ValueError("cannot be made")

    def predict(self, value):
        return value


@pytest.fixture(scope="module")
def doubler(session):
    endpoint = session.endpoints.deploy(Doubler, "doubler")
    with leaving(endpoint):
        yield endpoint


@pytest.fixture(scope="module", autouse=True)
def emptied(session):
    """Wait at the end until no worker is left: they would outlive the tests."""
    yield
    for endpoint in session.endpoints.list():
        with suppress(clary.NotFound):  # it has gone meanwhile
            endpoint.delete()


@contextmanager
def leaving(endpoint):
    """Delete it at the end, and do not wait until it is gone."""
    yield endpoint
    endpoint.delete(wait=False)


def test_a_class_answers_every_kind_of_value(doubler):
    assert doubler.status == "InService"
    assert doubler.predict(3) == 6
    assert doubler.predict("ab") == "abab"
    assert doubler.predict([1, 2]) == [1, 2, 1, 2]
    array = doubler.predict(np.arange(3, dtype="f4"))
    assert array.dtype == "f4"
    assert array.tolist() == [0, 2, 4]
    frame = doubler.predict(pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}))
    assert frame.to_dict("list") == {"a": [2, 4], "b": ["xx", "yy"]}
    assert list(doubler.predict("stream")) == ["a", "b"]
    assert doubler.predict("[1]", content_type="application/json", accept="text/csv").tolist() == [
        1.0,
        1.0,
    ]


def test_what_the_model_raises_is_told(doubler):
    with pytest.raises(clary.ModelFailed, match="TypeError"):
        doubler.predict({"a": 1})
    deadline = time.monotonic() + 30
    while not any("TypeError" in line for line in doubler.logs()):  # the log follows the answer
        assert time.monotonic() < deadline
        time.sleep(0.05)
    with pytest.raises(clary.InvalidInput, match="cannot be sent"):
        doubler.predict({1, 2})
    with pytest.raises(clary.InvalidInput, match="no variant"):
        doubler.predict(1, variant="other")
    counted = doubler.metrics()["main"]
    assert counted["requests"] >= counted["errors_5xx"] >= 1
    assert counted["p99_ms"] >= counted["p50_ms"] > 0


def test_an_update_replaces_the_model_and_a_bad_one_does_not(doubler, session):
    doubler.update(Tripler)
    assert doubler.predict(3) == 9
    with pytest.raises(clary.JobFailed, match="cannot be made"):
        doubler.update(Broken)
    assert doubler.status == "InService"
    assert doubler.predict(3) == 9
    doubler.scale(2)
    assert doubler.variants["main"]["instances"] == 2
    doubler.update(Doubler(), canary=50, bake_s=0)
    assert doubler.predict(3) == 6
    assert doubler.variants["main"]["instances"] == 2
    assert "doubler" in [one.name for one in session.endpoints.list()]
    with pytest.raises(clary.AlreadyExists):
        session.endpoints.deploy(Doubler, "doubler")


def test_files_go_with_a_class(session, tmp_path):
    (tmp_path / "words.txt").write_text("eggs ham spam")
    with session.endpoints.deploy(Reader, "reader", files=tmp_path / "words.txt") as endpoint:
        assert endpoint.predict(1) == {"word": "ham"}
    assert endpoint.status == "Deleted"
    for kind in ("model", "endpoint-config"):
        assert not session.platform.store.select(Query(kind, name_prefix="reader")).items


def test_boosters_and_estimators_share_an_endpoint(session):
    booster = xgboost.train({"nthread": 1}, xgboost.DMatrix(X, Y), 5)
    linear = linear_model.LinearRegression().fit(X, Y)
    models = {"boosted": booster, "linear": linear}
    both = session.endpoints.deploy(models, "both", weights={"boosted": 3, "linear": 1})
    with leaving(both):
        shares = {name: one["share"] for name, one in both.variants.items()}
        assert shares == {"boosted": 0.75, "linear": 0.25}
        native = booster.predict(xgboost.DMatrix(X[:4]))
        assert np.allclose(both.predict(X[:4], variant="boosted"), native, atol=1e-5)
        assert np.allclose(both.predict(X[:4].tolist(), variant="boosted"), native, atol=1e-5)
        assert np.allclose(both.predict(X[:4], variant="linear"), Y[:4])
        assert np.allclose(both.predict(X[:4].tolist(), variant="linear"), Y[:4])
        both.shift({"boosted": 0, "linear": 1})
        assert np.allclose(both.predict(X[:4]), Y[:4])


def test_the_registry_and_files_are_deployed(session, tmp_path):
    booster = xgboost.train({"nthread": 1}, xgboost.DMatrix(X, Y), 3)
    booster.save_model(tmp_path / "model.ubj")
    native = booster.predict(xgboost.DMatrix(X[:2]))
    models, actor = session.platform.models, session.actor
    endpoint = session.endpoints.deploy(tmp_path / "model.ubj", "from-a-file")
    with leaving(endpoint):
        assert np.allclose(endpoint.predict(X[:2]), native, atol=1e-5)
        name = endpoint.variants["main"]["model"]
        uri = models.describe_model(session.ref("model", name))["PrimaryContainer"]["ModelDataUrl"]
    group = session.ref("model-package-group", "abalone")
    models.create_group(group, {"ModelPackageGroupName": "abalone"}, actor=actor)
    container = {"Image": "sagemaker-xgboost:3.0-5", "ModelDataUrl": uri}
    request = {
        "ModelPackageGroupName": "abalone",
        "InferenceSpecification": {"Containers": [container]},
    }
    package = models.create_package(session.ref("model-package", ""), request, actor=actor)
    with pytest.raises(clary.InvalidInput, match="no approved version"):
        session.endpoints.deploy("abalone", "from-the-registry")
    models.update_package(package.ref, {"ModelApprovalStatus": "Approved"}, actor=actor)
    endpoint = session.endpoints.deploy("abalone", "from-the-registry")
    with leaving(endpoint):
        assert np.allclose(endpoint.predict(X[:2]), native, atol=1e-5)
        endpoint.update("abalone/1")
        endpoint.update(uri)
        assert np.allclose(endpoint.predict(X[:2]), native, atol=1e-5)


def test_what_cannot_be_deployed_is_refused(session):
    with pytest.raises(clary.NotFound, match="nothing"):
        session.endpoints.deploy("nothing", "refused")
    with pytest.raises(clary.InvalidInput, match="has no predict"):
        session.endpoints.deploy(object(), "refused")
    with pytest.raises(clary.InvalidInput, match="instnces is no option"):
        session.endpoints.deploy(Doubler, "refused", instnces=2)
    with pytest.raises(clary.InvalidInput, match="capture"):
        session.endpoints.deploy(Doubler, "refused", capture=200)
    with pytest.raises(clary.InvalidInput, match="name: 'bad name' is no name"):
        session.endpoints.deploy(Doubler, "bad name")
    with pytest.raises(clary.InvalidInput, match="InitialInstanceCount"):
        session.endpoints.deploy(Doubler, "refused", instances=0)
    assert not session.platform.store.select(Query("model", name_prefix="refused")).items
    with pytest.raises(clary.JobFailed, match="cannot be made"):
        session.endpoints.deploy(Broken, "broken")
    broken = session.endpoints.get("broken")
    assert broken.status == "Failed"
    broken.delete(wait=False)


def test_the_module_serves_the_last_session(session):
    assert "doubler" in [one.name for one in clary.endpoints.list()]
    with pytest.raises(clary.NotFound):
        clary.endpoints.get("nothing")
    with pytest.raises(AttributeError):
        clary.endpoints.nothing  # noqa: B018 - it raises


def test_rollouts_are_written_as_documents():
    assert policy({}) is None
    canary = policy({"canary": 10, "bake_s": 5, "alarms": ["errors"]})
    routing = canary["BlueGreenUpdatePolicy"]["TrafficRoutingConfiguration"]
    assert routing == {
        "Type": "CANARY",
        "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": 10},
        "WaitIntervalInSeconds": 5,
    }
    assert canary["AutoRollbackConfiguration"] == {"Alarms": [{"AlarmName": "errors"}]}
    rolling = policy({"rolling": 50})["RollingUpdatePolicy"]
    assert rolling["MaximumBatchSize"]["Value"] == 50
    with pytest.raises(clary.InvalidInput, match="canary and linear"):
        policy({"canary": 1, "linear": 2})


@pytest.mark.parametrize(
    ("value", "kind", "body"),
    [
        ([1, 2.5], "text/csv", b"1,2.5\n"),
        ([[1, None], [3, 4]], "text/csv", b"1,\n3,4\n"),
        (pd.DataFrame({"a": [1], "b": [2.5]}), "text/csv", b"1,2.5\n"),
        (pd.Series([1, 2]), "text/csv", b"1,2\n"),
        ("1,2\n", "text/csv", b"1,2\n"),
        (b"raw", "application/octet-stream", b"raw"),
    ],
)
def test_rows_are_written_as_csv(value, kind, body):
    assert bodies.encode(value, any_python=False, rows_only=True) == (body, kind)


def test_answers_are_read_as_values():
    assert bodies.decode(b"1.5\n2\n", "text/csv; charset=utf-8").tolist() == [1.5, 2.0]
    assert bodies.decode(b"1,2\n3,4\n", "text/csv").shape == (2, 2)
    assert bodies.decode(b"a\nb\n", "text/csv") == ["a", "b"]
    assert bodies.decode(b'{"a": [1]}', "application/json") == {"a": [1]}
    assert bodies.decode(b"x", "application/octet-stream") == b"x"


def test_clients_without_python_are_served_too():
    read, written = serving_program.read, serving_program.written
    frame = read('{"dataframe_split": {"columns": ["a"], "data": [[1], [2]]}}', "application/json")
    assert frame["a"].tolist() == [1, 2]
    assert written(frame, "application/json")[0] == (
        '{"dataframe_split": {"columns": ["a"], "data": [[1], [2]]}}'
    )
    assert written(frame, "text/csv") == ("1\n2\n", "text/csv")
    assert written(np.array([[1, 2]]), "text/csv") == ("1,2\n", "text/csv")
    assert written({"a": np.float32(1)}, "application/json") == ('{"a": 1.0}', "application/json")
    assert read("1,2\n3,4\n", "text/csv").shape == (2, 2)
