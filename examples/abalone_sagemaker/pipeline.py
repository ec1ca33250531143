"""The Abalone pipeline with the SageMaker SDK: ``clary run -- python pipeline.py [NAME=VALUE …]``.

Nothing in this file knows of clary. It needs ``sagemaker<3``, scikit-learn and scikit-lego.
The arguments set parameters of this execution: ``MseThreshold=3``.
"""

import sys
import tempfile
from pathlib import Path

import boto3
from botocore.exceptions import WaiterError
from sagemaker import get_execution_role, image_uris
from sagemaker.estimator import Estimator
from sagemaker.inputs import TrainingInput
from sagemaker.model import Model
from sagemaker.model_metrics import MetricsSource, ModelMetrics
from sagemaker.processing import ProcessingInput, ProcessingOutput, ScriptProcessor
from sagemaker.s3 import S3Downloader, S3Uploader
from sagemaker.sklearn.processing import SKLearnProcessor
from sagemaker.transformer import Transformer
from sagemaker.workflow.condition_step import ConditionStep
from sagemaker.workflow.conditions import ConditionLessThanOrEqualTo
from sagemaker.workflow.fail_step import FailStep
from sagemaker.workflow.functions import Join, JsonGet
from sagemaker.workflow.model_step import ModelStep
from sagemaker.workflow.parameters import ParameterFloat, ParameterInteger, ParameterString
from sagemaker.workflow.pipeline import Pipeline
from sagemaker.workflow.pipeline_context import PipelineSession
from sagemaker.workflow.properties import PropertyFile
from sagemaker.workflow.steps import ProcessingStep, TrainingStep, TransformStep

GROUP = "AbaloneModelPackageGroup"
SCRIPTS = Path(__file__).resolve().parent.parent / "abalone"
sys.path.insert(0, str(SCRIPTS))
import data  # noqa: E402 - it lies in the folder just added to the path

session = PipelineSession()
role = get_execution_role()
bucket = session.default_bucket()

# the data, and where the six parameters of the pipeline begin
with tempfile.TemporaryDirectory() as folder:
    input_uri, batch_uri = (
        S3Uploader.upload(str(path), f"s3://{bucket}/abalone") for path in data.write(folder)
    )
processing_instance_count = ParameterInteger(name="ProcessingInstanceCount", default_value=1)
training_instance_type = ParameterString(name="TrainingInstanceType", default_value="ml.m5.xlarge")
model_approval_status = ParameterString(
    name="ModelApprovalStatus", default_value="PendingManualApproval"
)
input_data = ParameterString(name="InputData", default_value=input_uri)
batch_data = ParameterString(name="BatchData", default_value=batch_uri)
mse_threshold = ParameterFloat(name="MseThreshold", default_value=6.0)

# prepare
sklearn = SKLearnProcessor(
    framework_version="1.2-1",
    instance_type="ml.m5.xlarge",
    instance_count=processing_instance_count,
    base_job_name="abalone-process",
    role=role,
    sagemaker_session=session,
)
step_process = ProcessingStep(
    name="AbaloneProcess",
    step_args=sklearn.run(
        code=str(SCRIPTS / "preprocessing.py"),
        inputs=[ProcessingInput(source=input_data, destination="/opt/ml/processing/input")],
        outputs=[
            ProcessingOutput(output_name=name, source=f"/opt/ml/processing/{name}")
            for name in ("train", "validation", "test")
        ],
    ),
)
prepared = step_process.properties.ProcessingOutputConfig.Outputs

# train
image = image_uris.retrieve(
    framework="xgboost",
    region=session.boto_region_name,
    version="1.0-1",
    py_version="py3",
    instance_type="ml.m5.xlarge",
)
xgboost = Estimator(
    image_uri=image,
    instance_type=training_instance_type,
    instance_count=1,
    output_path=f"s3://{bucket}/AbaloneTrain",
    role=role,
    sagemaker_session=session,
)
xgboost.set_hyperparameters(
    objective="reg:linear",
    num_round=50,
    max_depth=5,
    eta=0.2,
    gamma=4,
    min_child_weight=6,
    subsample=0.7,
)
step_train = TrainingStep(
    name="AbaloneTrain",
    step_args=xgboost.fit(
        {
            name: TrainingInput(prepared[name].S3Output.S3Uri, content_type="text/csv")
            for name in ("train", "validation")
        }
    ),
)
artifacts = step_train.properties.ModelArtifacts.S3ModelArtifacts

# evaluate
evaluator = ScriptProcessor(
    image_uri=image,
    command=["python3"],
    instance_type="ml.m5.xlarge",
    instance_count=1,
    base_job_name="abalone-eval",
    role=role,
    sagemaker_session=session,
)
report = PropertyFile(name="EvaluationReport", output_name="evaluation", path="evaluation.json")
step_eval = ProcessingStep(
    name="AbaloneEval",
    step_args=evaluator.run(
        code=str(SCRIPTS / "evaluation.py"),
        inputs=[
            ProcessingInput(source=artifacts, destination="/opt/ml/processing/model"),
            ProcessingInput(
                source=prepared["test"].S3Output.S3Uri,
                destination="/opt/ml/processing/test",
            ),
        ],
        outputs=[
            ProcessingOutput(output_name="evaluation", source="/opt/ml/processing/evaluation")
        ],
    ),
    property_files=[report],
)

