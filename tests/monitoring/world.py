"""A home with batches to look at, and schedules whose jobs are a line of Python."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta

from clary.config import Config
from clary.kernel.clock import now
from clary.kernel.codec import plain, to_json
from clary.kernel.names import Ref
from clary.kernel.resource import Bucket, Query
from clary.monitoring.model import EXECUTION, SCHEDULE, execution
from clary.platform import open_platform

ACCOUNT, REGION, BUCKET = "123456789012", "us-east-1", "watched"
REF = Ref(ACCOUNT, REGION, SCHEDULE, "monthly")
MONTHLY = "cron(0 0 1 * ? *)"
VIOLATED = """\
import os, pathlib
out = pathlib.Path(os.environ["output_path"])
(out / "constraint_violations.json").write_text('{"violations": [{"feature_name": "x"}]}')
"""


def inline(program="", **members):
    """Write a job definition of a schedule's own: batches, and a program."""
    watched = {
        "DataCapturedDestinationS3Uri": f"s3://{BUCKET}/captured",
        "DatasetFormat": {"Csv": {"Header": False}},
        "LocalPath": "/opt/ml/processing/input/batch",
    }
    reports = {"S3Uri": f"s3://{BUCKET}/reports", "LocalPath": "/opt/ml/processing/output"}
    cluster = {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1}
    return {
        "MonitoringInputs": [{"BatchTransformInput": watched | members}],
        "MonitoringOutputConfig": {"MonitoringOutputs": [{"S3Output": reports}]},
        "MonitoringResources": {"ClusterConfig": cluster},
        "MonitoringAppSpecification": {
            "ImageUri": "python:3.11",
            "ContainerEntrypoint": ["python3", "-c", program],
        },
        "RoleArn": f"arn:aws:iam::{ACCOUNT}:role/monitor",
    }


def request(expression=MONTHLY, program="", times=None, **members):
    """Write a CreateMonitoringSchedule request."""
    config = {
        "ScheduleConfig": {"ScheduleExpression": expression, **(times or {})},
        "MonitoringJobDefinition": inline(program, **members),
    }
    return {"MonitoringScheduleName": REF.name, "MonitoringScheduleConfig": config}


def check_step(program=""):
    """Write a QualityCheck step whose program is a line of Python."""
    source = {
        "S3Uri": f"s3://{BUCKET}/batch",
        "LocalPath": "/opt/ml/processing/input/data",
        "S3DataType": "S3Prefix",
        "S3InputMode": "File",
    }
    target = {
        "S3Uri": f"s3://{BUCKET}/checks",
        "LocalPath": "/opt/ml/processing/output",
        "S3UploadMode": "EndOfJob",
    }
    cluster = {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1}
    app = {"ImageUri": "python:3.11", "ContainerEntrypoint": ["python3", "-c", program]}
    arguments = {
        "ProcessingInputs": [{"InputName": "data", "S3Input": source}],
        "ProcessingOutputConfig": {"Outputs": [{"OutputName": "out", "S3Output": target}]},
        "ProcessingResources": {"ClusterConfig": cluster},
        "AppSpecification": app,
        "Environment": {"output_path": "/opt/ml/processing/output"},
    }
    return {
        "Name": "Data",
        "Type": "QualityCheck",
        "CheckType": "DATA_QUALITY",
        "ModelPackageGroupName": None,
        "SuppliedBaselineStatistics": None,
        "SuppliedBaselineConstraints": f"s3://{BUCKET}/before/constraints.json",
        "Arguments": arguments,
    }


class World:
    """A home, opened; its worker is started by whoever needs it."""

    def __init__(self, home, **settings):
        self.platform = open_platform(Config(home=home, **settings))
        self.store, self.objects = self.platform.store, self.platform.objects
        self.schedules = self.platform.monitoring.schedules
        self.executions = self.platform.monitoring.executions

    def bucket(self):
        self.objects.create_bucket(Bucket(BUCKET, ACCOUNT, REGION, now()))
        self.put("batch/rows.csv", b"1,2\n3,4\n")

    def put(self, key, data):
        self.objects.put(BUCKET, key, [data])

    def captured(self, at):
        """Leave the manifest of a batch that began at a moment."""
        manifest = to_json([{"prefix": f"s3://{BUCKET}/batch/"}, "rows.csv"])
        self.put(f"captured/input/{at:%Y/%m/%d/%H}/{at:%M-%S}-job-algo-1.jsonl", manifest + b"\n")

    def age(self, **members):
        """Change what is remembered of the schedule."""
        found = self.store.get(REF)
        with self.store.begin() as change:
            change.update(replace(found, body={**found.body, **plain(members)}))

    def turn(self):
        """Let the schedule take its turn; returns when it wants the next."""
        return self.schedules.run(self.store.get(REF), threading.Event())

    def made(self):
        """List the executions, the oldest first."""
        query = Query(EXECUTION, sort_by="name", descending=False)
        return list(self.store.select(query).items)

    def end(self, status="Completed"):
        """End the newest execution as if its job had."""
        found = self.made()[-1]
        with self.store.begin() as change:
            change.update(replace(found, status=status))

    def windows(self):
        return [(execution(one).start, execution(one).end) for one in self.made()]

    def actions(self):
        """Return what the journal says of monitoring."""
        return [one.action for one in self.store.events(limit=5000) if "monitoring" in one.action]

    def ends_of_steps(self):
        """Return how often the journal says that a step of a pipeline has ended, by its words."""
        actions = [one.action for one in self.store.events(limit=5000)]
        return [
            one for one in actions if one in {"pipeline-step.failed", "pipeline-step.succeeded"}
        ]

    def close(self):
        self.platform.worker.stop()
        self.platform.serving.close()
        self.platform.captures.close()
        self.platform.recorder.close()
        self.platform.feature_store.close()


MONTH = timedelta(days=31)
