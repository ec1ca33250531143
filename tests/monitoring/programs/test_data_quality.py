"""The analyzer's program on real folders, as a job finds them."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from clary.analysis import baselines, statistics
from clary.kernel.errors import InvalidInput
from clary.monitoring.programs import data_quality, settings

CAPTURES = '{"sagemakerCaptureJson":{"captureIndexNames":["endpointInput","endpointOutput"]}}'


class Job:
    """A job's ``/opt/ml``."""

    def __init__(self, ml):
        self.ml = ml
        self.data = ml / "processing" / "input" / "data"
        self.output = ml / "processing" / "output"
        self.data.mkdir(parents=True)

    def run(self, **environment):
        given = settings.read(
            {
                "dataset_source": "/opt/ml/processing/input/data",
                "output_path": "/opt/ml/processing/output",
                "dataset_format": '{"csv":{"header":true}}',
                **environment,
            },
            settings.Settings,
        )
        return data_quality.run(given, self.ml)

    def baseline(self, text):
        """Take a baseline, and have it lie where a check looks for it; start anew after it."""
        file = self.data / "baseline.csv"
        file.write_text(text)
        assert self.run() == ()
        file.unlink()
        self.output.rename(self.ml / "processing" / "baseline")

    def check(self, **environment):
        return self.run(
            baseline_constraints="/opt/ml/processing/baseline/constraints.json",
            baseline_statistics="/opt/ml/processing/baseline/statistics.json",
            **environment,
        )

    def report(self):
        return json.loads((self.output / "constraint_violations.json").read_text())

    def capture(self, *lines, hour="00"):
        file = self.data / "endpoint" / "AllTraffic" / "2026" / "01" / "31" / hour / "x.jsonl"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(f"{line}\n" for line in lines))

    def script(self, text):
        file = self.ml / "processing" / "code" / "script.py"
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
        return "/opt/ml/processing/code/script.py"


@pytest.fixture
def job(tmp_path):
    return Job(tmp_path / "ml")


def captured(answer, asked, *, minute=0):
    side = {"observedContentType": "text/csv", "encoding": "CSV"}
    return json.dumps(
        {
            "captureData": {
                "endpointInput": {**side, "mode": "INPUT", "data": asked},
                "endpointOutput": {**side, "mode": "OUTPUT", "data": answer},
            },
            "eventMetadata": {
                "eventId": f"{answer}-{asked}",
                "customAttributes": ["mark"],
                "inferenceTime": f"2026-01-31T00:{minute:02}:00Z",
            },
            "eventVersion": "0",
        }
    )


ROWS = "answer,age,plan\n" + "".join(f"{n % 2},{n % 60},{'abc'[n % 3]}\n" for n in range(300))


def test_a_baseline_keeps_what_checks_need(job):
    job.baseline(ROWS)
    document = statistics.read((job.ml / "processing/baseline/statistics.json").read_bytes())
    assert document.dataset.item_count == 300
    assert sorted(baselines.samples_of(document)) == ["age", "answer", "plan"]


def test_rows_that_differ_are_reported_in_the_format_and_beyond_it(job):
    job.baseline(ROWS)
    (job.data / "live.csv").write_text(
        "answer,age\n" + "".join(f"{int(n % 10 > 0)},{n % 60}\n" for n in range(200))
    )
    found = job.check(publish_cloudwatch_metrics="Enabled", metric_time="2026-01-31T09:00:00Z")
    assert [one.constraint_check_type for one in found] == [
        "missing_column_check",
        "baseline_drift_check",
    ]
    report = job.report()
    assert len(report["violations"]) == 2
    drifts = {one["feature_name"]: one for one in report["clary"]["drift"]}
    assert drifts["answer"]["is_significant"]
    assert not drifts["age"]["is_significant"]
    lines = (job.ml / "output/metrics/cloudwatch/cloudwatch_metrics.jsonl").read_text().splitlines()
    metrics = {one["MetricName"]: one for one in map(json.loads, lines)}
    assert metrics["feature_data_age"]["StatisticValues"] == {
        "SampleCount": 200,
        "Sum": sum(n % 60 for n in range(200)),
        "Minimum": 0.0,
        "Maximum": 59.0,
    }
    assert metrics["feature_baseline_drift_answer"]["Value"] == pytest.approx(
        0.4 - 0.1643, abs=1e-3
    )
    assert metrics["feature_non_null_age"]["Timestamp"] == "2026-01-31T09:00:00Z"


