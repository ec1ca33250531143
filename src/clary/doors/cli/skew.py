"""clary skew."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clary.doors.cli.homes import find_one, open_home
from clary.doors.cli.options import Home, Json, new_app
from clary.doors.cli.output import note, show_json, show_rows
from clary.features.fact_queries import Wanted
from clary.features.views import VIEW
from clary.kernel.clock import now_us
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from clary.features.skew import Difference, Report
    from clary.kernel.names import Ref
    from clary.platform import Platform

app = new_app()
_HOUR_US = 3_600_000_000
_SHOWN = 20


@app.command()
def skew(
    view: Annotated[str, typer.Argument(help="NAME of a feature view, or NAME/VERSION.")],
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
    """Replay what a feature view served, and compare every cell.

    Requests served with their log are computed again, in batch, by the view's newest version or
    the one named: from the facts that were logged, and from what the groups' history says was true
    at the time. Each difference has its cause: code, type, late, expired, source or engine.
    Ends with 1 when there is any.
    """
    platform = open_home(home)
    start_us = now_us() - int(hours * _HOUR_US) if hours else 0
    wanted = Wanted(start_us=start_us, request_id=request)
    store = platform.feature_store
    try:
        report = store.view_log.skew(_find(platform, view), wanted, with_source=not logged_only)
    finally:
        store.close()
    if as_json:
        show_json(_document(report))
    else:
        _show(report)
    if not report.is_equal:
        raise typer.Exit(1)


def _find(platform: Platform, name: str) -> Ref:
    """Name a version of a view, or the view. Raises NotFound, InvalidInput."""
    plain, _, version = name.partition("/")
    if version and not version.isdecimal():
        raise InvalidInput("view", f"{version!r} is no version", legal="NAME or NAME/VERSION")
    found = find_one(platform.store.select, [VIEW], platform.config.account, plain).ref
    return found.sibling(VIEW, plain, int(version or 0))


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
