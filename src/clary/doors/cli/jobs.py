"""clary jobs."""

from typing import Annotated, Literal

import typer

from clary.doors.cli.homes import find_one, open_home
from clary.doors.cli.options import Home, Json, Limit, new_app
from clary.doors.cli.output import note, show_document, show_rows
from clary.jobs.model import KINDS
from clary.kernel.resource import Query, Resource
from clary.platform import Platform

app = new_app(several=True)
Kind = Literal["processing", "training", "transform"]
Name = Annotated[str, typer.Argument(help="The job's name or ARN.")]


@app.command("list")
def list_(
    kind: Annotated[Kind | None, typer.Option(help="Only jobs of this kind.")] = None,
    status: Annotated[str, typer.Option(help="Only jobs in this status, as Failed.")] = "",
    home: Home = None,
    limit: Limit = 100,
    as_json: Json = False,
) -> None:
    """List jobs, the newest first."""
    platform = open_home(home)
    account = platform.governance.owner.account
    statuses = [status] if status else []
    found = [
        item
        for each in KINDS
        if kind is None or each == f"{kind}-job"
        for item in platform.jobs.list(Query(each, account, statuses=statuses, limit=limit)).items
    ]
    found.sort(key=lambda item: item.created_at, reverse=True)
    rows = [
        {
            "job": item.ref.name,
            "kind": item.ref.kind.removesuffix("-job"),
            "status": item.status,
            "created": item.created_at,
        }
        for item in found[:limit]
    ]
    show_rows(rows, as_json=as_json, empty="no such jobs")


@app.command()
def show(name: Name, home: Home = None, as_json: Json = False) -> None:
    """Show a job: what was asked, what became of it, and what it ran on."""
    platform = open_home(home)
    ref = find_job(platform, name).ref
    document = {**platform.jobs.describe(ref), "RanOn": platform.jobs.ran(ref)}
    show_document(document, as_json=as_json)


@app.command()
def stop(name: Name, home: Home = None) -> None:
    """Ask a job to stop."""
    platform = open_home(home)
    job = find_job(platform, name)
    platform.jobs.stop(job.ref, actor=platform.governance.owner.principal_arn)
    note(f"{job.ref} stops")


def find_job(platform: Platform, name: str) -> Resource:
    """Find a job of any kind. Raises NotFound."""
    return find_one(platform.jobs.list, KINDS, platform.governance.owner.account, name)
