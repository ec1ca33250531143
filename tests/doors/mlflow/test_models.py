"""Logged models, automatic logging and the registry, through an unmodified client."""

from __future__ import annotations

import mlflow
import numpy as np
import pytest
import xgboost
from mlflow.exceptions import MlflowException
from sklearn.linear_model import LinearRegression

from clary.kernel.resource import Query

X = np.arange(60.0).reshape(20, 3)
Y = X.sum(axis=1)
NAMED = {"name": "model", "serialization_format": "cloudpickle", "pip_requirements": []}


@pytest.fixture
def logged(experiment):
    with mlflow.start_run() as run:
        info = mlflow.sklearn.log_model(LinearRegression().fit(X, Y), **NAMED)
        mlflow.log_metric("r2", 0.5, model_id=info.model_id)
    return run.info.run_id, info


def code_of(function, *args, **options):
    with pytest.raises(MlflowException) as caught:
        function(*args, **options)
    return caught.value.error_code


def test_scikit_learn_logs_itself(client, experiment):
    mlflow.sklearn.autolog(log_models=False)
    try:
        with mlflow.start_run() as run:
            LinearRegression().fit(X, Y)
    finally:
        mlflow.sklearn.autolog(disable=True)
    found = client.get_run(run.info.run_id)
    assert found.data.params["fit_intercept"] == "True"
    assert found.data.metrics["training_r2_score"] > 0.99
    assert found.inputs.dataset_inputs


def test_xgboost_logs_itself(client, experiment):
    mlflow.xgboost.autolog(log_models=False, importance_types=[])
    data = xgboost.DMatrix(X, Y)
    try:
        with mlflow.start_run() as run:
            xgboost.train({"max_depth": 2}, data, num_boost_round=4, evals=[(data, "train")])
    finally:
        mlflow.xgboost.autolog(disable=True)
    assert client.get_run(run.info.run_id).data.params["max_depth"] == "2"
    history = client.get_metric_history(run.info.run_id, "train-rmse")
    assert {one.step for one in history} == {0, 1, 2, 3}


def test_a_model_is_loaded_again(client, experiment, logged):
    run, info = logged
    for uri in (info.model_uri, f"runs:/{run}/model"):
        assert np.allclose(mlflow.sklearn.load_model(uri).predict(X), Y)
    model = mlflow.get_logged_model(info.model_id)
    assert (model.name, model.source_run_id, str(model.status)) == ("model", run, "READY")
    assert [(one.key, one.value) for one in model.metrics] == [("r2", 0.5)]
    (made,) = client.get_run(run).outputs.model_outputs
    assert made.model_id == info.model_id


def test_models_are_searched_tagged_and_deleted(client, experiment, logged):
    _, info = logged
    client.set_logged_model_tags(info.model_id, {"k": "v", "gone": "1"})
    client.delete_logged_model_tag(info.model_id, "gone")
    for text in ("metrics.r2 > 0.4", "tags.k = 'v'", "name = 'model' AND status = 'x'"):
        found = mlflow.search_logged_models([experiment], text, output_format="list")
        assert [one.model_id for one in found] == ([] if "'x'" in text else [info.model_id])
    assert mlflow.get_logged_model(info.model_id).tags["k"] == "v"
    client.delete_logged_model(info.model_id)
    assert code_of(client.get_logged_model, info.model_id) == "RESOURCE_DOES_NOT_EXIST"


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_versions_are_registered_and_approved(server, client, logged):
    _, info = logged
    for _ in range(2):
        made = mlflow.register_model(info.model_uri, "my_model of mine")
    assert (made.version, made.current_stage, made.source) == ("2", "None", info.model_uri)
    client.set_registered_model_alias(made.name, "champion", "2")
    assert client.get_model_version_by_alias(made.name, "champion").version == "2"
    loaded = mlflow.sklearn.load_model(f"models:/{made.name}@champion")
    assert np.allclose(loaded.predict(X), Y)
    client.transition_model_version_stage(made.name, "1", "Production")
    client.transition_model_version_stage(
        made.name, "2", "production", archive_existing_versions=True
    )
    found = {one.version: one.current_stage for one in client.search_model_versions("")}
    assert found == {"1": "Archived", "2": "Production"}
    approvals = [
        one.body["request"]["ModelApprovalStatus"]
        for one in server.platform.models.list(Query("model-package")).items
    ]
    assert sorted(approvals) == ["Approved", "Rejected"]
    client.update_model_version(made.name, "1", "told")
    client.update_registered_model(made.name, "told, too")
    client.set_model_version_tag(made.name, "1", "k", "v")
    client.set_registered_model_tag(made.name, "k", "v")
    one, whole = client.get_model_version(made.name, "1"), client.get_registered_model(made.name)
    assert (one.description, one.tags) == ("told", {"k": "v"})
    assert (whole.description, whole.tags) == ("told, too", {"k": "v"})
    assert whole.aliases == {"champion": "2"}
    assert [m.name for m in client.search_registered_models("name LIKE 'my%'")] == [made.name]
    assert code_of(client.rename_registered_model, made.name, "x") == "NOT_IMPLEMENTED"
    assert code_of(client.create_registered_model, made.name) == "RESOURCE_ALREADY_EXISTS"
    client.delete_model_version(made.name, "2")
    assert code_of(client.get_model_version_by_alias, made.name, "champion")
    client.delete_registered_model(made.name)
    assert code_of(client.get_registered_model, made.name) == "RESOURCE_DOES_NOT_EXIST"


@pytest.mark.parametrize("source", ["/etc", "file:///etc", "models:/m-0", "s3://other/x"])
def test_a_version_has_files_of_this_platform(server, client, source):
    server.send("POST", "/api/2.0/mlflow/registered-models/create", json={"name": "sourced"})
    asked = {"name": "sourced", "source": source}
    answer = server.send("POST", "/api/2.0/mlflow/model-versions/create", json=asked)
    assert answer.json()["error_code"] in ("INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST")
