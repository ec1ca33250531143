"""Runs and experiments, through an unmodified client."""

from __future__ import annotations

import math
import time

import mlflow
import numpy as np
import pytest
from mlflow.entities import Metric, Param, RunTag, ViewType
from mlflow.exceptions import MlflowException

from clary.experiments.model import COMPONENT
from clary.kernel.names import Ref

NEAR = Ref("123456789012", "us-east-1", "", "")


def code_of(function, *args, **options):
    with pytest.raises(MlflowException) as caught:
        function(*args, **options)
    return caught.value.error_code


def test_a_run_keeps_what_is_logged(client, experiment):
    with mlflow.start_run(run_name="first", tags={"team": "a"}) as run:
        mlflow.log_params({"rate": 0.1, "depth": 3, "kind": "x", "exact": "0.10"})
        for step in range(4):
            mlflow.log_metric("loss", 1 / (step + 1), step=step, timestamp=1_000 + step)
        mlflow.log_metrics({"odd": math.nan, "high": math.inf})
        with mlflow.start_run(nested=True) as child:
            mlflow.log_metric("loss", 7)
    found = client.get_run(run.info.run_id)
    assert (found.info.status, found.info.run_name) == ("FINISHED", "first")
    assert found.info.experiment_id == experiment
    assert found.info.end_time >= found.info.start_time
    assert found.data.params == {"rate": "0.1", "depth": "3", "kind": "x", "exact": "0.10"}
    assert found.data.metrics["loss"] == 0.25
    assert math.isnan(found.data.metrics["odd"])
    assert found.data.metrics["high"] == math.inf
    assert found.data.tags["team"] == "a"
    history = client.get_metric_history(run.info.run_id, "loss")
    assert [(one.step, one.timestamp) for one in history] == [(n, 1_000 + n) for n in range(4)]
    parent = client.get_run(child.info.run_id).data.tags["mlflow.parentRunId"]
    assert parent == run.info.run_id


def test_a_run_that_raises_is_failed(client, experiment):
    with pytest.raises(ZeroDivisionError), mlflow.start_run() as run:
        raise ZeroDivisionError
    assert client.get_run(run.info.run_id).info.status == "FAILED"
    assert client.get_run(run.info.run_id).info.run_name.startswith("run-")


def test_tags_and_names_change(client, experiment):
    run = client.create_run(experiment)
    client.set_tag(run.info.run_id, "a", "1")
    client.delete_tag(run.info.run_id, "a")
    assert code_of(client.delete_tag, run.info.run_id, "a") == "RESOURCE_DOES_NOT_EXIST"
    client.set_tag(run.info.run_id, "mlflow.runName", "by tag")
    assert client.get_run(run.info.run_id).info.run_name == "by tag"
    client.update_run(run.info.run_id, status="KILLED", name="by hand")
    info = client.get_run(run.info.run_id).info
    assert (info.status, info.run_name) == ("KILLED", "by hand")


def test_a_parameter_keeps_its_value(client, experiment):
    run = client.create_run(experiment).info.run_id
    for _ in range(2):
        client.log_param(run, "rate", "1")
    assert code_of(client.log_param, run, "rate", "2") == "INVALID_PARAMETER_VALUE"
    batch = {"metrics": [Metric("m", 1.0, 0, 0)], "params": [Param("rate", "3")]}
    assert code_of(client.log_batch, run, **batch) == "INVALID_PARAMETER_VALUE"
    assert client.get_metric_history(run, "m") == []
    assert client.get_run(run).data.params == {"rate": "1"}


def test_a_batch_is_logged_at_once(client, experiment):
    run = client.create_run(experiment).info.run_id
    at = int(time.time() * 1000)
    client.log_batch(
        run,
        metrics=[Metric("m", float(n), at, n) for n in range(1000)],
        params=[Param(f"p{n}", str(n)) for n in range(100)],
        tags=[RunTag(f"t{n}", str(n)) for n in range(100)],
    )
    found = client.get_run(run)
    assert (found.data.metrics["m"], found.data.params["p99"]) == (999, "99")
    assert len(client.get_metric_history(run, "m")) == 1000
    assert found.data.tags["t7"] == "7"


def test_search_filters_orders_and_pages(client, experiment):
    for number in range(7):
        with mlflow.start_run(run_name=f"run {number}", tags={"mark": f"v-{number}"}):
            mlflow.log_metric("loss", number)
            mlflow.log_param("kind", "even" if number % 2 == 0 else "odd")

    def names(text, **options):
        found = client.search_runs([experiment], text, **options)
        return [run.info.run_name for run in found]

    assert names("metrics.loss < 3 and params.kind = 'even'") == ["run 2", "run 0"]
    assert names("tags.mark LIKE 'v-_' and metrics.loss >= 5") == ["run 6", "run 5"]
    assert names("attributes.run_name ILIKE 'RUN 4'") == ["run 4"]
    assert names("params.kind != 'odd'", order_by=["metrics.loss ASC"])[0] == "run 0"
    assert names("params.other IS NULL and metrics.loss = 1") == ["run 1"]
    assert names("status = 'RUNNING'") == []
    seen, token = [], None
    while True:
        page = client.search_runs(
            [experiment], order_by=["metrics.loss DESC"], max_results=3, page_token=token
        )
        seen += [run.data.metrics["loss"] for run in page]
        token = page.token
        if not token:
            break
    assert seen == [6, 5, 4, 3, 2, 1, 0]
    for text in ("metrics.loss < 'a'", "params.a = 1", "x.y = 1", "a.b", "params.a = 'b' OR"):
        assert code_of(names, text) == "INVALID_PARAMETER_VALUE"


