"""What ``clary demo`` shows: the steps as they go, and what came of them."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.live import Live
from rich.spinner import Spinner

from clary.doors.cli.output import cell, console, empty_table, show
from clary.doors.cli.step_rows import step_row
from clary.kernel.clock import now

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from rich.console import Console
    from rich.table import Table

    Show = Callable[[Sequence[Mapping[str, Any]]], None]

_FIRST_SCORES = 5


@contextmanager
def watching(definition: Mapping[str, Any]) -> Iterator[Show]:
    """Give a function that shows the started steps, newest first.

    On a terminal the table is drawn anew each time; elsewhere a step gets a line whenever its
    status changes, and the table is printed at the end.
    """
    types = dict(_types(definition["Steps"]))
    out = console()
    latest: list[Mapping[str, Any]] = []
    said: dict[str, str] = {}
    if out.is_terminal:
        with Live(console=out, refresh_per_second=8) as live:
            yield lambda steps: live.update(_table(types, steps))
        return

    def tell(steps: Sequence[Mapping[str, Any]]) -> None:
        latest[:] = steps
        for step in reversed(steps):
            name, status = step["StepName"], step["StepStatus"]
            if said.get(name) != status:
                said[name] = status
                out.print(f"{now():%H:%M:%S} {name} {status}")

    yield tell
    out.print()
    show(_table(types, latest))


def _types(steps: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """Yield name and type of all steps, those of the branches too."""
    for step in steps:
        yield step["Name"], step["Type"]
        if step["Type"] == "Condition":
            for branch in ("IfSteps", "ElseSteps"):
                yield from _types(step["Arguments"][branch])


def _table(types: Mapping[str, str], steps: Sequence[Mapping[str, Any]]) -> Table:
    table = empty_table()
    for name in ("step", "type", "status", "seconds", "made"):
        table.add_column(
            name,
            justify="right" if name == "seconds" else "left",
            no_wrap=name != "made",
            overflow="ellipsis",
        )
    started = {step["StepName"]: step_row(step) for step in steps}
    for name, kind in types.items():
        row = started.get(name)
        if row is None:
            table.add_row(name, kind, cell("-"), "", "", style="dim")
            continue
        status = row["status"]
        drawn = Spinner("dots", status, style="cyan") if status == "Executing" else cell(status)
        table.add_row(name, kind, drawn, cell(row["seconds"]), cell(row["made"]))
    return table


def report(sagemaker: Any, s3: Any, arn: str) -> Mapping[str, str]:
    """Print the metric, the registered version and the first scores of an execution.

    Returns the names of what its steps made.
    """
    page = sagemaker.list_pipeline_execution_steps(PipelineExecutionArn=arn)
    arns = {
        step["StepName"]: item["Arn"]
        for step in page["PipelineExecutionSteps"]
        for item in step["Metadata"].values()
        if "Arn" in item
    }
    made = {step: each.rpartition(":")[2].partition("/")[2] for step, each in arns.items()}
    page = sagemaker.list_pipeline_parameters_for_execution(PipelineExecutionArn=arn)
    values = {item["Name"]: item["Value"] for item in page["PipelineParameters"]}
    out = console()
    out.print()
    _report_metric(sagemaker, s3, made["AbaloneEval"], values["MseThreshold"], out)
    version = sagemaker.describe_model_package(ModelPackageName=arns["AbaloneRegisterModel"])
    out.print(
        f"model version       {made['AbaloneRegisterModel']}, {version['ModelApprovalStatus']}"
    )
    _report_scores(sagemaker, s3, made["AbaloneTransform"], out)
    return made


def _report_metric(sagemaker: Any, s3: Any, job: str, threshold: str, out: Console) -> None:
    found = sagemaker.describe_processing_job(ProcessingJobName=job)
    [output] = found["ProcessingOutputConfig"]["Outputs"]
    text = _read(s3, output["S3Output"]["S3Uri"] + "/evaluation.json")
    metrics = json.loads(text)["regression_metrics"]["mse"]
    out.print(f"mean squared error  {metrics['value']:.3f}, at most {threshold} to register")


def _report_scores(sagemaker: Any, s3: Any, job: str, out: Console) -> None:
    found = sagemaker.describe_transform_job(TransformJobName=job)
    uri = found["TransformOutput"]["S3OutputPath"] + "/batch.csv.out"
    scores = _read(s3, uri).split()
    first = ", ".join(f"{float(score):.1f}" for score in scores[:_FIRST_SCORES])
    out.print(f"batch scores        {len(scores)} in {uri}", soft_wrap=True)
    out.print(f"                    {first}, … rings\n")


def _read(s3: Any, uri: str) -> str:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    body: bytes = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    return body.decode()
