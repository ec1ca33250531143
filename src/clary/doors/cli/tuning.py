"""clary tuning."""

from typing import Annotated, Any

import typer

from clary.doors.cli.homes import find_one, open_home
from clary.doors.cli.options import Home, Json, Limit, new_app
from clary.doors.cli.output import note, show_document, show_rows
from clary.kernel.ports import JsonObject
from clary.kernel.resource import Query, Resource
from clary.platform import Platform
from clary.tuning.model import TUNING, read

app = new_app(several=True)
Name = Annotated[str, typer.Argument(help="The tuning job's name or ARN.")]
_METRIC = "FinalHyperParameterTuningJobObjectiveMetric"


@app.command("list")
def list_(
    status: Annotated[str, typer.Option(help="Only those in this status, as Failed.")] = "",
    home: Home = None,
    limit: Limit = 100,
    as_json: Json = False,
) -> None:
    """List tuning jobs, the newest first."""
    platform = open_home(home)
    statuses = [status] if status else []
    account = platform.governance.owner.account
    query = Query(TUNING, account, statuses=statuses, limit=limit)
    rows = [_row(item) for item in platform.tuning.list(query).items]
    show_rows(rows, as_json=as_json, empty="no such tuning jobs")


@app.command()
def show(
    name: Name,
    home: Home = None,
    as_json: Json = False,
    whole: Annotated[bool, typer.Option("--whole", help="Show what was asked too.")] = False,
) -> None:
    """Show the training jobs of a tuning job and the values they tried, the best first."""
    platform = open_home(home)
    ref = _find(platform, name).ref
    if whole:
        show_document(platform.tuning.describe(ref), as_json=as_json)
        return
    best = platform.tuning.training_jobs(ref, best_first=True)
    known = {one["TrainingJobName"] for one in best}
    others = [
        one for one in platform.tuning.training_jobs(ref) if one["TrainingJobName"] not in known
    ]
    names = {name: None for one in [*best, *others] for name in one["TunedHyperParameters"]}
    rows = [_trial(one, list(names)) for one in [*best, *others]]
    show_rows(rows, as_json=as_json, empty="no training jobs yet")


@app.command()
def stop(name: Name, home: Home = None) -> None:
    """Ask a tuning job and its training jobs to stop."""
    platform = open_home(home)
    ref = _find(platform, name).ref
    platform.tuning.stop(ref, actor=platform.governance.owner.principal_arn)
    note(f"{ref} stops")


def _row(resource: Resource) -> dict[str, Any]:
    job = read(resource)
    return {
        "tuning job": resource.ref.name,
        "status": resource.status,
        "strategy": job.request["HyperParameterTuningJobConfig"]["Strategy"],
        "training jobs": job.launched,
        "running": job.running,
        "best value": job.best_value,
        "created": resource.created_at,
    }


def _trial(one: JsonObject, names: list[str]) -> dict[str, Any]:
    return {
        "training job": one["TrainingJobName"],
        "status": one["TrainingJobStatus"],
        "value": one.get(_METRIC, {}).get("Value"),
        **{name: one["TunedHyperParameters"].get(name) for name in names},
    }


def _find(platform: Platform, name: str) -> Resource:
    account = platform.governance.owner.account
    return find_one(platform.tuning.list, (TUNING,), account, name)
