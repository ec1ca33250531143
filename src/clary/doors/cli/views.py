"""clary views."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clary.doors.cli.homes import find_one, open_home
from clary.doors.cli.options import Home, Json, Limit, new_app
from clary.doors.cli.output import note, show_document, show_rows
from clary.features.scheduled_tasks import MATERIALIZE
from clary.features.views import VIEW
from clary.governance.presence import find
from clary.kernel.errors import InvalidInput, JobFailed
from clary.kernel.resource import Query

if TYPE_CHECKING:
    from clary.kernel.names import Ref
    from clary.kernel.resource import Resource
    from clary.platform import Platform

app = new_app(several=True)
Name = Annotated[str, typer.Argument(help="NAME of a feature view, or NAME/VERSION.")]
Every = Annotated[
    str, typer.Option(help="Again and again: 'rate(1 day)' or 'cron(0 8 ? * MON-FRI *)', UTC.")
]
Stop = Annotated[bool, typer.Option("--stop", help="End what --every began.")]
_LOOK_S = 0.05


@app.command("list")
def list_(home: Home = None, limit: Limit = 100, as_json: Json = False) -> None:
    """List versions of feature views, the newest first."""
    platform = open_home(home)
    query = Query(VIEW, platform.governance.owner.account, limit=limit)
    rows = [_row(platform, one) for one in platform.feature_store.views.list(query).items]
    show_rows(rows, as_json=as_json, empty="no feature views")


@app.command()
def show(name: Name, home: Home = None, as_json: Json = False) -> None:
    """Show the definition of a feature view."""
    platform = open_home(home)
    found = platform.feature_store.views.describe(find_view(platform, name))
    show_document({**_row(platform, found), **found.body["definition"]}, as_json=as_json)


@app.command()
def materialize(
    name: Name,
    every: Every = "",
    stop: Stop = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Write what needs no request down, for every entity, as a feature group of the view's own.

    With --every it is done at once, and then for the entities with changes at the times said,
    by whatever server runs on the home.
    """
    platform = open_home(home)
    ref, store = find_view(platform, name), platform.feature_store
    actor = platform.governance.owner.principal_arn
    try:
        if stop:
            store.schedules.delete(ref, MATERIALIZE, actor=actor)
            note(f"{name} is not written down any more")
        elif every:
            store.schedules.put(ref, MATERIALIZE, every, actor=actor)
            note(f"{name} is written down at {every}")
        else:
            started = store.materializations.start(ref, actor=actor)
            done = _settled(platform, started.ref)
            told = {"feature group": done.body["group"], "records": done.body["count"]}
            show_document(told, as_json=as_json)
    finally:
        store.close()


def find_view(platform: Platform, name: str) -> Ref:
    """Name a version of a view, or the view. Raises NotFound, InvalidInput."""
    plain, _, version = name.partition("/")
    if version and not (version.isascii() and version.isdecimal()):
        raise InvalidInput("view", f"{version!r} is no version", legal="NAME or NAME/VERSION")
    found = find_one(platform.store.select, [VIEW], platform.governance.owner.account, plain).ref
    return found.sibling(VIEW, plain, int(version or 0))


def _settled(platform: Platform, ref: Ref) -> Resource:
    """Wait for the end; without a server, do the work here. Raises JobFailed."""
    work, here = platform.feature_store.materializations, find(platform.config.home) is None
    if here:
        platform.worker.start()
    try:
        while (found := work.describe(ref)).status == "InProgress":
            time.sleep(_LOOK_S)
    finally:
        if here:
            platform.worker.stop()
    if found.status == "Failed":
        raise JobFailed(ref, found.body["reason"])
    return found


def _row(platform: Platform, found: Resource) -> dict[str, Any]:
    definition = found.body["definition"]
    scheduled = platform.feature_store.schedules.get(found.ref, MATERIALIZE)
    is_meant = scheduled is not None and scheduled.version in (0, found.ref.version)
    return {
        "view": found.ref.name,
        "version": found.ref.version,
        "status": found.status,
        "features": len(definition["features"]),
        "groups": ", ".join(
            dict.fromkeys(
                [
                    *definition.get("sources", {}),
                    *(one["group"] for one in definition.get("aggregates", {}).values()),
                ]
            )
        ),
        "inputs": ", ".join(definition.get("inputs", {})),
        "written down": scheduled.expression if is_meant and scheduled else "",
        "created": found.created_at.astimezone(UTC),
    }


def moment(at_us: int) -> datetime:
    """Read microseconds since 1970."""
    return datetime.fromtimestamp(at_us / 1e6, UTC)
