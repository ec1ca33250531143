"""Functions run as jobs by the SDK's remote functions: values and errors travel both ways."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import pandas as pd
from sagemaker.remote_function import RemoteExecutor, remote

SETTINGS = {"instance_type": "ml.m5.large"}
os.chdir(tempfile.mkdtemp())
Path("beside.py").write_text("def double(value):\n    return 2 * value\n")
Path("wants.txt").write_text("sagemaker>=2.256.0,<3.0.0\ncloudpickle\n")


def total(frame, *, scale=1):
    print("rows:", len(frame))
    return frame.assign(total=frame.a * scale + frame.b)


def fails(divisor):
    return 1 / divisor


def uses_the_work_directory(value):
    import beside  # noqa: PLC0415 - where the function runs

    return beside.double(value)


def prepared():
    return Path("prepared.txt").read_text().strip(), os.environ["GIVEN"]


def square(value):
    return value * value


if "decorated" in sys.argv:  # the SDK looks only every 45 s how such a job is
    assert remote(square, **SETTINGS)(7) == 49
    print("DECORATED")
    sys.exit()

# results are asked for when the jobs have ended, because the SDK waits in steps of 45 s
with RemoteExecutor(max_parallel_jobs=2, dependencies="wants.txt", **SETTINGS) as executor:
    frame = executor.submit(total, pd.DataFrame({"a": [1, 2], "b": [3, 4]}), scale=10)
    failing = executor.submit(fails, 0)
    squares = [executor.submit(square, number) for number in (2, 3)]
more = {
    "include_local_workdir": True,
    "pre_execution_commands": ["echo prepared > prepared.txt"],
    "environment_variables": {"GIVEN": "too"},
}
with RemoteExecutor(max_parallel_jobs=2, **more, **SETTINGS) as executor:
    doubled = executor.submit(uses_the_work_directory, 21)
    ready = executor.submit(prepared)
assert list(frame.result().total) == [13, 24]
try:
    failing.result()
except ZeroDivisionError as error:
    print("RAISED", error)
assert [one.result() for one in squares] == [4, 9]
assert doubled.result() == 42
assert ready.result() == ("prepared", "too")
print("REMOTE")
