"""What an endpoint is asked is seen by CloudWatch's clients, Prometheus and a trace collector."""

from __future__ import annotations

import base64
import io
import re
import tarfile
import urllib.request
from datetime import timedelta

import numpy as np
import pytest
import xgboost
from botocore.exceptions import ClientError
from tests.endpoints.collector import collecting

from clary.kernel.clock import now

QUICK = {"Delay": 0.05, "MaxAttempts": 1200}
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"
WHERE = [
    {"Name": "EndpointName", "Value": "observed"},
    {"Name": "VariantName", "Value": "main"},
]
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def model() -> bytes:
    rows = np.random.default_rng(1).random((100, 2))
    data = xgboost.DMatrix(rows, label=rows.sum(axis=1))
    content = bytes(xgboost.train({"nthread": 1}, data, num_boost_round=3).save_raw("json"))
    body = io.BytesIO()
    with tarfile.open(fileobj=body, mode="w:gz") as archive:
        member = tarfile.TarInfo("xgboost-model")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return body.getvalue()


def deploy(server):
    s3, sagemaker = server.client("s3"), server.client("sagemaker")
    s3.create_bucket(Bucket="observed")
    s3.put_object(Bucket="observed", Key="model.tar.gz", Body=model())
    container = {"Image": IMAGE, "ModelDataUrl": "s3://observed/model.tar.gz"}
    sagemaker.create_model(ModelName="observed", PrimaryContainer=container)
    sized = {"InitialInstanceCount": 1, "InstanceType": "ml.m5.large"}
    variant = {"VariantName": "main", "ModelName": "observed", **sized}
    sagemaker.create_endpoint_config(EndpointConfigName="observed", ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName="observed", EndpointConfigName="observed")
    waiter = sagemaker.get_waiter("endpoint_in_service")
    waiter.wait(EndpointName="observed", WaiterConfig=QUICK)


def ask(server):
    """Send requests that are traced: ten small ones, a large one, and one that is refused."""
    runtime = server.client("sagemaker-runtime")

    def trace(request, **_):
        request.headers["traceparent"] = f"00-{TRACE}-{PARENT}-01"

    runtime.meta.events.register("before-sign", trace)
    for body in [*["0.1,0.2"] * 10, "\n".join(["0.1,0.2"] * 4_000)]:
        runtime.invoke_endpoint(EndpointName="observed", ContentType="text/csv", Body=body)
    with pytest.raises(ClientError):
        runtime.invoke_endpoint(EndpointName="observed", ContentType="text/csv", Body="one,two")


def measured(server, name, stat, namespace="AWS/SageMaker"):
    (result,) = server.client("cloudwatch").get_metric_data(
        MetricDataQueries=[
            {
                "Id": "m1",
                "MetricStat": {
                    "Metric": {"Namespace": namespace, "MetricName": name, "Dimensions": WHERE},
                    "Period": 3600,
                    "Stat": stat,
                },
            }
        ],
        StartTime=now() - timedelta(hours=1),
        EndTime=now() + timedelta(hours=1),
    )["MetricDataResults"]
    return sum(result["Values"])


def scraped(server):
    pair = f"{server.keys['access_key_id']}:{server.keys['secret_access_key']}"
    headers = {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
    request = urllib.request.Request(f"{server.endpoint}/metrics", headers=headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        page = answer.read().decode()
    found = re.findall(r'^(\w+)\{([^}]*endpoint="observed"[^}]*)\} (\S+)$', page, re.MULTILINE)
    return {
        (name, *re.findall(r'(?:class|le)="([^"]+)"', labels)): float(value)
        for name, labels, value in found
    }


def test_an_endpoint_is_observed(launch, tmp_path):
    with collecting() as (url, spans):
        with launch(tmp_path / "home", "--traces", url) as server:
            deploy(server)
            ask(server)
            assert measured(server, "Invocations", "Sum") == 12
            assert measured(server, "Invocation4XXErrors", "Sum") == 1
            assert measured(server, "Invocation4XXErrors", "SampleCount") == 12
            assert measured(server, "Invocation5XXErrors", "Sum") == 0
            assert measured(server, "ModelLatency", "SampleCount") == 12
            assert 0 < measured(server, "ModelLatency", "p50") < 10_000_000
            assert measured(server, "OverheadLatency", "Maximum") > 0
            found = scraped(server)
            assert found["clary_invocations_total",] == 12
            assert found["clary_invocation_errors_total", "4xx"] == 1
            assert found["clary_invocation_errors_total", "5xx"] == 0
            assert found["clary_model_latency_seconds_count",] == 12
            assert found["clary_model_latency_seconds_bucket", "+Inf"] == 12
            assert found["clary_overhead_latency_seconds_sum",] > 0
        names = [span["name"] for span in spans]
        assert names.count("invoke observed") == names.count("model main") == 12
        assert {span["traceId"] for span in spans} == {TRACE}
        with launch(tmp_path / "home") as server:
            assert measured(server, "Invocations", "Sum") == 12
