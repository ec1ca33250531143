"""Record lineage in a pipeline through the unmodified SageMaker SDK."""

from __future__ import annotations

import sagemaker
from sagemaker.lineage.action import Action
from sagemaker.lineage.artifact import Artifact
from sagemaker.workflow.lineage_step import (
    LineageAssociation,
    LineageEntityReference,
    LineageStep,
)
from sagemaker.workflow.pipeline import Pipeline
from sagemaker.workflow.pipeline_context import PipelineSession

session = PipelineSession()
step = LineageStep(
    "Record",
    actions=[
        Action.create(
            action_name="fit-by-hand",
            source_uri="s3://elsewhere/run",
            action_type="ModelTraining",
            sagemaker_session=session,
        )
    ],
    artifacts=[
        Artifact.create(
            artifact_name="a-model",
            source_uri="s3://elsewhere/model.tar.gz",
            artifact_type="Model",
            sagemaker_session=session,
        )
    ],
    associations=[
        LineageAssociation(
            LineageEntityReference("fit-by-hand", "Action"),
            LineageEntityReference("a-model", "Artifact"),
            "Produced",
        )
    ],
)
pipeline = Pipeline("Records", steps=[step], sagemaker_session=session)
pipeline.upsert(role_arn=sagemaker.get_execution_role())
execution = pipeline.start()
execution.wait(delay=1)
assert [one["StepStatus"] for one in execution.list_steps()] == ["Succeeded"]
client = sagemaker.Session().sagemaker_client
action = client.describe_action(ActionName="fit-by-hand")["ActionArn"]
[edge] = client.list_associations(SourceArn=action)["AssociationSummaries"]
assert (edge["DestinationName"], edge["AssociationType"]) == ("a-model", "Produced")
print("RECORDED ok")
