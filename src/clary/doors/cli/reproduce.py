"""clary reproduce."""

import time
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from clary.doors.cli.homes import open_home
from clary.doors.cli.models import find_version
from clary.doors.cli.options import Home, Json, new_app
from clary.doors.cli.output import note, show_json, show_rows
from clary.doors.cli.servers import server_of
from clary.kernel.names import Ref
from clary.models.reproduction import Compared, Report
from clary.platform import Platform

app = new_app()
_GOING_ON = ("Executing", "Stopping")
_LOOK_EVERY_S = 0.2
_SHOWN = 12


@app.command()
def reproduce(
    version: Annotated[str, typer.Argument(help="GROUP/VERSION, GROUP for the newest, or ARN.")],
    strict: Annotated[
        bool, typer.Option("--strict", help="Also end with 1 when an environment differs.")
    ] = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Run again what a model version was made by, and compare every digest.

    The recorded jobs run once more on their recorded inputs and code, and write below a fresh
    prefix. Ends with 1 when anything differs.
    """
    platform = open_home(home)
    package = find_version(platform, version).ref
    actor = platform.governance.owner.principal_arn
    with server_of(platform.config.home):
        execution = platform.reproductions.start(package, actor=actor)
        note(f"running the record of {package} again: {execution}")
        _wait(platform, execution)
    report = platform.reproductions.report(execution)
    differs = bool(report.environments) and strict
    if as_json:
        show_json(_document(report))
    else:
        _show(report)
    if differs or not report.is_same:
        raise typer.Exit(1)


def _wait(platform: Platform, execution: Ref) -> None:
    """Wait for the end of an execution, and name each step as it ends."""
    said: set[str] = set()
    while True:
        described = platform.pipelines.describe_execution(execution)
        for step in reversed(platform.pipelines.steps(execution)):
            if step["StepStatus"] != "Executing" and step["StepName"] not in said:
                said.add(step["StepName"])
                note(f"  {step['StepName']} {step['StepStatus']}")
        if described["PipelineExecutionStatus"] not in _GOING_ON:
            return
        time.sleep(_LOOK_EVERY_S)


def _show(report: Report) -> None:
    rows = [_row(one, "read") for one in report.inputs]
    rows += [_row(one, "made") for one in _outlines(report.outputs)]
    show_rows(rows, as_json=False, empty="the record names no artifacts")
    for step, changes in report.environments.items():
        for name, (before, after) in changes.items():
            note(f"environment of {step}: {name} was {before or 'absent'}, is {after or 'absent'}")
    if report.status != "Succeeded":
        note(f"the second run {report.status.lower()}: {report.reason}")
    elif report.is_same:
        note("every digest is the same")
    else:
        note(_verdict(report))


def _verdict(report: Report) -> str:
    if not report.arose:
        return "the digests differ, since what was read from outside differs"
    known = "in another environment" if report.arose in report.environments else ""
    why = known or "from the same content, by the same code, in the same environment"
    return f"the digests differ; the first difference arose in {report.arose}, {why}"


def _outlines(rows: Sequence[Compared]) -> list[Compared]:
    """Leave out the single files of trees that are the same."""
    roles = {(one.step, one.role) for one in rows}
    return [
        one
        for one in rows
        if not one.is_same or (one.step, one.role.partition("/")[0]) not in roles - {_key(one)}
    ]


def _key(one: Compared) -> tuple[str, str]:
    return one.step, one.role


def _row(one: Compared, verb: str) -> dict[str, Any]:
    return {
        "step": one.step,
        "": verb,
        "artifact": one.role,
        "recorded": one.recorded[:_SHOWN],
        "again": one.again[:_SHOWN] or "-",
        "result": "same" if one.is_same else "different" if one.again else "missing",
    }


def _document(report: Report) -> dict[str, Any]:
    return {
        "execution": report.execution.name,
        "status": report.status,
        "reason": report.reason,
        "same": report.is_same,
        "arose": report.arose,
        "inputs": [_whole(one) for one in report.inputs],
        "outputs": [_whole(one) for one in report.outputs],
        "environments": report.environments,
    }


def _whole(one: Compared) -> dict[str, Any]:
    return {
        "step": one.step,
        "role": one.role,
        "uri": one.uri,
        "recorded": one.recorded,
        "again": one.again,
        "same": one.is_same,
    }
