from __future__ import annotations

import pytest
from tests.experiments.conftest import ACTOR, ref

from clary.adapters.logfiles import LogFiles
from clary.experiments.jobs import JobComponents, JobMetrics, component_of
from clary.experiments.model import COMPONENT, EXPERIMENT, TRIAL
from clary.jobs import model
from clary.jobs.model import PROCESSING, TRAINING, TRANSFORM, Job
from clary.kernel.clock import now
from clary.kernel.resource import Event, Query, Resource

IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.2-1"
S3 = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://b/train"}}
REQUESTS = {
    TRAINING: {
        "AlgorithmSpecification": {
            "TrainingImage": IMAGE,
            "TrainingInputMode": "File",
            "MetricDefinitions": [{"Name": "loss", "Regex": "loss=([0-9.]+)"}],
        },
        "HyperParameters": {"eta": "0.5", "objective": "mse", "odd": "nan"},
        "InputDataConfig": [{"ChannelName": "train", "DataSource": S3, "ContentType": "text/csv"}],
        "OutputDataConfig": {"S3OutputPath": "s3://b/out"},
        "ResourceConfig": {"InstanceCount": 2, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1},
    },
    PROCESSING: {
        "AppSpecification": {"ImageUri": IMAGE, "ContainerEntrypoint": ["true"]},
        "ProcessingResources": {
            "ClusterConfig": {
                "InstanceCount": 1,
                "InstanceType": "ml.m5.large",
                "VolumeSizeInGB": 1,
            }
        },
        "ProcessingInputs": [{"InputName": "in", "S3Input": {"S3Uri": "s3://b/in"}}],
        "ProcessingOutputConfig": {
            "Outputs": [{"OutputName": "out", "S3Output": {"S3Uri": "s3://b/out"}}]
        },
    },
    TRANSFORM: {
        "ModelName": "m",
        "TransformInput": {"DataSource": S3},
        "TransformOutput": {"S3OutputPath": "s3://b/out"},
        "TransformResources": {"InstanceCount": 1, "InstanceType": "ml.m5.large"},
    },
}


@pytest.fixture
def job(store):
    """Store a job as it is at some point of its life."""

    def keep(kind=TRAINING, name="Job-1", status="InProgress", uid="u1", parent=None, **more):
        at = now()
        request = {**REQUESTS[kind], **more.pop("request", {})}
        body = model.write(Job(request=request, actor=ACTOR, uid=uid, **more))
        made = Resource(ref(kind, name), body, at, at, status, parent)
        with store.begin() as change:
            if change.get(made.ref):
                change.delete(made.ref)
            change.insert(made)
        return made.ref

    return keep


@pytest.fixture
def follow(store, experiments):
    def tell(*refs):
        events = [Event(now(), ACTOR, f"{one.kind}.advanced", one) for one in refs]
        with store.begin() as change:
            JobComponents(experiments).follow(events, change)

    return tell


def request_of(experiments, job):
    return experiments.get(component_of(job)).body["request"]


@pytest.mark.parametrize(
    ("kind", "inputs", "outputs"),
    [
        (TRAINING, {"train": "s3://b/train"}, {"SageMaker.ModelArtifact"}),
        (PROCESSING, {"in": "s3://b/in"}, {"out"}),
        (TRANSFORM, {"SageMaker.TransformInput": "s3://b/train"}, {"SageMaker.TransformOutput"}),
    ],
)
def test_a_job_has_a_component(experiments, job, follow, kind, inputs, outputs):
    made = job(kind)
    follow(made)
    found = experiments.get(component_of(made))
    document = found.body["request"]
    assert found.ref.name == f"job-1-aws-{kind}"
    assert found.status == "InProgress"
    used = {name: one["Value"] for name, one in document["InputArtifacts"].items()}
    assert inputs.items() <= used.items()
    assert document["OutputArtifacts"].keys() == outputs
    assert document["Parameters"]["SageMaker.InstanceType"] == {"StringValue": "ml.m5.large"}
    assert found.body["source"]["SourceArn"].endswith(f":{kind}/Job-1")
    assert found.body["trials"] == []


