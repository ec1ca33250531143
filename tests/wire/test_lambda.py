"""Functions, as boto3 sees them."""

import base64
import io
import json
import time
import zipfile

import pytest
from botocore.exceptions import ClientError

ROLE = "arn:aws:iam::123456789012:role/ClaryRole"
HANDLERS = """
import os, sys, time

def echo(event, context):
    print("called with", event)
    return {
        "event": event,
        "variable": os.environ.get("STAGE"),
        "name": context.function_name,
        "arn": context.invoked_function_arn,
        "memory": context.memory_limit_in_mb,
        "left": context.get_remaining_time_in_millis() > 0,
        "request": context.aws_request_id,
        "client": getattr(context.client_context, "custom", None),
    }

def wrong(event, context):
    raise ValueError("no such table")

def leaves(event, context):
    sys.exit(3)

def killed(event, context):
    os.kill(os.getpid(), 9)

def forever(event, context):
    time.sleep(600)

def unserializable(event, context):
    return object()

def large(event, context):
    return "x" * (7 << 20)

def hungry(event, context):
    held = bytearray(1 << 30)
    held[:: 4096] = b"x" * len(held[:: 4096])

def calls(event, context):
    import boto3
    return boto3.client("sts").get_caller_identity()["Arn"]

def split(event, context):
    return {"train": event["data"] + "/train", "rows": event["rows"], "good": True, "more": 1}
"""


def package(**files):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as made:
        for name, text in (files or {"app.py": HANDLERS}).items():
            made.writestr(name, text)
    return data.getvalue()


@pytest.fixture
def functions(server):
    return server.client("lambda")


@pytest.fixture
def make(functions, name):
    def made(handler="app.echo", **more):
        whole = {
            "FunctionName": name,
            "Runtime": "python3.11",
            "Role": ROLE,
            "Handler": handler,
            "Code": {"ZipFile": package()},
            "Timeout": 30,
            "MemorySize": 256,
        }
        return functions.create_function(**{**whole, **more})

    return made


def call(functions, name, event=None, **more):
    done = functions.invoke(FunctionName=name, Payload=json.dumps(event), **more)
    return done, json.loads(done["Payload"].read())


def test_a_handler_is_called(functions, make, name):
    made = make(Environment={"Variables": {"STAGE": "dev"}})
    custom = base64.b64encode(json.dumps({"custom": {"a": 1}}).encode()).decode()
    done, said = call(functions, name, {"n": 1}, LogType="Tail", ClientContext=custom)
    assert done["StatusCode"] == 200
    assert "FunctionError" not in done
    request = said.pop("request")
    assert said == {
        "event": {"n": 1},
        "variable": "dev",
        "name": name,
        "arn": made["FunctionArn"],
        "memory": "256",
        "left": True,
        "client": {"a": 1},
    }
    log = base64.b64decode(done["LogResult"]).decode()
    assert "called with {'n': 1}" in log
    assert f"END RequestId: {request}" in log


@pytest.mark.parametrize(
    ("handler", "kind", "message"),
    [
        ("app.wrong", "ValueError", "no such table"),
        ("app.leaves", "Runtime.ExitError", "3"),
        ("app.killed", "Runtime.ExitError", "signal: killed"),
        ("app.unserializable", "Runtime.MarshalError", "not JSON serializable"),
        ("app.large", "Function.ResponseSizeTooLarge", "exceeded 6291456 bytes"),
        ("app.missing", "Runtime.HandlerNotFound", "'missing' missing on module 'app'"),
        ("other.echo", "Runtime.ImportModuleError", "No module named 'other'"),
    ],
)
def test_what_goes_wrong_is_told(functions, make, name, handler, kind, message):
    make(handler)
    done, said = call(functions, name)
    assert (done["StatusCode"], done["FunctionError"]) == (200, "Unhandled")
    assert said["errorType"] == kind
    assert message in said["errorMessage"]
    if kind == "ValueError":
        assert "app.py" in said["stackTrace"][-1]
        assert len(said["stackTrace"]) == 1


def test_time_is_limited(functions, make, name):
    make("app.forever", Timeout=1)
    _, said = call(functions, name)
    assert said["errorType"] == "Sandbox.Timedout"
    assert said["errorMessage"].endswith("Task timed out after 1.00 seconds")


