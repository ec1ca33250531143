"""Requests run again: which URIs are replaced, by what."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from clary.jobs.model import Job
from clary.jobs.plans import plan
from clary.kernel.names import Ref
from clary.models.rewriting import Definition, Recorded, step_name

SKLEARN = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"
XGBOOST = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.0-1-cpu-py3"
ROLE = "arn:aws:iam::123456789012:role/R"


def ref(kind, name):
    return Ref("123456789012", "us-east-1", kind, name)


def recorded(kind, name, request, step):
    job = Job(request=request, actor="ada", uid="1")
    return Recorded(ref(kind, name), job, plan(ref(kind, name), job), step)


def processing(name, inputs, outputs, arguments=()):
    def one(member, word, uri):
        place = {"S3Uri": uri, "LocalPath": f"/opt/ml/processing/{word}"}
        extra = {"S3UploadMode": "EndOfJob"} if member == "Output" else {"S3DataType": "S3Prefix"}
        return {f"{member}Name": word, f"S3{member}": place | extra}

    request = {
        "ProcessingJobName": name,
        "RoleArn": ROLE,
        "Tags": [{"Key": "a", "Value": "b"}],
        "ExperimentConfig": {"TrialComponentDisplayName": "x"},
        "AppSpecification": {
            "ImageUri": SKLEARN,
            "ContainerEntrypoint": ["python3", "/opt/ml/processing/code/x.py"],
            "ContainerArguments": list(arguments),
        },
        "ProcessingResources": {"ClusterConfig": {"InstanceCount": 1}},
        "ProcessingInputs": [one("Input", word, uri) for word, uri in inputs.items()],
        "ProcessingOutputConfig": {
            "Outputs": [one("Output", word, uri) for word, uri in outputs.items()]
        },
    }
    return recorded("processing-job", name, request, name)


def training(name, channel, output="s3://b"):
    request = {
        "TrainingJobName": name,
        "RoleArn": ROLE,
        "AlgorithmSpecification": {"TrainingImage": XGBOOST},
        "HyperParameters": {"sagemaker_submit_directory": '"s3://b/code/source.tar.gz"'},
        "InputDataConfig": [
            {"ChannelName": "train", "DataSource": {"S3DataSource": {"S3Uri": channel}}}
        ],
        "OutputDataConfig": {"S3OutputPath": output},
        "ResourceConfig": {"InstanceCount": 1},
    }
    return recorded("training-job", name, request, name)


def steps(*jobs, moved=()):
    definition = Definition("s3://b/again")
    for old, new in moved:
        definition.move(old, new)
    for job in jobs:
        definition.add(job)
    return {step["Name"]: step for step in definition.document()["Steps"]}


def test_outputs_go_elsewhere_and_later_jobs_read_them_there():
    prep = processing("prep", {"raw": "s3://b/raw"}, {"train": "s3://b/run/train"})
    fit = training("fit", "s3://b/run/train")
    model = "s3://b/fit/output/model.tar.gz"
    score = processing("score", {"model": model, "all": "s3://b/run"}, {"o": "s3://b/o"})
    found = steps(prep, fit, score)
    first = found["prep"]["Arguments"]
    assert first["ProcessingInputs"][0]["S3Input"]["S3Uri"] == "s3://b/raw"
    [output] = first["ProcessingOutputConfig"]["Outputs"]
    assert output["S3Output"]["S3Uri"] == "s3://b/again/prep/train"
    assert not {"ProcessingJobName", "Tags", "ExperimentConfig"} & first.keys()
    second = found["fit"]["Arguments"]
    channel = second["InputDataConfig"][0]["DataSource"]["S3DataSource"]["S3Uri"]
    assert (channel, found["fit"]["DependsOn"]) == ("s3://b/again/prep/train", ["prep"])
    assert second["OutputDataConfig"]["S3OutputPath"] == "s3://b/again/fit"
    assert second["HyperParameters"]["sagemaker_submit_directory"] == '"s3://b/code/source.tar.gz"'
    third = found["score"]["Arguments"]["ProcessingInputs"]
    assert third[0]["S3Input"]["S3Uri"] == {
        "Std:Join": {
            "On": "",
            "Values": [
                "s3://b/again/fit/",
                {"Get": "Steps.fit.TrainingJobName"},
                "/output/model.tar.gz",
            ],
        }
    }
    assert third[1]["S3Input"]["S3Uri"] == "s3://b/run"  # the folder above is another input
    assert found["score"]["DependsOn"] == ["fit"]


def test_uris_within_texts_are_replaced_at_their_ends_only():
    prep = processing("prep", {}, {"train": "s3://b/run/train"})
    words = ["--in=s3://b/run/train", "s3://b/run/trained", '{"u": "s3://b/run/train/x.csv"}']
    score = processing("score", {}, {}, words)
    arguments = steps(prep, score)["score"]["Arguments"]["AppSpecification"]["ContainerArguments"]
    assert arguments == [
        "--in=s3://b/again/prep/train",
        "s3://b/run/trained",
        '{"u": "s3://b/again/prep/train/x.csv"}',
    ]


def test_an_input_is_read_where_its_content_lies_now():
    found = steps(training("fit", "s3://b/raw/"), moved=[("s3://b/raw/", "s3://b/copy")])
    channel = found["fit"]["Arguments"]["InputDataConfig"][0]["DataSource"]["S3DataSource"]
    assert channel["S3Uri"] == "s3://b/copy/"
    assert found["fit"]["DependsOn"] == []


def test_a_transform_gets_a_model_of_its_own():
    fit = training("fit", "s3://b/raw")
    request = {
        "TransformJobName": "score",
        "ModelName": "the-old-model",
        "TransformInput": {"DataSource": {"S3DataSource": {"S3Uri": "s3://b/batch"}}},
        "TransformOutput": {"S3OutputPath": "s3://b/scores", "Accept": "text/csv"},
        "TransformResources": {"InstanceCount": 1},
    }
    container = {"Image": XGBOOST, "ModelDataUrl": "s3://b/fit/output/model.tar.gz"}
    job = Job(request=request, actor="ada", uid="1", containers=(container,))
    name = ref("transform-job", "score")
    read = processing("read", {"scores": "s3://b/scores/batch.out"}, {})
    found = steps(fit, Recorded(name, job, plan(name, job), "score"), read)
    model = found["score-Model"]["Arguments"]["PrimaryContainer"]
    assert model["ModelDataUrl"]["Std:Join"]["Values"][1] == {"Get": "Steps.fit.TrainingJobName"}
    assert found["score-Model"]["DependsOn"] == ["fit"]
    arguments = found["score"]["Arguments"]
    assert arguments["ModelName"] == {"Get": "Steps.score-Model.ModelName"}
    assert arguments["TransformOutput"]["S3OutputPath"] == "s3://b/again/score"
    [scores] = found["read"]["Arguments"]["ProcessingInputs"]
    assert scores["S3Input"]["S3Uri"] == "s3://b/again/score/batch.out"


def test_containers_in_a_row_and_captures_move_too():
    request = {
        "TransformJobName": "score",
        "ModelName": "row",
        "TransformInput": {"DataSource": {"S3DataSource": {"S3Uri": "s3://b/batch"}}},
        "TransformOutput": {"S3OutputPath": "s3://b/scores"},
        "TransformResources": {"InstanceCount": 1},
        "DataCaptureConfig": {"DestinationS3Uri": "s3://b/seen", "GenerateInferenceId": False},
    }
    row = [{"Image": SKLEARN, "ModelDataUrl": f"s3://b/{name}.tar.gz"} for name in ("a", "b")]
    job = Job(request=request, actor="ada", uid="1", containers=tuple(row))
    name = ref("transform-job", "score")
    found = steps(Recorded(name, job, plan(name, job), "score"))
    assert found["score-Model"]["Arguments"] == {"Containers": row}
    capture = found["score"]["Arguments"]["DataCaptureConfig"]
    assert capture == {
        "DestinationS3Uri": "s3://b/again/score-capture",
        "GenerateInferenceId": False,
    }


@given(st.lists(st.sampled_from(["a_b", "a-b", "é", "pipelines-4r83jejmhorv-A-6fdee99b00"])))
def test_step_names_differ_and_are_legal(names):
    taken = []
    for name in names:
        taken.append(step_name(ref("training-job", name), taken))
    assert len(set(taken)) == len(taken)
    assert all(set(one) <= set("abcdefghijklmnopqrstuvwxyzA0123456789-") for one in taken)