def test_it_follows_the_job_and_keeps_what_others_added(experiments, job, follow):
    made = job()
    follow(made, made)
    component = component_of(made)
    experiments.runs.log(component, actor=ACTOR, parameters={"mine": 1})
    at = now()
    job(status="Failed", failure="ClientError: no", started_at=at, ended_at=at)
    follow(made)
    follow(made)
    run = experiments.runs.get(component)
    assert (run.status, run.message) == ("Failed", "ClientError: no")
    assert run.started_at == run.ended_at == at
    values = {"eta": 0.5, "objective": "mse", "odd": "nan", "mine": 1}
    assert values.items() <= run.parameters.items()


def test_another_job_of_the_name_begins_anew(experiments, job, follow):
    made = job(status="Failed", failure="no")
    follow(made)
    made = job(uid="u2")
    follow(made)
    found = experiments.get(component_of(made))
    assert (found.status, found.body["uid"]) == ("InProgress", "u2")


def test_it_is_where_the_request_says(experiments, job, follow):
    run = experiments.runs.begin(ref("", ""), "tries", "tries-one", actor=ACTOR)
    config = {
        "ExperimentName": "tries",
        "TrialName": "T",
        "RunName": "tries-one",
        "TrialComponentDisplayName": "shown",
    }
    made = job(request={"ExperimentConfig": config})
    follow(made)
    follow(made)
    found = experiments.runs.get(component_of(made))
    assert (found.experiments, found.trials, found.name) == (["tries"], ["t"], "shown")
    (source,) = experiments.get(run.ref).body["sources"]
    assert source["SourceArn"].endswith("training-job/Job-1")


def test_an_experiment_without_a_trial_gets_one(experiments, job, follow):
    made = job(request={"ExperimentConfig": {"ExperimentName": "new"}})
    follow(made)
    run = experiments.runs.get(component_of(made))
    assert (run.experiments, run.trials) == (["new"], ["job-1-aws-training-job"])


@pytest.mark.parametrize(
    ("given", "place"),
    [
        (None, ("abalone", "abc")),
        ({}, ("abalone", "abc")),
        ({"ExperimentName": "mine", "TrialName": "../odd name!"}, ("mine", "odd-name")),
    ],
)
def test_jobs_of_a_pipeline_are_together(experiments, store, job, follow, given, place):
    experiment, trial = place
    execution = ref("pipeline-execution", "abalone/abc")
    with store.begin() as change:
        change.insert(Resource(execution, {"experiment": given}, now(), now()))
    jobs = [job(name=name, parent=execution) for name in ("One", "Two")]
    follow(*jobs)
    members = experiments.components(ref(TRIAL, trial), Query("")).items
    assert {one.ref for one in members} == set(map(component_of, jobs))
    assert experiments.get(ref(TRIAL, trial)).parent == ref(EXPERIMENT, experiment)


def test_a_job_that_is_gone_has_none(experiments, store, follow):
    follow(ref(TRAINING, "gone"))
    assert store.select(Query(COMPONENT)).items == []


def test_the_metrics_of_a_log_are_read_once_the_job_has_ended(
    experiments, store, job, follow, tmp_path
):
    logs = LogFiles(tmp_path / "logs")
    reader = JobMetrics(store, logs, experiments.metrics)
    made = job()
    follow(made)
    found = store.get(made)
    name = model.stream(found, "algo-1")
    path = logs.path(made.account, made.region, model.LOG_GROUPS[TRAINING], name)
    path.write_text("".join(f"{1_700_000_000_000 + n} loss={3 - n}\n" for n in range(3)))
    events = [Event(now(), ACTOR, "training-job.completed", made)]
    reader.send(events)
    component = component_of(made)
    assert list(experiments.metrics.history(component, "loss")) == []
    at = found.created_at
    with store.begin() as change:
        change.delete(made)
        change.insert(Resource(made, found.body, at, at, "Completed"))
    for _ in range(2):
        reader.send(events)
    history = list(experiments.metrics.history(component, "loss"))
    assert [(one.value, one.step) for one in history] == [(3.0, 0), (2.0, 1), (1.0, 2)]
