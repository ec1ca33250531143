"""Look at a pipeline's lineage through the unmodified SageMaker SDK, as a notebook does.

Arguments: the ARNs of a pipeline execution and of the model package that it registered, and the
URI of the data it began with.
"""

from __future__ import annotations

import sys
import time

import sagemaker
from sagemaker.lineage.action import Action, ModelPackageApprovalAction
from sagemaker.lineage.artifact import Artifact, DatasetArtifact, ModelArtifact
from sagemaker.lineage.association import Association
from sagemaker.lineage.context import Context, ModelPackageGroup
from sagemaker.lineage.query import (
    LineageEntityEnum,
    LineageFilter,
    LineageQuery,
    LineageQueryDirectionEnum,
    LineageSourceEnum,
)
from sagemaker.lineage.visualizer import LineageTableVisualizer

EXECUTION, PACKAGE, DATA = sys.argv[1:]
session = sagemaker.Session()
client = session.sagemaker_client
steps = client.list_pipeline_execution_steps(PipelineExecutionArn=EXECUTION)
jobs = {
    step["StepName"]: next(iter(step["Metadata"].values()))["Arn"].rpartition("/")[2]
    for step in steps["PipelineExecutionSteps"]
}

# what the platform makes beside the jobs is there shortly after them
deadline = time.monotonic() + 30
while not client.list_trial_components(
    SourceArn=client.describe_training_job(TrainingJobName=jobs["Fit"])["TrainingJobArn"]
)["TrialComponentSummaries"] or not (
    list(Artifact.list(source_uri=PACKAGE, sagemaker_session=session))
):
    assert time.monotonic() < deadline, "no lineage after 30 s"
    time.sleep(0.1)

# the table of the visualizer, from every kind of start
tables = LineageTableVisualizer(session)
for start in (
    {"training_job_name": jobs["Fit"]},
    {"processing_job_name": jobs["Prepare"]},
    {"model_package_arn": PACKAGE},
    *({"pipeline_execution_step": step} for step in reversed(steps["PipelineExecutionSteps"])),
):
    table = tables.show(**start)
    print("TABLE", next(iter(start)))
    print(table.to_csv(index=False, header=False))


# queries
def query(arn, direction, **filters):
    return LineageQuery(session).query(
        start_arns=[arn],
        query_filter=LineageFilter(**filters) if filters else None,
        direction=direction,
        include_edges=True,
    )


[package] = Artifact.list(source_uri=PACKAGE, sagemaker_session=session)
up = query(package.artifact_arn, LineageQueryDirectionEnum.ASCENDANTS)
assert len(up.vertices) == len(set(up.vertices)) > 5
assert up.edges
data = query(
    package.artifact_arn,
    LineageQueryDirectionEnum.ASCENDANTS,
    entities=[LineageEntityEnum.ARTIFACT],
    sources=[LineageSourceEnum.DATASET],
)
artifacts = [vertex for vertex in data.vertices if vertex.lineage_entity == "Artifact"]
assert DATA in {vertex.to_lineage_object().source.source_uri for vertex in artifacts}
model = ModelArtifact.load(package.artifact_arn, sagemaker_session=session)
assert any(one.source.source_uri == DATA for one in model.dataset_artifacts())
assert [arn.rpartition("/")[2] for arn in model.training_job_arns()] == [jobs["Fit"]]
assert model.pipeline_execution_arn() == EXECUTION
assert model.endpoint_contexts() == []
uses = model.s3_uri_artifacts(DATA)["ArtifactSummaries"]
raw = DatasetArtifact.load(uses[0]["ArtifactArn"], sagemaker_session=session)
assert raw.source.source_uri == DATA
assert raw.downstream_datasets()
assert raw.upstream_datasets()
down = query(raw.artifact_arn, LineageQueryDirectionEnum.DESCENDANTS)
assert package.artifact_arn in {vertex.arn for vertex in down.vertices}
components = [v for v in down.vertices if v.lineage_entity == "TrialComponent"]
component = components[0].to_lineage_object()
assert component.pipeline_execution_arn() == EXECUTION
assert component.models(), "the component leads to models"
[group] = [v for v in down.vertices if v.lineage_source == "ModelGroup"]
loaded = ModelPackageGroup.load(group.to_lineage_object().context_name, sagemaker_session=session)
assert loaded.pipeline_execution_arn() == EXECUTION, loaded.properties
[approval] = Action.list(source_uri=PACKAGE, action_type="Approval", sagemaker_session=session)
approved = ModelPackageApprovalAction.load(approval.action_name, sagemaker_session=session)
assert any(one.source.source_uri == DATA for one in approved.datasets())

# entities of one's own
mine = Artifact.create(
    artifact_name="notes",
    source_uri="s3://notes/today.md",
    artifact_type="Note",
    properties={"mood": "good"},
    sagemaker_session=session,
)
mine.properties["mood"] = "better"
mine.save()
assert Artifact.load(mine.artifact_arn, sagemaker_session=session).properties == {"mood": "better"}
mine.set_tag({"Key": "team", "Value": "blue"})
review = Action.create(
    action_name="review",
    source_uri="https://example.com/review",
    source_type="Review",
    action_type="Review",
    status="InProgress",
    sagemaker_session=session,
)
review.status = "Completed"
review.save()
season = Context.create(
    context_name="season",
    source_uri="s3://notes/season",
    context_type="Season",
    sagemaker_session=session,
)
Association.create(
    source_arn=mine.artifact_arn,
    destination_arn=review.action_arn,
    association_type="ContributedTo",
    sagemaker_session=session,
)
Association.create(
    source_arn=review.action_arn,
    destination_arn=package.artifact_arn,
    association_type="ContributedTo",
    sagemaker_session=session,
)
Association.create(
    source_arn=review.action_arn, destination_arn=season.context_arn, sagemaker_session=session
)
after = query(mine.artifact_arn, LineageQueryDirectionEnum.DESCENDANTS)
assert {package.artifact_arn, season.context_arn} <= {vertex.arn for vertex in after.vertices}
touched = {one.artifact_arn for one in review.artifacts()}
assert {mine.artifact_arn, package.artifact_arn} <= touched
for one in (mine, review, season):
    one.delete(disassociate=True)
print("LINEAGE ok")
