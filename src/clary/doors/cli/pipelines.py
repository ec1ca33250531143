"""clary pipelines."""

from typing import Annotated, Any

import typer

from clary.doors.cli.homes import find_one, open_home
from clary.doors.cli.options import Home, Json, Limit, new_app
from clary.doors.cli.output import note, show_document, show_json, show_rows
from clary.governance.presence import find
from clary.kernel.codec import from_json
from clary.kernel.errors import InvalidInput
from clary.kernel.names import arn
from clary.kernel.resource import Query
from clary.platform import Platform

app = new_app(several=True)
Name = Annotated[str, typer.Argument(help="The pipeline's name or ARN.")]


@app.command("list")
def list_(home: Home = None, limit: Limit = 100, as_json: Json = False) -> None:
    """List pipelines, the newest first."""
    platform = open_home(home)
    account = platform.governance.owner.account
    rows = []
    for item in platform.pipelines.list(Query("pipeline", account, limit=limit)).items:
        last = platform.pipelines.last_execution(item.ref)
        rows.append(
            {
                "name": item.ref.name,
                "region": item.ref.region,
                "version": item.body["version"],
                "last execution": last.ref.name.partition("/")[2] if last else "",
                "status": last.status if last else "",
                "modified": item.modified_at,
            }
        )
    show_rows(rows, as_json=as_json, empty="no pipelines yet; `clary demo` makes one")


@app.command()
def show(name: Name, home: Home = None, as_json: Json = False) -> None:
    """Show a pipeline with its definition."""
    platform = open_home(home)
    pipeline = _find(platform, name)
    document: dict[str, Any] = platform.pipelines.describe(pipeline.ref)
    definition = from_json(document["PipelineDefinition"])
    show_document({**document, "PipelineDefinition": definition}, as_json=as_json)


@app.command()
def start(  # noqa: PLR0917 - each is a named option on the command line
    name: Name,
    parameter: Annotated[
        list[str], typer.Option("--parameter", "-p", help="NAME=VALUE; may be repeated.")
    ] = [],  # noqa: B006 - typer copies it
    only: Annotated[
        list[str], typer.Option("--only", help="Run this step alone; may be repeated.")
    ] = [],  # noqa: B006 - typer copies it
    source: Annotated[
        str,
        typer.Option("--from", help="With --only: the execution whose results they read; newest."),
    ] = "",
    version: Annotated[int | None, typer.Option(min=1, help="A version; the newest.")] = None,
    parallel: Annotated[int | None, typer.Option(min=1, help="How many steps at once.")] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Start an execution, which the home's server runs."""
    platform = open_home(home)
    pipeline = _find(platform, name)
    request: dict[str, Any] = {"PipelineParameters": [_parameter(text) for text in parameter]}
    if version:
        request["PipelineVersionId"] = version
    if parallel:
        request["ParallelismConfiguration"] = {"MaxParallelExecutionSteps": parallel}
    if only:
        request["SelectiveExecutionConfig"] = _selection(platform, only, source)
    elif source:
        raise InvalidInput("--from", "selects nothing by itself", legal="with --only STEP")
    actor = platform.governance.owner.principal_arn
    execution = platform.pipelines.start(pipeline.ref, request, actor=actor)
    if as_json:
        show_json({"execution": execution.ref.name})
    else:
        typer.echo(execution.ref.name)
    if find(platform.config.home) is None:
        note("no server runs on this home: the execution goes on when `clary up` does")


def _find(platform: Platform, name: str) -> Any:
    account = platform.governance.owner.account
    return find_one(platform.pipelines.list, ["pipeline"], account, name)


def _selection(platform: Platform, steps: list[str], source: str) -> dict[str, Any]:
    selection: dict[str, Any] = {"SelectedSteps": [{"StepName": step} for step in steps]}
    if source:
        account = platform.governance.owner.account
        found = find_one(platform.pipelines.list, ["pipeline-execution"], account, source)
        selection["SourcePipelineExecutionArn"] = arn(found.ref)
    return selection


def _parameter(text: str) -> dict[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise InvalidInput("--parameter", f"{text!r} sets nothing", legal="NAME=VALUE")
    return {"Name": name, "Value": value}
