"""A saved flow runs as a processing step of the unmodified SDK, and feeds the built-in XGBoost."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd

import clary
from clary.flows.fitted import read

RIDES = "km,city,minutes\n" + "".join(
    f"{n % 12}.5,{('Rome', 'Oslo')[n % 2]},{n % 12 * 3 + n % 2}\n" for n in range(240)
)


def test_a_flow_prepares_what_xgboost_learns_from(sdk, home, tmp_path, monkeypatch):
    rides = tmp_path / "rides.csv"
    rides.write_text(RIDES)
    flow = clary.Flow.read_csv(rides).one_hot("city").standard_scale("km")
    flow = flow.move("minutes", to="start")
    flow = flow.write("/opt/ml/processing/train/train.csv", header=False)
    assert flow.operators[-2:] == ["columns.move", "destination"]
    saved = flow.save(tmp_path / "rides.flow.json")
    monkeypatch.setenv("FLOW_PYTHON", f"{sys.version_info[0]}.{sys.version_info[1]}")
    done = sdk(Path(__file__).parent / "sdk" / "flow.py", saved, rides)
    assert done.returncode == 0, done.stderr
    assert "Wrangle Succeeded" in done.stdout, done.stdout
    assert "Train Succeeded" in done.stdout, done.stdout

    client = home.client("sagemaker")
    [job] = re.findall(r"JOB .*processing-job/(\S+)", done.stdout)
    outputs = client.describe_processing_job(ProcessingJobName=job)["ProcessingOutputConfig"]
    made = {one["OutputName"]: one["S3Output"]["S3Uri"] for one in outputs["Outputs"]}
    bucket, _, key = made["train"].removeprefix("s3://").partition("/")
    rows = home.path / "buckets" / bucket / key / "train.csv"
    found = pd.read_csv(rows, header=None).to_numpy()
    whole = flow.node("move")
    np.testing.assert_allclose(found.astype(float), whole.to_pandas().to_numpy().astype(float))
    bucket, _, key = made["learned"].removeprefix("s3://").partition("/")
    learned = (home.path / "buckets" / bucket / key / "rides.fitted.json").read_bytes()
    assert read(learned).nodes.items() >= whole.fitted.nodes.items()


def test_a_pipeline_fills_a_feature_group_with_what_a_flow_gives(home, tmp_path):
    at = "2026-01-02T03:04:05Z"
    rides = tmp_path / "rides.csv"
    rides.write_text("id,at,km\n" + "".join(f"{n},{at},{n}.5\n" for n in range(5)))
    flow = clary.Flow.read_csv(rides).formula("km * 2", "far").drop("km").called("ready")

    @clary.step
    def ingest(rows: pd.DataFrame) -> int:
        import boto3  # noqa: PLC0415 - where the step runs

        store = boto3.client("sagemaker-featurestore-runtime")
        rows["at"] = rows["at"].dt.strftime("%Y-%m-%dT%H:%M:%SZ")
        for row in rows.astype(str).to_dict("records"):
            record = [{"FeatureName": name, "ValueAsString": x} for name, x in row.items()]
            store.put_record(FeatureGroupName="rides", Record=record)
        return len(rows)

    @clary.pipeline
    def fill(data: clary.File = rides) -> None:
        ingest(flow(data))

    with clary.connect(home.path):
        features = {"id": int, "far": float}
        group = clary.FeatureGroup("rides", identifier="id", event_time="at", features=features)
        assert group.get(3) is None
        assert fill.start().wait()["ingest"].result() == 5
        assert group.get(3)["far"] == 7.0
        fill.schedule("cron(0 6 ? * MON-FRI *)")
        fill.unschedule()
