"""Notebooks as pipeline steps by the SDK's own NotebookJobStep. argv: the image to run them in."""

from __future__ import annotations

import io
import json
import os
import sys
import tarfile
import tempfile
import time
from pathlib import Path

import sagemaker
from sagemaker.s3 import S3Downloader
from sagemaker.workflow.notebook_job_step import NotebookJobStep
from sagemaker.workflow.parameters import ParameterString
from sagemaker.workflow.pipeline import Pipeline

os.chdir(tempfile.mkdtemp())


def cell(source, *tags):
    return {
        "cell_type": "code",
        "execution_count": None,
        "metadata": {"tags": list(tags)},
        "outputs": [],
        "source": source,
    }


def write(name, *cells):
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    document = {
        "cells": list(cells),
        "metadata": {"kernelspec": kernel},
        "nbformat": 4,
        "nbformat_minor": 4,
    }
    Path(name).write_text(json.dumps(document))


write(
    "works.ipynb",
    cell("times, who = 1, 'nobody'", "parameters"),
    cell("import os, beside\nprint(beside.greet(who) * times, os.environ['INITIALIZED'])"),
)
write("breaks.ipynb", cell("print('before')"), cell("raise ValueError('no rows left')"))
Path("beside.py").write_text("def greet(who):\n    return f'hello {who}!'\n")
Path("start.sh").write_text("export INITIALIZED=yes\n")

image = f"1.dkr.ecr.{os.environ['AWS_REGION']}.amazonaws.com/{sys.argv[1]}"
settings = {"image_uri": image, "kernel_name": "python3"}
who = ParameterString(name="Who", default_value="world")
works = NotebookJobStep(
    name="Works",
    input_notebook="works.ipynb",
    parameters={"times": "2", "who": who},
    initialization_script="start.sh",
    additional_dependencies=["beside.py"],
    **settings,
)
breaks = NotebookJobStep(name="Breaks", input_notebook="breaks.ipynb", **settings)
pipeline = Pipeline(name="notebooks", parameters=[who], steps=[works, breaks])
pipeline.upsert(role_arn=sagemaker.get_execution_role())
execution = pipeline.start()
while execution.describe()["PipelineExecutionStatus"] in {"Executing", "Stopping"}:
    time.sleep(0.5)
steps = {one["StepName"]: one for one in execution.list_steps()}
client = sagemaker.Session().sagemaker_client
for name, said in (("Works", "hello world!hello world! yes"), ("Breaks", "before")):
    arn = steps[name]["Metadata"]["TrainingJob"]["Arn"]
    job = client.describe_training_job(TrainingJobName=arn.rpartition("/")[2])
    print(name, job["TrainingJobStatus"], job.get("FailureReason", ""))
    folder = f"{job['OutputDataConfig']['S3OutputPath']}/{job['TrainingJobName']}/output"
    packed = S3Downloader.read_bytes(f"{folder}/output.tar.gz")
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        ran = json.load(archive.extractfile(job["Environment"]["SM_OUTPUT_NOTEBOOK_NAME"]))
    outputs = [out for one in ran["cells"] for out in one.get("outputs", ())]
    assert any(said in "".join(one.get("text", "")) for one in outputs), outputs
print("NOTEBOOKS", steps["Works"]["StepStatus"], steps["Breaks"]["StepStatus"])