def test_memory_is_limited(functions, make, name):
    make("app.hungry", MemorySize=128)
    done, _ = call(functions, name)
    assert done["FunctionError"] == "Unhandled"


def test_a_handler_reaches_the_platform(functions, make, name):
    make("app.calls")
    _, said = call(functions, name)
    assert said.startswith("arn:aws:sts::123456789012:assumed-role/ClaryRole/")


def test_an_event_is_accepted_and_run(functions, make, name, server):
    code = (
        "import boto3\n"
        "def put(event, context):\n"
        "    boto3.client('sqs').send_message(QueueUrl=event['url'], MessageBody='done')\n"
    )
    make("app.put", Code={"ZipFile": package(**{"app.py": code})})
    sqs = server.client("sqs")
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    event = json.dumps({"url": url})
    done = functions.invoke(FunctionName=name, InvocationType="Event", Payload=event)
    assert done["StatusCode"] == 202
    (message,) = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20)["Messages"]
    assert message["Body"] == "done"
    assert functions.invoke(FunctionName=name, InvocationType="DryRun")["StatusCode"] == 204


def test_functions_are_changed_listed_tagged_and_deleted(functions, make, name, s3):
    made = make(Tags={"team": "ml"})
    with pytest.raises(functions.exceptions.ResourceConflictException):
        make()
    s3.create_bucket(Bucket=name)
    code = package(**{"app.py": "def echo(event, context): return 2"})
    s3.put_object(Bucket=name, Key="code.zip", Body=code)
    changed = functions.update_function_code(
        FunctionName=made["FunctionArn"], S3Bucket=name, S3Key="code.zip"
    )
    assert changed["CodeSha256"] != made["CodeSha256"]
    assert call(functions, name)[1] == 2
    functions.update_function_configuration(FunctionName=name, Timeout=9, Description="two")
    found = functions.get_function(FunctionName=name)
    assert found["Configuration"]["Timeout"] == 9
    assert found["Configuration"]["Handler"] == "app.echo"
    assert found["Tags"] == {"team": "ml"}
    functions.get_waiter("function_active_v2").wait(FunctionName=name)
    names = [
        one["FunctionName"]
        for page in functions.get_paginator("list_functions").paginate()
        for one in page["Functions"]
    ]
    assert name in names
    functions.tag_resource(Resource=made["FunctionArn"], Tags={"stage": "dev"})
    functions.untag_resource(Resource=made["FunctionArn"], TagKeys=["team"])
    assert functions.list_tags(Resource=made["FunctionArn"])["Tags"] == {"stage": "dev"}
    functions.delete_function(FunctionName=name)
    with pytest.raises(functions.exceptions.ResourceNotFoundException):
        functions.invoke(FunctionName=name)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"Runtime": "nodejs20.x"}, "InvalidParameterValueException"),
        ({"Handler": "nothing"}, "InvalidParameterValueException"),
        ({"Code": {"ZipFile": b"no zip"}}, "InvalidParameterValueException"),
        ({"Code": {}}, "InvalidParameterValueException"),
        ({"Code": {"ZipFile": package(**{"../out.py": ""})}}, "InvalidParameterValueException"),
        ({"Code": {"S3Bucket": "nowhere", "S3Key": "k"}}, "InvalidParameterValueException"),
        ({"Environment": {"Variables": {"AWS_REGION": "x"}}}, "InvalidParameterValueException"),
        ({"Timeout": 901}, "InvalidParameterValueException"),
        ({"Layers": ["arn:aws:lambda:us-east-1:123456789012:layer:a:1"]}, "UnsupportedOperation"),
        ({"PackageType": "Image"}, "UnsupportedOperation"),
        ({"Publish": True}, "UnsupportedOperation"),
    ],
)
def test_what_is_wrong_is_refused(make, change, code):
    with pytest.raises(ClientError) as caught:
        make(**change)
    assert caught.value.response["Error"]["Code"] == code


@pytest.mark.parametrize("payload", [b"{", b'"' + b"x" * (6 << 20) + b'"'])
def test_wrong_payloads_are_refused(functions, make, name, payload):
    make()
    with pytest.raises(ClientError) as caught:
        functions.invoke(FunctionName=name, Payload=payload)
    expected = {"InvalidParameterValueException", "InvalidRequestContentException"}
    assert caught.value.response["Error"]["Code"] in expected


