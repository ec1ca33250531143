"""The public lineage API through boto3."""

from __future__ import annotations

import json
import threading
from datetime import timedelta

import pytest
from botocore.exceptions import ClientError

from clary.kernel.clock import now
from clary.kernel.names import Ref, arn
from clary.kernel.resource import ObjectInfo, Resource
from clary.lineage.entities import artifact_name, entity_of
from clary.lineage.model import of_object

HOUR = timedelta(hours=1)


def refused(call, **request):
    with pytest.raises(ClientError) as caught:
        call(**request)
    return caught.value.response["Error"]["Code"]


def an_artifact(sagemaker, uri, **members):
    request = {"Source": {"SourceUri": uri}, "ArtifactType": "DataSet", **members}
    return sagemaker.create_artifact(**request)["ArtifactArn"]


def listed(call, member, **request):
    """Every item of a list, read in pages of two."""
    token = {}
    while True:
        page = call(MaxResults=2, **request, **token)
        yield from page[member]
        if "NextToken" not in page:
            return
        token = {"NextToken": page["NextToken"]}


def test_an_artifact_is_created_described_changed_listed_and_deleted(sagemaker, name):
    uri, hashed = f"s3://{name}/x", [{"SourceIdType": "MD5Hash", "Value": "abc"}]
    source = {"SourceUri": uri, "SourceTypes": hashed}
    made = sagemaker.create_artifact(
        ArtifactName=name,
        Source=source,
        ArtifactType="DataSet",
        Properties={"a": "1"},
        Tags=[{"Key": "k", "Value": "v"}],
    )["ArtifactArn"]
    found = sagemaker.describe_artifact(ArtifactArn=made)
    assert (found["Source"], found["ArtifactName"], found["Properties"]) == (
        source,
        name,
        {"a": "1"},
    )
    assert found["CreatedBy"]["IamIdentity"]["Arn"].startswith("arn:aws:")
    sagemaker.update_artifact(ArtifactArn=made, ArtifactName="new", Properties={"b": "2"})
    sagemaker.update_artifact(ArtifactArn=made, PropertiesToRemove=["a"])
    changed = sagemaker.describe_artifact(ArtifactArn=made)
    assert (changed["ArtifactName"], changed["Properties"]) == ("new", {"b": "2"})
    assert sagemaker.list_tags(ResourceArn=made)["Tags"] == [{"Key": "k", "Value": "v"}]
    [line] = sagemaker.list_artifacts(SourceUri=uri, ArtifactType="DataSet")["ArtifactSummaries"]
    assert (line["ArtifactArn"], line["Source"]) == (made, source)
    assert sagemaker.list_artifacts(SourceUri=uri, ArtifactType="x")["ArtifactSummaries"] == []
    assert refused(sagemaker.create_artifact, Source=source, ArtifactType="x") == (
        "ValidationException"
    )
    assert sagemaker.delete_artifact(Source=source)["ArtifactArn"] == made
    for call in (sagemaker.describe_artifact, sagemaker.delete_artifact):
        assert refused(call, ArtifactArn=made) == "ResourceNotFound"
    assert refused(sagemaker.delete_artifact) == "ValidationException"


@pytest.mark.parametrize("word", ["Action", "Context"])
def test_actions_and_contexts(sagemaker, name, word):
    calls = {
        verb: getattr(sagemaker, f"{verb}_{word.lower()}")
        for verb in ("create", "describe", "update", "delete")
    }
    named = {f"{word}Name": name}
    request = {**named, "Source": {"SourceUri": f"s3://{name}/x"}, f"{word}Type": "Mine"}
    made = calls["create"](**request, Description="d", Properties={"a": "1"})[f"{word}Arn"]
    assert made.endswith(f":{word.lower()}/{name}")
    assert refused(calls["create"], **request) in {"ValidationException", "ResourceInUse"}
    calls["update"](**named, Description="e", Properties={"b": "2"}, PropertiesToRemove=["a"])
    found = calls["describe"](**{f"{word}Name": made})
    assert (found["Description"], found["Properties"], found[f"{word}Type"]) == (
        *("e", {"b": "2"}, "Mine"),
    )
    listing = getattr(sagemaker, f"list_{word.lower()}s")
    [line] = listing(SourceUri=f"s3://{name}/x", **{f"{word}Type": "Mine"})[f"{word}Summaries"]
    assert line[f"{word}Name"] == name
    calls["delete"](**named)
    for verb in ("describe", "update", "delete"):
        assert refused(calls[verb], **named) == "ResourceNotFound"


