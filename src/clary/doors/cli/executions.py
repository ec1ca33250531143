"""clary executions."""

from typing import Annotated

import typer

from clary.doors.cli.homes import find_one, open_home
from clary.doors.cli.options import Home, Json, Limit, new_app
from clary.doors.cli.output import note, printable, show_document, show_json, show_rows
from clary.doors.cli.step_rows import step_row
from clary.kernel.resource import Query, Resource
from clary.platform import Platform

app = new_app(several=True)
Name = Annotated[str, typer.Argument(help="The execution: its id, PIPELINE/ID or ARN.")]


@app.command("list")
def list_(
    pipeline: Annotated[str, typer.Option(help="Only those of this pipeline.")] = "",
    home: Home = None,
    limit: Limit = 100,
    as_json: Json = False,
) -> None:
    """List executions, the newest first."""
    platform = open_home(home)
    account = platform.governance.owner.account
    parent = None
    if pipeline:
        parent = find_one(platform.pipelines.list, ["pipeline"], account, pipeline).ref
    query = Query("pipeline-execution", account, parent=parent, limit=limit)
    rows = [
        {
            "execution": item.ref.name,
            "status": item.status,
            "started": item.created_at,
            "reason": item.body["reason"],
        }
        for item in platform.pipelines.list(query).items
    ]
    show_rows(rows, as_json=as_json, empty="no executions yet; `clary pipelines start` makes one")


@app.command()
def show(name: Name, home: Home = None, as_json: Json = False) -> None:
    """Show an execution, its parameters and its steps."""
    platform = open_home(home)
    ref = _find(platform, name).ref
    document = dict(platform.pipelines.describe_execution(ref))
    parameters = {item["Name"]: item["Value"] for item in platform.pipelines.parameters(ref)}
    document["Parameters"] = parameters
    steps = list(reversed(platform.pipelines.steps(ref)))
    if as_json:
        show_json({**document, "Steps": steps})
        return
    show_document(document, as_json=False)
    show_rows([step_row(step) for step in steps], as_json=False, empty="no step has started")


@app.command()
def stop(name: Name, home: Home = None) -> None:
    """Ask an execution to stop."""
    platform = open_home(home)
    execution = _find(platform, name)
    platform.pipelines.stop(execution.ref, actor=platform.governance.owner.principal_arn)
    note(f"{execution.ref} stops")


@app.command()
def retry(name: Name, home: Home = None) -> None:
    """Let an execution that failed or was stopped go on; what succeeded in it stays."""
    platform = open_home(home)
    execution = _find(platform, name)
    platform.pipelines.retry(execution.ref, {}, actor=platform.governance.owner.principal_arn)
    note(f"{execution.ref} goes on")


@app.command()
def why(
    name: Name,
    step: Annotated[str, typer.Argument(help="The step's name.")],
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Say why a step was run, or why an earlier result was reused."""
    platform = open_home(home)
    found = platform.pipelines.why(_find(platform, name).ref, step)
    if as_json:
        show_json(found)
        return
    typer.echo(found.reason)
    if found.against:
        typer.echo(f"Compared with execution {found.against.rpartition('/')[2]}:")
    for line in found.differences:
        typer.echo(f"  {printable(line)}")


def _find(platform: Platform, name: str) -> Resource:
    account = platform.governance.owner.account
    return find_one(platform.pipelines.list, ["pipeline-execution"], account, name)
