"""Experiments through the SageMaker SDK, as a notebook uses them."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

import sagemaker
from sagemaker.analytics import ExperimentAnalytics
from sagemaker.estimator import Estimator
from sagemaker.experiments import Run, SortByType, SortOrderType, list_runs, load_run
from sagemaker.experiments.experiment import Experiment
from sagemaker.image_uris import retrieve
from sagemaker.inputs import TrainingInput
from sagemaker.s3 import S3Uploader

EXPERIMENT = "Abalone-Tries"
session = sagemaker.Session()
client = session.sagemaker_client
folder = Path(tempfile.mkdtemp())


def log_everything() -> None:
    notes = folder / "notes.txt"
    notes.write_text("as planned")
    with Run(
        EXPERIMENT, "first", sagemaker_session=session, tags=[{"Key": "a", "Value": "b"}]
    ) as run:
        run.log_parameter("rate", 0.1)
        run.log_parameters({"depth": 3, "objective": "mse", "bad": float("nan")})
        for step in range(25):
            run.log_metric("loss", 25.0 - step, step=step)
        run.log_file(str(notes), name="notes", is_output=False)
        run.log_artifact("where", "s3://some/where", media_type="text/plain")
        run.log_precision_recall([0, 1], [0.2, 0.8], title="pr")
        run.log_roc_curve([0, 1], [0.2, 0.8], title="roc", is_output=False)
        run.log_confusion_matrix([0, 1], [0, 1], title="cm")
    with load_run("first", EXPERIMENT, sagemaker_session=session) as again:
        again.log_parameter("late", 1)
    try:
        with Run(EXPERIMENT, "second", sagemaker_session=session) as run:
            run.log_metric("loss", 0.5)
            raise RuntimeError("out of luck")
    except RuntimeError:
        pass


def train_in_a_run() -> str:
    data = folder / "rows.csv"
    data.write_text("".join(f"{n % 7},{n % 7},{n % 3}\n" for n in range(60)))
    uploaded = S3Uploader.upload(str(data), f"s3://{session.default_bucket()}/runs")
    estimator = Estimator(
        image_uri=retrieve("xgboost", os.environ["AWS_REGION"], version="1.2-1"),
        role=sagemaker.get_execution_role(),
        instance_count=1,
        instance_type="ml.m5.large",
        output_path=f"s3://{session.default_bucket()}/runs/models",
        sagemaker_session=session,
    )
    estimator.set_hyperparameters(num_round=5, objective="reg:squarederror")
    with Run(EXPERIMENT, "training", sagemaker_session=session):
        estimator.fit({"train": TrainingInput(uploaded, content_type="text/csv")})
    job = estimator.latest_training_job.name
    os.environ["TRAINING_JOB_ARN"] = client.describe_training_job(TrainingJobName=job)[
        "TrainingJobArn"
    ]
    with load_run(sagemaker_session=session) as run:  # as in the job itself
        assert run.run_name == "training"
        run.log_metric("from:job", 1.0)
    del os.environ["TRAINING_JOB_ARN"]
    return job


def component_of(job: str) -> dict:
    arn = client.describe_training_job(TrainingJobName=job)["TrainingJobArn"]
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        found = client.list_trial_components(SourceArn=arn.lower())["TrialComponentSummaries"]
        if found and found[0]["Status"]["PrimaryStatus"] == "Completed":
            name = found[0]["TrialComponentName"]
            component = client.describe_trial_component(TrialComponentName=name)
            if component["Metrics"]:
                return component
        time.sleep(0.2)
    raise TimeoutError(found)


log_everything()
job = train_in_a_run()

runs = list_runs(
    EXPERIMENT,
    sagemaker_session=session,
    sort_by=SortByType.NAME,
    sort_order=SortOrderType.ASCENDING,
)
print("RUNS", *(run.run_name for run in runs))
first = client.describe_trial_component(TrialComponentName="abalone-tries-first")
assert first["Parameters"] == {
    "rate": {"NumberValue": 0.1},
    "depth": {"NumberValue": 3.0},
    "objective": {"StringValue": "mse"},
    "late": {"NumberValue": 1.0},
}, first["Parameters"]
(loss,) = first["Metrics"]
assert (loss["MetricName"], loss["Count"], loss["Last"], loss["Max"]) == ("loss", 25, 1.0, 25.0)
assert first["Status"]["PrimaryStatus"] == "Completed"
assert first["InputArtifacts"]["notes"]["Value"].endswith("/abalone-tries-first/notes.txt")
assert first["OutputArtifacts"]["where"] == {"Value": "s3://some/where", "MediaType": "text/plain"}
second = client.describe_trial_component(TrialComponentName="abalone-tries-second")
assert second["Status"] == {"PrimaryStatus": "Failed", "Message": "out of luck"}

component = component_of(job)
assert component["Source"]["SourceType"] == "SageMakerTrainingJob"
assert component["Parameters"]["num_round"] == {"NumberValue": 5.0}
assert component["Parameters"]["SageMaker.InstanceType"] == {"StringValue": "ml.m5.large"}
assert "train" in component["InputArtifacts"]
assert component["OutputArtifacts"]["SageMaker.ModelArtifact"]["Value"].endswith("model.tar.gz")
(rmse,) = component["Metrics"]
assert (rmse["MetricName"], rmse["Count"]) == ("train:rmse", 5)
query = {
    "MetricName": "train:rmse",
    "ResourceArn": component["TrialComponentArn"],
    "MetricStat": "Last",
    "Period": "IterationNumber",
    "XAxisType": "IterationNumber",
}
curve = session.sagemaker_metrics_client.batch_get_metrics(MetricQueries=[query])
(curve,) = curve["MetricQueryResults"]
assert curve["XAxisValues"] == list(range(5)), curve
sources = client.describe_trial_component(TrialComponentName="abalone-tries-training")["Sources"]
assert [one["SourceArn"] for one in sources] == [component["Source"]["SourceArn"]]

frame = ExperimentAnalytics(
    experiment_name=EXPERIMENT.lower(), sagemaker_session=session, sort_by="parameters.rate"
).dataframe()
print("FRAME", *frame["TrialComponentName"].head(1), len(frame))
assert frame["loss - Min"].min() == 0.5
links = client.list_associations(SourceArn=first["TrialComponentArn"])["AssociationSummaries"]
assert sorted(one["DestinationName"] for one in links) == ["cm", "pr"]
Experiment.load(EXPERIMENT.lower(), sagemaker_session=session)._delete_all(action="--force")
assert EXPERIMENT.lower() not in [
    one["ExperimentName"] for one in client.list_experiments()["ExperimentSummaries"]
]
print("GONE")