def test_columns_may_be_left_out(job):
    job.baseline(ROWS)
    (job.data / "live.csv").write_text("answer,age\n" + "9,900\n" * 50)
    assert job.check(exclude_features_attribute="age, 0,plan") == ()
    (found,) = job.check(exclude_features_attribute="_c1,plan")
    assert found.feature_name == "answer"


def test_without_statistics_no_distributions_are_compared(job):
    job.baseline(ROWS)
    (job.data / "live.csv").write_text("answer,age,plan\n" + "1,59,a\n" * 50)
    assert {one.constraint_check_type for one in job.check()} == {"baseline_drift_check"}
    path = "/opt/ml/processing/baseline/constraints.json"
    assert job.run(baseline_constraints=path) == ()
    assert job.report()["clary"]["drift"] == []


def test_a_delta_table_is_what_its_log_says(job):
    folder = job.data / "table"
    write_deltalake(folder, pa.table({"n": [1, 2, 3]}))
    write_deltalake(folder, pa.table({"n": [4, 5]}), mode="overwrite")
    for said in ("parquet", "delta"):
        job.run(
            dataset_source="/opt/ml/processing/input/data/table",
            dataset_format=json.dumps({said: {}}),
        )
        kept = statistics.read((job.output / "statistics.json").read_bytes())
        assert kept.dataset.item_count == 2


def test_captured_requests_of_the_window_answer_first(job):
    job.baseline(ROWS)
    job.capture(
        *(captured(str(n % 2), f"{n % 60},{'abc'[n % 3]}", minute=n % 60) for n in range(300)),
        captured("1", "7,zzz", minute=59),
        '{"captureData": {"endpointInput": ',
    )
    inside = {"start_time": "2026-01-31T00:00:00Z", "end_time": "2026-01-31T00:59:00Z"}
    assert job.check(dataset_format=CAPTURES, **inside) == ()
    assert job.report()["clary"]["rows"] == 295
    assert job.report()["clary"]["rows_not_read"] == 1
    (found,) = job.check(dataset_format=CAPTURES)
    assert (found.feature_name, found.constraint_check_type) == ("plan", "categorical_values_check")


def test_a_window_without_data_is_reported_and_not_failed(job):
    job.baseline(ROWS)
    assert job.check(dataset_format=CAPTURES) == ()
    assert job.report() == {"violations": [], "clary": {"rows": 0, "rows_not_read": 0}}


def test_captures_of_which_nothing_can_be_read_are_no_empty_window(job):
    job.baseline(ROWS)
    job.capture('{"captureData": ', "[]")
    with pytest.raises(InvalidInput, match=r"none of 2 .*x\.jsonl, line 1"):
        job.check(dataset_format=CAPTURES)


def test_a_preprocessor_makes_rows_of_captured_requests(job):
    job.baseline("plan,age\n" + "a,1\nb,2\n" * 50)
    script = job.script(
        "def preprocess_handler(inference_record, logger):\n"
        "    age, plan = inference_record.endpoint_input.data.split(',')\n"
        "    if inference_record.event_metadata.custom_attribute[0] != 'mark' or age == '9':\n"
        "        return []\n"
        "    return [{'plan': plan, 'age': age}, {'plan': plan, 'age': age}]\n"
    )
    job.capture(
        *(captured("0", f"{1 + n % 2},{'ab'[n % 2]}") for n in range(40)), captured("0", "9,z")
    )
    assert job.check(dataset_format=CAPTURES, record_preprocessor_script=script) == ()
    assert job.report()["clary"]["rows"] == 80