def test_a_step_calls_a_function_and_its_outputs_are_typed(functions, sagemaker, make, name):
    arn = make("app.split")["FunctionArn"]
    outputs = [
        {"OutputName": "train", "OutputType": "String"},
        {"OutputName": "rows", "OutputType": "Integer"},
        {"OutputName": "good", "OutputType": "Boolean"},
    ]
    split = {
        "Name": "Split",
        "Type": "Lambda",
        "FunctionArn": arn,
        "OutputParameters": outputs,
        "Arguments": {"data": {"Get": "Parameters.Data"}, "rows": 7},
    }
    enough = {
        "Type": "GreaterThan",
        "LeftValue": {"Get": "Steps.Split.OutputParameters['rows']"},
        "RightValue": 6,
    }
    message = {"Get": "Steps.Split.OutputParameters['train']"}
    decide = {
        "Name": "Decide",
        "Type": "Condition",
        "Arguments": {
            "Conditions": [enough],
            "IfSteps": [{"Name": "Tell", "Type": "Fail", "Arguments": {"ErrorMessage": message}}],
            "ElseSteps": [],
        },
    }
    parameters = [{"Name": "Data", "Type": "String", "DefaultValue": "s3://b"}]
    document = {"Version": "2020-12-01", "Parameters": parameters, "Steps": [split, decide]}
    found, steps = run(sagemaker, name, document)
    assert found["FailureReason"] == "Step Tell failed: s3://b/train"
    assert steps["Split"]["Metadata"]["Lambda"] == {
        "Arn": arn,
        "OutputParameters": [
            {"Name": "train", "Value": "s3://b/train"},
            {"Name": "rows", "Value": "7"},
            {"Name": "good", "Value": "true"},
        ],
    }
    outputs.append({"OutputName": "absent", "OutputType": "String"})
    found, steps = run(sagemaker, name, document)
    assert steps["Split"]["FailureReason"].startswith("absent: is declared as an output")
    functions.update_function_configuration(FunctionName=name, Handler="app.wrong")
    found, steps = run(sagemaker, name, document)
    assert steps["Split"]["FailureReason"] == "ValueError: no such table"
    functions.delete_function(FunctionName=name)
    found, steps = run(sagemaker, name, document)
    assert "does not exist" in steps["Split"]["FailureReason"]


def run(sagemaker, name, document):
    text = json.dumps(document)
    try:
        sagemaker.create_pipeline(PipelineName=name, PipelineDefinition=text, RoleArn=ROLE)
    except ClientError:
        sagemaker.update_pipeline(PipelineName=name, PipelineDefinition=text)
    execution = sagemaker.start_pipeline_execution(PipelineName=name)["PipelineExecutionArn"]
    while True:
        found = sagemaker.describe_pipeline_execution(PipelineExecutionArn=execution)
        if found["PipelineExecutionStatus"] != "Executing":
            break
        time.sleep(0.02)
    steps = sagemaker.list_pipeline_execution_steps(PipelineExecutionArn=execution)
    return found, {one["StepName"]: one for one in steps["PipelineExecutionSteps"]}


def test_a_step_is_reused_while_code_and_arguments_are_the_same(functions, sagemaker, make, name):
    arn = make("app.split")["FunctionArn"]
    step = {
        "Name": "Split",
        "Type": "Lambda",
        "FunctionArn": arn,
        "OutputParameters": [{"OutputName": "rows", "OutputType": "Integer"}],
        "Arguments": {"data": "s3://b", "rows": 7},
        "CacheConfig": {"Enabled": True, "ExpireAfter": "P1D"},
    }
    document = {"Version": "2020-12-01", "Steps": [step]}
    first, steps = run(sagemaker, name, document)
    assert "CacheHitResult" not in steps["Split"]
    _, steps = run(sagemaker, name, document)
    hit = steps["Split"]["CacheHitResult"]["SourcePipelineExecutionArn"]
    assert hit == first["PipelineExecutionArn"]
    code = package(**{"app.py": HANDLERS + "\n# changed\n"})
    functions.update_function_code(FunctionName=name, ZipFile=code)
    _, steps = run(sagemaker, name, document)
    assert "CacheHitResult" not in steps["Split"]