# register the model, and score a batch with it
model = Model(image_uri=image, model_data=artifacts, role=role, sagemaker_session=session)
evaluated = step_eval.arguments["ProcessingOutputConfig"]["Outputs"][0]["S3Output"]["S3Uri"]
step_register = ModelStep(
    name="AbaloneRegisterModel",
    step_args=model.register(
        content_types=["text/csv"],
        response_types=["text/csv"],
        inference_instances=["ml.t2.medium", "ml.m5.xlarge"],
        transform_instances=["ml.m5.xlarge"],
        model_package_group_name=GROUP,
        approval_status=model_approval_status,
        model_metrics=ModelMetrics(
            model_statistics=MetricsSource(
                s3_uri=f"{evaluated}/evaluation.json", content_type="application/json"
            )
        ),
    ),
)
step_create = ModelStep(
    name="AbaloneCreateModel", step_args=model.create(instance_type="ml.m5.large")
)
transformer = Transformer(
    model_name=step_create.properties.ModelName,
    instance_type="ml.m5.xlarge",
    instance_count=1,
    assemble_with="Line",
    output_path=f"s3://{bucket}/AbaloneTransform",
    sagemaker_session=session,
)
step_transform = TransformStep(
    name="AbaloneTransform",
    step_args=transformer.transform(data=batch_data, content_type="text/csv", split_type="Line"),
)

# decide
step_fail = FailStep(
    name="AbaloneMSEFail",
    error_message=Join(on=" ", values=["The mean squared error exceeds", mse_threshold]),
)
step_cond = ConditionStep(
    name="AbaloneMSECond",
    conditions=[
        ConditionLessThanOrEqualTo(
            left=JsonGet(
                step_name=step_eval.name,
                property_file=report,
                json_path="regression_metrics.mse.value",
            ),
            right=mse_threshold,
        )
    ],
    if_steps=[step_register, step_create, step_transform],
    else_steps=[step_fail],
)

pipeline = Pipeline(
    name="AbalonePipeline",
    parameters=[
        processing_instance_count,
        training_instance_type,
        model_approval_status,
        input_data,
        batch_data,
        mse_threshold,
    ],
    steps=[step_process, step_train, step_eval, step_cond],
    sagemaker_session=session,
)

# run it
pipeline.upsert(role_arn=role)
execution = pipeline.start(parameters=dict(text.split("=", 1) for text in sys.argv[1:]))
print(f"started {execution.arn}")
for parameter in execution.list_parameters()["PipelineParameters"]:
    print(f"  {parameter['Name']} = {parameter['Value']}")
try:
    execution.wait(delay=1, max_attempts=900)
except WaiterError:
    print(f"FAILED: {execution.describe()['FailureReason']}")

# see what each step made, and how its log ends
sagemaker, logs = boto3.client("sagemaker"), boto3.client("logs")
DESCRIBE = {
    "ProcessingJob": ("ProcessingJobName", sagemaker.describe_processing_job),
    "TrainingJob": ("TrainingJobName", sagemaker.describe_training_job),
    "TransformJob": ("TransformJobName", sagemaker.describe_transform_job),
    "Model": ("ModelName", sagemaker.describe_model),
    "RegisterModel": ("ModelPackageName", sagemaker.describe_model_package),
}


def log_end(kind, name):
    """Return the last line that a job has logged; empty if it failed before its program began."""
    group = f"/aws/sagemaker/{kind}s"
    streams = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=f"{name}/")
    events = [
        event
        for stream in streams["logStreams"]
        for event in logs.get_log_events(logGroupName=group, logStreamName=stream["logStreamName"])[
            "events"
        ]
    ]
    return events[-1]["message"].rstrip() if events else ""


for step in reversed(execution.list_steps()):
    print(f"{step['StepName']}: {step['StepStatus']}")
    for kind, made in step["Metadata"].items():
        if kind not in DESCRIBE:
            continue
        member, describe = DESCRIBE[kind]
        arn = made["Arn"]
        name = arn if kind == "RegisterModel" else arn.rpartition("/")[2]
        made_of = describe(**{member: name})
        print(f"  {made_of[kind.replace('RegisterModel', 'ModelPackage') + 'Arn']}")
        if kind.endswith("Job"):
            print(f"  log ends: {log_end(kind, name)}")

if execution.describe()["PipelineExecutionStatus"] != "Succeeded":
    sys.exit(1)
for version in sagemaker.list_model_packages(ModelPackageGroupName=GROUP)[
    "ModelPackageSummaryList"
]:
    print(f"version {version['ModelPackageVersion']}: {version['ModelApprovalStatus']}")
scores = S3Downloader.read_file(f"s3://{bucket}/AbaloneTransform/batch.csv.out").split()
print(f"{len(scores)} scores: {', '.join(scores[:5])} …")