def test_cells_that_a_preprocessor_numbers_are_in_the_baseline_s_order(job):
    job.baseline("answer,age\n" + "0,1\n1,2\n" * 50)
    script = job.script(
        "def preprocess_handler(inference_record):\n"
        "    sides = inference_record.endpoint_output, inference_record.endpoint_input\n"
        "    return {str(i).zfill(20): side.data for i, side in enumerate(sides)}\n"
    )
    job.capture(*(captured(str(n % 2), str(1 + n % 2)) for n in range(40)))
    assert job.check(dataset_format=CAPTURES, record_preprocessor_script=script) == ()


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("def preprocess_handler(r):\n    return 1 / 0\n", "x.jsonl, line 1: ZeroDivisionError"),
        ("def preprocess_handler(r):\n    return 'a'\n", "returned str for x.jsonl, line 1"),
        ("def other(r):\n    return {}\n", "defines no function of this name"),
        ("import nothing_of_the_kind\n", "ModuleNotFoundError"),
        ("import sys\nsys.exit(3)\n", "SystemExit: 3"),
    ],
)
def test_what_is_wrong_with_a_preprocessor_is_told(job, script, said):
    job.baseline(ROWS)
    job.capture(captured("1", "2,a"))
    with pytest.raises(InvalidInput) as raised:
        job.check(dataset_format=CAPTURES, record_preprocessor_script=job.script(script))
    assert said in str(raised.value)


def test_a_postprocessor_runs_at_the_end(job):
    script = job.script(
        "from pathlib import Path\n"
        "def postprocess_handler():\n"
        "    Path(__file__).with_name('done').touch()\n"
    )
    (job.data / "rows.csv").write_text(ROWS)
    job.run(post_analytics_processor_script=script)
    assert (job.ml / "processing/code/done").exists()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"dataset_format": '{"avro":{}}'}, "sagemakerCaptureJson"),
        ({"dataset_format": "{"}, "dataset_format: not valid JSON"),
        ({"dataset_source": "/etc"}, "below /opt/ml/"),
        ({"output_path": "/opt/ml/../../etc"}, "below /opt/ml/"),
        ({"categorical_drift_method": "KS"}, "LInfinity"),
        ({"baseline_constraints": "/opt/ml/processing/none.json"}, "is no file"),
    ],
)
def test_settings_that_are_not_legal_are_refused_by_name(job, changed, said):
    (job.data / "rows.csv").write_text(ROWS)
    with pytest.raises(InvalidInput) as raised:
        job.run(**changed)
    assert said in str(raised.value)


def ended(ml, **environment):
    """Run the program as a job does, and return how it ended and its last words."""
    done = subprocess.run(
        [sys.executable, "-m", "clary.monitoring.programs.analyzer"],
        env={**os.environ, "SAGEMAKER_BASE_DIR": str(ml), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, (ml / "output" / "message").read_text()


def test_the_last_words_of_the_program(job):
    job.baseline(ROWS)
    (job.data / "live.csv").write_text("answer,age,plan\n" + "2,1,z\n" * 50)
    environment = {
        "dataset_source": "/opt/ml/processing/input/data",
        "output_path": "/opt/ml/processing/output",
        "dataset_format": '{"csv":{"header":true}}',
    }
    baseline = {"baseline_constraints": "/opt/ml/processing/baseline/constraints.json"}
    code, said = ended(job.ml, **environment, **baseline)
    assert (code, said) == (
        0,
        "CompletedWithViolations: Job completed successfully with 1 violations.",
    )
    assert ended(job.ml, **environment)[1].startswith("Completed: ")
    code, said = ended(job.ml, **{**environment, "analysis_type": "MODEL_TASTE"})
    assert (code, said) == (
        1,
        "Error: analysis_type: 'MODEL_TASTE'; legal: DATA_QUALITY, MODEL_QUALITY",
    )
    (job.data / "live.csv").unlink()
    code, said = ended(job.ml, **environment)
    assert code == 1
    assert said.startswith("Error: ")