def test_the_status_of_an_action_is_changed(sagemaker, name):
    source = {"SourceUri": "s3://x"}
    sagemaker.create_action(ActionName=name, Source=source, ActionType="t", Status="InProgress")
    sagemaker.update_action(ActionName=name, Status="Completed")
    assert sagemaker.describe_action(ActionName=name)["Status"] == "Completed"


def test_associations(sagemaker, name):
    nodes = [an_artifact(sagemaker, f"s3://{name}/{n}", ArtifactName=f"n{n}") for n in range(4)]
    for target in nodes[1:]:
        for _ in range(2):
            sagemaker.add_association(
                SourceArn=nodes[0], DestinationArn=target, AssociationType="DerivedFrom"
            )
    lines = list(listed(sagemaker.list_associations, "AssociationSummaries", SourceArn=nodes[0]))
    assert {line["DestinationArn"] for line in lines} == set(nodes[1:])
    assert lines[0]["SourceType"] == "DataSet"
    assert {line["DestinationName"] for line in lines} == {"n1", "n2", "n3"}
    assert "CreatedBy" in lines[0]
    ordered = sagemaker.list_associations(
        SourceArn=nodes[0], SortBy="DestinationArn", SortOrder="Ascending"
    )["AssociationSummaries"]
    assert [line["DestinationArn"] for line in ordered] == sorted(nodes[1:])
    for filters, count in (
        ({"DestinationArn": nodes[2]}, 1),
        ({"DestinationType": "Artifact"}, 3),
        ({"DestinationType": "Action"}, 0),
        ({"AssociationType": "Produced"}, 0),
        ({"CreatedAfter": now() + HOUR}, 0),
        ({"CreatedBefore": now() + HOUR}, 3),
    ):
        found = sagemaker.list_associations(SourceArn=nodes[0], **filters)
        assert len(found["AssociationSummaries"]) == count
    sagemaker.delete_association(SourceArn=nodes[0], DestinationArn=nodes[1])
    gone = {"SourceArn": nodes[0], "DestinationArn": nodes[1]}
    assert refused(sagemaker.delete_association, **gone) == "ResourceNotFound"
    missing = nodes[0][:-4] + "0000"
    assert refused(sagemaker.add_association, SourceArn=missing, DestinationArn=nodes[0]) == (
        "ResourceNotFound"
    )
    both = {"SourceArn": "arn:aws:s3:::bucket", "DestinationArn": nodes[0]}
    assert refused(sagemaker.add_association, **both) == "ValidationException"


@pytest.fixture
def graph(platform, name):
    """What two jobs recorded: raw → Prep → train → Fit → model."""

    def content(word):
        digest = f"{name}{word}".encode().hex().ljust(64, "0")[:64]
        return word, of_object(ObjectInfo("b", f"{name}/{word}", 1, now(), digest, "e"))

    def ref(kind, word):
        return Ref("123456789012", "us-east-1", kind, word)

    jobs = {
        "Prep": (ref("processing-job", f"Prep-{name}"), ["raw"], ["train"]),
        "Fit": (ref("training-job", f"Fit-{name}"), ["train"], ["model"]),
    }
    with platform.store.begin() as change:
        for job, uses, makes in jobs.values():
            at = now()
            change.insert(Resource(job, {}, at, at, "Completed"))
            source = {"source": {"SourceArn": arn(job)}}
            change.insert(Resource(entity_of(job), source, at, at, parent=job))
            platform.lineage.record(
                change, job, inputs=map(content, uses), outputs=map(content, makes)
            )
    arns = {}
    for word in ("raw", "train", "model"):
        used = content(word)[1]
        arns[word] = arn(ref("artifact", artifact_name(used.uri, used.digest)))
    yield arns | {word: arn(entity_of(job)) for word, (job, _, _) in jobs.items()}
    with platform.store.begin() as change:  # they are no real jobs, and others use this server
        for job, _, _ in jobs.values():
            change.delete(job)
            change.delete(entity_of(job))


