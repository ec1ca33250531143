"""kill -9 of a server that has handed work over: called once, asked once, started once."""

from __future__ import annotations

import io
import json
import random
import subprocess
import sys
import time
import zipfile
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import boto3
import pytest
from botocore.config import Config

from clary.adapters.sqlite import SqliteStore
from clary.governance.keys import open_keys
from clary.governance.presence import find

ACCOUNT, REGION = "123456789012", "us-east-1"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/ClaryRole"
DEADLINE_S = 90.0
HANDLER = """
import time
import boto3
from botocore.exceptions import BotoCoreError, ClientError

def wait(event, context):
    boto3.client("sqs").send_message(QueueUrl=event["url"], MessageBody="called")
    s3 = boto3.client("s3")
    while True:
        try:
            s3.head_object(Bucket="hand-over", Key="go")
            return {"rows": 80}
        except (BotoCoreError, ClientError):
            time.sleep(0.05)
"""


@dataclass
class Server:
    """A home and the server on it."""

    path: object
    process: subprocess.Popen | None = None
    port: int = 0

    def start(self):
        argv = [sys.executable, "-m", "clary", "up", "--home", str(self.path)]
        with (self.path.parent / "up.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*argv, "--port", str(self.port)], stdout=log, stderr=log, start_new_session=True
            )
        wait(lambda: (there := find(self.path)) and there.pid == self.process.pid)
        self.port = int(find(self.path).endpoint.rpartition(":")[2])

    def kill(self):
        """Kill it as a power failure would, jobs excepted, and start it again."""
        self.process.kill()
        self.process.wait()

    def client(self, service):
        keys = open_keys(self.path, ACCOUNT)
        return boto3.client(
            service,
            endpoint_url=f"http://127.0.0.1:{self.port}",
            aws_access_key_id=keys.access_key_id,
            aws_secret_access_key=keys.secret_access_key,
            region_name=REGION,
            config=Config(retries={"total_max_attempts": 1}, read_timeout=30),
        )

    def lines(self):
        store = SqliteStore(self.path / "metadata.db")
        try:
            return store.events(limit=10_000)
        finally:
            store.close()


def wait(holds):
    until = time.monotonic() + DEADLINE_S
    while not holds():
        assert time.monotonic() < until, "in vain"
        time.sleep(0.02)


@contextmanager
def serving(path):
    path.mkdir()
    server = Server(path)
    server.start()
    try:
        yield server
    except BaseException as error:
        error.add_note((path.parent / "up.log").read_text()[-5000:])
        raise
    finally:
        server.process.terminate()
        server.process.wait(30)


@pytest.fixture
def server(tmp_path):
    with serving(tmp_path / "home") as running:
        yield running


def received(server, url):
    """Receive a message and remove it; the server may just have come back."""
    sqs = server.client("sqs")
    (message,) = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20)["Messages"]
    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return message["Body"]


def make_function(server):
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as made:
        made.writestr("app.py", HANDLER)
    return server.client("lambda").create_function(
        FunctionName="wait",
        Runtime="python3.11",
        Role=ROLE,
        Handler="app.wait",
        Code={"ZipFile": package.getvalue()},
        Timeout=60,
        MemorySize=256,
    )["FunctionArn"]


def test_a_step_is_called_and_asked_once(server):
    server.client("s3").create_bucket(Bucket="hand-over")
    urls = [server.client("sqs").create_queue(QueueName=n)["QueueUrl"] for n in ("calls", "asks")]
    calls, asks = urls
    call = {
        "Name": "Call",
        "Type": "Lambda",
        "FunctionArn": make_function(server),
        "OutputParameters": [{"OutputName": "rows", "OutputType": "Integer"}],
        "Arguments": {"url": calls},
    }
    ask = {
        "Name": "Ask",
        "Type": "Callback",
        "SqsQueueUrl": asks,
        "OutputParameters": [{"OutputName": "label", "OutputType": "String"}],
        "Arguments": {"rows": {"Get": "Steps.Call.OutputParameters['rows']"}},
    }
    document = {"Version": "2020-12-01", "Steps": [call, ask]}
    sagemaker = server.client("sagemaker")
    sagemaker.create_pipeline(
        PipelineName="hand-over", PipelineDefinition=json.dumps(document), RoleArn=ROLE
    )
    arn = sagemaker.start_pipeline_execution(PipelineName="hand-over")["PipelineExecutionArn"]
    assert received(server, calls) == "called"
    server.kill()
    server.start()
    server.client("s3").put_object(Bucket="hand-over", Key="go", Body=b"")
    message = json.loads(received(server, asks))
    assert message["arguments"] == {"rows": 80}
    server.kill()
    server.start()
    given = [{"Name": "label", "Value": "good"}]
    server.client("sagemaker").send_pipeline_execution_step_success(
        CallbackToken=message["token"], OutputParameters=given
    )
    server.kill()
    server.start()
    describe = server.client("sagemaker").describe_pipeline_execution
    wait(lambda: describe(PipelineExecutionArn=arn)["PipelineExecutionStatus"] != "Executing")
    assert describe(PipelineExecutionArn=arn)["PipelineExecutionStatus"] == "Succeeded"
    sqs = server.client("sqs")
    for url in urls:
        assert "Messages" not in sqs.receive_message(QueueUrl=url)
    actions = Counter(line.action for line in server.lines())
    assert actions["function.invoked"] == actions["function.succeeded"] == 1
    assert actions["pipeline-callback.succeeded"] == 1
    wait(lambda: not list((server.path / "processes").glob("[a-z0-9]*-function")))


def test_every_occurrence_starts_one_execution(server):
    step = {"Name": "Say", "Type": "Fail", "Arguments": {"ErrorMessage": "now"}}
    document = json.dumps({"Version": "2020-12-01", "Steps": [step]})
    sagemaker = server.client("sagemaker")
    made = sagemaker.create_pipeline(
        PipelineName="often", PipelineDefinition=document, RoleArn=ROLE
    )
    scheduler = server.client("scheduler")
    count, rng = 12, random.Random(7)
    first = datetime.now(UTC) + timedelta(seconds=2)
    for number in range(count):
        at = first + timedelta(seconds=number % 3)
        scheduler.create_schedule(
            Name=f"s{number}",
            ScheduleExpression=f"at({at:%Y-%m-%dT%H:%M:%S})",
            FlexibleTimeWindow={"Mode": "OFF"},
            Target={"Arn": made["PipelineArn"], "RoleArn": ROLE},
        )
    for _ in range(4):
        time.sleep(rng.uniform(0.2, 1.2))  # a random moment of a run that the clock drives
        server.kill()
        server.start()

    def told(word):
        return [line.ref.name for line in server.lines() if line.action == f"schedule.{word}"]

    wait(lambda: len(told("delivered")) >= count)
    assert Counter(told("fired")) == Counter(f"default/s{number}" for number in range(count))
    assert Counter(told("delivered")) == Counter(told("fired"))
    executions = server.client("sagemaker").list_pipeline_executions(PipelineName="often")
    assert len(executions["PipelineExecutionSummaries"]) == count
