"""clary skew."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clary.doors.cli.homes import open_home
from clary.doors.cli.options import Home, Json, new_app
from clary.doors.cli.output import note, show_json, show_rows
from clary.endpoints.model import ENDPOINT
from clary.endpoints.skew import skew as skew_of
from clary.features.fact_queries import Wanted, since
from clary.features.views import VIEW
from clary.kernel.errors import InvalidInput, NotFound
from clary.kernel.names import parse_arn
from clary.kernel.resource import Query

if TYPE_CHECKING:
    from clary.features.skew import Difference, Report
    from clary.kernel.resource import Resource
    from clary.platform import Platform

app = new_app()
_SHOWN = 20


@app.command()
def skew(
    name: Annotated[
        str,
        typer.Argument(help="NAME of a feature view, or NAME/VERSION; or NAME of an endpoint."),
    ],
    hours: Annotated[
        float, typer.Option(min=0, help="Only requests of the last hours; 0: all.")
    ] = 0.0,
    request: Annotated[str, typer.Option(help="Only the request of this id.")] = "",
    logged_only: Annotated[
        bool,
        typer.Option("--logged-only", help="Do not ask the groups' history what was true."),
    ] = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Replay what a feature view or an endpoint served, and compare every cell.

    Requests served with their log are computed again, in batch, by the view's newest version or
    the one named, or by the versions that the endpoint's models name: from the facts that were
    logged, and from what the groups' history says was true at the time. Each difference has its
    cause: code, type, late, expired, source or engine. Ends with 1 when there is any.
    """
    platform = open_home(home)
    wanted = Wanted(start_us=since(hours), request_id=request)
    store = platform.feature_store
    try:
        report = _compared(platform, name, wanted, with_source=not logged_only)
    finally:
        store.close()
    if as_json:
        show_json(_document(report))
    else:
        _show(report)
    if not report.is_equal:
        raise typer.Exit(1)


def _compared(platform: Platform, name: str, wanted: Wanted, *, with_source: bool) -> Report:
    """Compare what a view served, or an endpoint. Raises NotFound, InvalidInput."""
    log, account = platform.feature_store.view_log, platform.governance.owner.account
    plain, _, version = name.partition("/") if not name.startswith("arn:") else (name, "", "")
    if version and not (version.isascii() and version.isdecimal()):
        raise InvalidInput("name", f"{version!r} is no version", legal="NAME or NAME/VERSION")
    kinds = [VIEW] if version else [VIEW, ENDPOINT]
    found = [one for kind in kinds if (one := _named(platform, kind, account, plain))]
    if len(found) == 2:
        raise InvalidInput(
            "name",
            f"{plain} is a feature view and an endpoint",
            legal="NAME/VERSION of the view, or the ARN of the endpoint",
        )
    if not found:
        raise NotFound(f"{' or '.join(kinds)} {plain}")
    if found[0].ref.kind == ENDPOINT:
        return skew_of(found[0], log, wanted, with_source=with_source)
    ref = found[0].ref.sibling(VIEW, found[0].ref.name, int(version or 0))
    return log.skew(ref, wanted, with_source=with_source)


def _named(platform: Platform, kind: str, account: str, name: str) -> Resource | None:
    """Find the newest of a name, or by its ARN; None where it is of another kind, or not there."""
    if name.startswith("arn:"):
        ref = parse_arn(name, field="name")
        return platform.store.get(ref) if ref.kind == kind else None
    query = Query(kind, account, name=name, limit=1)
    found = platform.store.select(query).items
    return found[0] if found else None


def _document(report: Report) -> dict[str, Any]:
    return {
        "requests": report.requests,
        "cells": report.cells,
        "is_equal": report.is_equal,
        "from_source": report.from_source,
        "causes": dict(report.causes),
        "features": dict(report.features),
        "added": sorted(report.added),
        "differences": [
            asdict(one) | {"served": str(one.served), "replayed": str(one.replayed)}
            for one in report.differences
        ],
    }


def _show(report: Report) -> None:
    rows = [_row(one) for one in report.differences[:_SHOWN]]
    if rows:
        show_rows(rows, as_json=False, empty="")
    total = report.causes.total()
    if total > len(rows):
        note(f"and {total - len(rows)} more; --json tells the first thousand")
    for cause, count in report.causes.most_common():
        note(f"{count} of cause {cause}")
    if report.added:
        note(f"new since then, not compared: {', '.join(sorted(report.added))}")
    asked = "and with the groups' history" if report.from_source else "from what was logged"
    note(f"{report.cells} cells of {report.requests} requests compared {asked}")
    note(f"{total} differences")


def _row(one: Difference) -> dict[str, Any]:
    return {
        "at": datetime.fromtimestamp(one.at_us / 1e6, UTC),
        "request": one.request_id,
        "entity": one.entity,
        "feature": one.feature,
        "served": repr(one.served),
        "replayed": repr(one.replayed),
        "cause": one.cause,
        "why": one.detail,
    }