def reached(graph, answer):
    named = {value: word for word, value in graph.items()}
    return [named[vertex["Arn"]] for vertex in answer["Vertices"]]


def test_query_lineage_in_both_directions(sagemaker, graph):
    up = sagemaker.query_lineage(StartArns=[graph["model"]], Direction="Ascendants")
    assert reached(graph, up) == ["model", "Fit", "train", "Prep", "raw"]
    assert [vertex["Type"] for vertex in up["Vertices"]] == [
        *("Model", "TrainingJob", "DataSet", "ProcessingJob", "DataSet"),
    ]
    assert [edge["AssociationType"] for edge in up["Edges"]] == [
        *("Produced", "ContributedTo", "Produced", "ContributedTo"),
    ]
    down = sagemaker.query_lineage(StartArns=[graph["train"]], Direction="Descendants", MaxDepth=1)
    assert reached(graph, down) == ["train", "Fit"]
    both = sagemaker.query_lineage(StartArns=[graph["train"]])
    assert set(reached(graph, both)) == {"raw", "Prep", "train", "Fit", "model"}
    without = sagemaker.query_lineage(StartArns=[graph["train"]], IncludeEdges=False)
    assert without["Edges"] == []
    described = sagemaker.describe_artifact(ArtifactArn=graph["model"])
    assert described["Properties"]["sha256"] in described["Source"]["SourceTypes"][0]["Value"]
    [line] = sagemaker.list_associations(SourceArn=graph["Fit"])["AssociationSummaries"]
    assert (line["SourceType"], line["DestinationType"]) == ("SageMakerTrainingJob", "Model")


def test_query_lineage_filters(sagemaker, graph):
    def query(edges=False, **filters):
        return sagemaker.query_lineage(
            StartArns=[graph["model"]], Filters=filters, IncludeEdges=edges, Direction="Ascendants"
        )

    sagemaker.update_artifact(ArtifactArn=graph["raw"], Properties={"owner": "ada"})
    assert reached(graph, query(Types=["DataSet"])) == ["train", "raw"]
    assert reached(graph, query(LineageTypes=["TrialComponent"])) == ["Fit", "Prep"]
    assert reached(graph, query(Properties={"owner": "ada"})) == ["raw"]
    assert reached(graph, query(CreatedAfter=now() + HOUR)) == []
    assert reached(graph, query(CreatedBefore=now() + HOUR, ModifiedAfter=now() - HOUR)) == [
        *("model", "Fit", "train", "Prep", "raw"),
    ]
    path = query(edges=True, Types=["ProcessingJob"])
    assert reached(graph, path) == ["model", "Fit", "train", "Prep"]
    assert len(path["Edges"]) == 3
    anywhere = sagemaker.query_lineage(Filters={"Properties": {"owner": "ada"}}, MaxResults=50)
    assert graph["raw"] in {vertex["Arn"] for vertex in anywhere["Vertices"]}


def test_query_lineage_pages_hold_every_vertex_and_edge_once(sagemaker, graph):
    whole = sagemaker.query_lineage(StartArns=[graph["train"]])
    vertices, edges, token = [], [], {}
    while True:
        page = sagemaker.query_lineage(StartArns=[graph["train"]], MaxResults=2, **token)
        vertices += page["Vertices"]
        edges += page["Edges"]
        if "NextToken" not in page:
            break
        token = {"NextToken": page["NextToken"]}
    assert vertices == whole["Vertices"]
    key = str
    assert sorted(edges, key=key) == sorted(whole["Edges"], key=key)