def test_deleted_runs_are_out_of_sight_until_restored(client, experiment):
    run = client.create_run(experiment).info.run_id
    client.delete_run(run)
    assert client.search_runs([experiment]) == []
    (found,) = client.search_runs([experiment], run_view_type=ViewType.DELETED_ONLY)
    assert found.info.lifecycle_stage == "deleted"
    assert code_of(client.log_metric, run, "a", 1) == "INVALID_PARAMETER_VALUE"
    client.restore_run(run)
    client.log_metric(run, "a", 1)
    assert code_of(client.get_run, "nobody") == "RESOURCE_DOES_NOT_EXIST"


def test_the_first_experiment_is_there(client):
    run = client.create_run("0")
    assert client.get_experiment_by_name("Default").experiment_id == "0"
    assert client.get_experiment(run.info.experiment_id).name == "Default"
    assert code_of(client.delete_experiment, "0") == "INVALID_PARAMETER_VALUE"


def test_experiments_are_renamed_deleted_and_found(client):
    ident = client.create_experiment("Odd name/with_all ünïcode", tags={"team": "b"})
    again = code_of(client.create_experiment, "Odd name/with_all ünïcode")
    assert again == "RESOURCE_ALREADY_EXISTS"
    client.rename_experiment(ident, "Another")
    assert client.get_experiment_by_name("Odd name/with_all ünïcode") is None
    assert client.get_experiment_by_name("Another").experiment_id == ident
    assert client.create_experiment("Odd name/with_all ünïcode") != ident
    client.set_experiment_tag(ident, "more", "1")
    client.delete_experiment_tag(ident, "more")
    (found,) = client.search_experiments(filter_string="tags.team = 'b' and name LIKE 'An%'")
    assert (found.experiment_id, found.tags) == (ident, {"team": "b"})
    client.delete_experiment(ident)
    assert ident not in {one.experiment_id for one in client.search_experiments()}
    assert code_of(client.create_run, ident) == "INVALID_PARAMETER_VALUE"
    client.restore_experiment(ident)
    client.create_run(ident)
    assert code_of(client.get_experiment, "none") == "RESOURCE_DOES_NOT_EXIST"
    assert code_of(client.create_experiment, "x" * 501) == "INVALID_PARAMETER_VALUE"


def test_both_sides_see_the_same_runs(server, client, experiment):
    runs = server.platform.experiments.runs
    with mlflow.start_run(run_name="theirs") as run:
        mlflow.log_param("rate", 0.5)
        mlflow.log_metric("loss", 2)
    seen = runs.get(NEAR.sibling(COMPONENT, run.info.run_id))
    assert (seen.name, seen.status, seen.parameters["rate"]) == ("theirs", "Completed", 0.5)
    assert seen.metrics["loss"].last == 2
    assert seen.outputs["artifacts"].endswith(f"/{run.info.run_id}/")
    ours = runs.begin(NEAR, experiment, "ours", actor="me")
    runs.log(ours.ref, actor="me", parameters={"rate": 5.0}, tags={"k": "v"})
    seen = client.search_runs([experiment], "params.rate LIKE '%5%'")
    assert {one.info.run_id for one in seen} == {run.info.run_id, "ours"}
    found = client.get_run("ours")
    assert (found.info.status, found.data.params, found.data.tags["k"]) == (
        "RUNNING",
        {"rate": "5.0"},
        "v",
    )


def test_datasets_are_inputs(server, client, experiment):
    data = mlflow.data.from_numpy(np.zeros((3, 2)), name="zeros")
    with mlflow.start_run() as run:
        mlflow.log_input(data, context="training", tags={"k": "v"})
    (used,) = client.get_run(run.info.run_id).inputs.dataset_inputs
    assert (used.dataset.name, used.dataset.digest) == ("zeros", data.digest)
    for text in ("dataset.name = 'zeros'", "dataset.context = 'training'"):
        assert len(client.search_runs([experiment], text)) == 1
    seen = server.platform.experiments.runs.get(NEAR.sibling(COMPONENT, run.info.run_id))
    assert "zeros" in seen.inputs


def test_a_metric_of_many_points_is_paged_and_thinned(server, client, experiment):
    run = client.create_run(experiment).info.run_id
    for start in range(0, 3000, 1000):
        client.log_batch(run, [Metric("m", n, 0, n) for n in range(start, start + 1000)])
    assert [one.step for one in client.get_metric_history(run, "m")] == list(range(3000))
    path = "/api/2.0/mlflow/metrics/get-history"
    query = {"run_id": run, "metric_key": "m", "max_results": 2500}
    first = server.send("GET", path, params=query).json()
    rest = server.send("GET", path, params={**query, "page_token": first["next_page_token"]})
    assert [one["step"] for one in rest.json()["metrics"]] == list(range(2500, 3000))
    assert "next_page_token" not in rest.json()
    path = "/api/2.0/mlflow/metrics/get-history-bulk-interval"
    query = {"run_ids": [run], "metric_key": "m", "start_step": 10, "max_results": 5}
    found = server.send("GET", path, params=query).json()["metrics"]
    assert [one["step"] for one in found] == [10, 757, 1504, 2251, 2999]
