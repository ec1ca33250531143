"""clary runs."""

from typing import Annotated, Any

import typer

from clary.doors.cli.homes import find_one, open_home
from clary.doors.cli.options import Home, Json, Limit, new_app
from clary.doors.cli.output import show_document, show_rows
from clary.experiments.model import COMPONENT, EXPERIMENT, Run
from clary.kernel.errors import InvalidInput, NotFound
from clary.kernel.names import Ref
from clary.kernel.resource import Query, Resource
from clary.platform import Platform

app = new_app(several=True)


@app.command("list")
def list_(
    experiment: Annotated[str, typer.Argument(help="Only runs of this experiment.")] = "",
    home: Home = None,
    limit: Limit = 100,
    as_json: Json = False,
) -> None:
    """List runs and the components of jobs, the newest first."""
    platform = open_home(home)
    account = platform.governance.owner.account
    query = Query(COMPONENT, account, limit=limit)
    experiments = platform.experiments
    if experiment:
        page = experiments.components(_experiment(platform, experiment), query)
    else:
        page = experiments.list(query)
    rows = [_line(one) for one in page.items]
    show_rows(rows, as_json=as_json, empty="no runs yet")


@app.command()
def show(
    run: Annotated[str, typer.Argument(help="NAME, or EXPERIMENT/NAME as people see it.")],
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Show what a run was given and what came of it."""
    platform = open_home(home)
    found = _run(platform, run)
    metrics = {
        name: one.last
        if one.count == 1
        else {
            "last": one.last,
            "min": one.minimum,
            "max": one.maximum,
            "mean": one.mean,
            "points": one.count,
        }
        for name, one in found.metrics.items()
    }
    document: dict[str, Any] = {
        "run": found.ref.name,
        "display name": found.name,
        "experiments": ", ".join(found.experiments),
        "status": found.status,
        "message": found.message,
        "started": found.started_at,
        "ended": found.ended_at,
        "made for": found.source,
        "parameters": dict(found.parameters),
        "metrics": metrics,
        "tags": dict(found.tags),
        "inputs": dict(found.inputs),
        "outputs": dict(found.outputs),
    }
    shown = {name: value for name, value in document.items() if value not in (None, "", {})}
    show_document(shown, as_json=as_json)


@app.command()
def compare(  # noqa: PLR0917 - options of a command are not given by place
    experiment: Annotated[str, typer.Argument(help="The experiment.")],
    sort: Annotated[
        str, typer.Option("--sort", help="A column: metrics.loss, params.rate, …")
    ] = "started_at",
    ascending: Annotated[bool, typer.Option("--ascending", help="The smallest first.")] = False,
    jobs: Annotated[bool, typer.Option("--jobs", help="Components of jobs, too.")] = False,
    home: Home = None,
    limit: Limit = 20,
    as_json: Json = False,
) -> None:
    """Compare the runs of an experiment: their metrics, and the parameters that differ."""
    platform = open_home(home)
    ref = _experiment(platform, experiment)
    rows = [one.row() for one in platform.experiments.runs.of([ref], with_jobs=jobs)]
    columns = {name: None for row in rows for name in row}
    if rows and sort not in columns:
        raise InvalidInput("--sort", f"{sort!r} is no column", legal=", ".join(columns))
    known = [row for row in rows if row.get(sort) is not None]
    known.sort(key=lambda row: _key(row[sort]), reverse=not ascending)
    ordered = known + [row for row in rows if row.get(sort) is None]
    shown = [name for name in columns if not name.startswith("params.") or _differs(rows, name)]
    table = [{name: row.get(name) for name in shown} for row in ordered[:limit]]
    show_rows(table, as_json=as_json, empty="no runs yet")


def _key(value: Any) -> tuple[bool, Any]:
    return isinstance(value, str), value


def _differs(rows: list[dict[str, Any]], name: str) -> bool:
    return len(rows) == 1 or len({repr(row.get(name)) for row in rows}) > 1


def _line(found: Resource) -> dict[str, Any]:
    request, source = found.body["request"], found.body["source"]
    return {
        "run": found.ref.name,
        "experiment": ", ".join(found.body["experiments"]),
        "status": found.status,
        "created": found.created_at,
        "made for": source["SourceArn"].rpartition(":")[2] if source else "",
        "name": request.get("DisplayName", ""),
    }


def _experiment(platform: Platform, name: str) -> Ref:
    account = platform.governance.owner.account
    return find_one(platform.experiments.list, [EXPERIMENT], account, name.lower()).ref


def _run(platform: Platform, text: str) -> Run:
    account = platform.governance.owner.account
    experiment, slash, name = text.partition("/")
    if not slash:
        found = find_one(platform.experiments.list, [COMPONENT], account, text.lower())
        return platform.experiments.runs.get(found.ref)
    for run in platform.experiments.runs.of([_experiment(platform, experiment)]):
        if name.lower() in (run.name.lower(), run.ref.name):
            return run
    raise NotFound(f"run {text}", hint="`clary runs list` names them")