def test_query_lineage_refuses(sagemaker, graph):
    missing = graph["raw"][:-4] + "zzzz"
    assert refused(sagemaker.query_lineage, StartArns=[missing]) == "ResourceNotFound"
    foreign = graph["raw"].replace("123456789012", "210987654321")
    assert refused(sagemaker.query_lineage, StartArns=[foreign]) == "ResourceNotFound"
    bad = {"StartArns": [graph["raw"]], "NextToken": "x"}
    assert refused(sagemaker.query_lineage, **bad) == "ValidationException"


def test_what_jobs_recorded_cannot_be_removed(sagemaker, graph):
    assert refused(sagemaker.delete_artifact, ArtifactArn=graph["raw"]) == "ValidationException"
    ends = {"SourceArn": graph["raw"], "DestinationArn": graph["Prep"]}
    assert refused(sagemaker.delete_association, **ends) == "ValidationException"


def test_packages_become_artifacts_of_their_group(sagemaker, platform, name):
    sagemaker.create_model_package_group(ModelPackageGroupName=name)
    package = sagemaker.create_model_package(ModelPackageGroupName=name)["ModelPackageArn"]
    sagemaker.update_model_package(ModelPackageArn=package, ModelApprovalStatus="Approved")

    def ready():
        return len(sagemaker.list_actions(SourceUri=package)["ActionSummaries"]) == 2

    waiting = threading.Event()
    while not ready():
        waiting.wait(0.05)
    [artifact] = sagemaker.list_artifacts(SourceUri=package)["ArtifactSummaries"]
    lines = sagemaker.list_associations(DestinationArn=artifact["ArtifactArn"])
    assert {line["SourceType"] for line in lines["AssociationSummaries"]} == {"Approval"}
    found = sagemaker.query_lineage(
        StartArns=[artifact["ArtifactArn"]], Direction="Descendants", IncludeEdges=False
    )
    assert [vertex["Type"] for vertex in found["Vertices"]] == ["Model", "ModelGroup"]
    assert found["Vertices"][1]["Arn"].endswith(f"context/{name}-aws-model-package-group")


def test_the_lineage_group(sagemaker, graph):
    [line] = sagemaker.list_lineage_groups()["LineageGroupSummaries"]
    found = sagemaker.describe_lineage_group(LineageGroupName=line["LineageGroupName"])
    assert found["LineageGroupArn"] == line["LineageGroupArn"]
    named = {"LineageGroupName": line["LineageGroupName"]}
    assert refused(sagemaker.get_lineage_group_policy, **named) == "ResourceNotFound"
    assert refused(sagemaker.describe_lineage_group, LineageGroupName="x") == "ResourceNotFound"
    assert sagemaker.list_lineage_groups(CreatedAfter=now() + HOUR)["LineageGroupSummaries"] == []


def test_a_server_sends_open_lineage_events(launch, tmp_path):
    events = tmp_path / "events.jsonl"
    place = {"S3Uri": "s3://nowhere/x", "S3DataType": "S3Prefix", "S3InputMode": "File"}
    given = {"InputName": "x", "S3Input": {**place, "LocalPath": "/opt/ml/processing/x"}}
    cluster = {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1}
    with launch(tmp_path / "home", "--openlineage", events.as_uri()) as server:
        server.client("sagemaker").create_processing_job(
            ProcessingJobName="missing",
            RoleArn="arn:aws:iam::123456789012:role/ClaryRole",
            AppSpecification={"ImageUri": "python:3", "ContainerEntrypoint": ["true"]},
            ProcessingResources={"ClusterConfig": cluster},
            ProcessingInputs=[given],
        )
        waiting = threading.Event()
        while not events.exists() or '"FAIL"' not in events.read_text():
            waiting.wait(0.05)
    found = [json.loads(line) for line in events.read_text().splitlines()]
    assert [event["eventType"] for event in found] == ["START", "FAIL"]
    assert {event["job"]["name"] for event in found} == {"missing"}
    assert "s3://nowhere/x" in found[1]["run"]["facets"]["errorMessage"]["message"]
