"""The second half of clary demo: a live model, a column that drifts, and what happens then."""

from __future__ import annotations

import contextlib
import importlib
import time
from typing import TYPE_CHECKING, Any

from clary.doors.cli.output import console
from clary.kernel.clock import now
from clary.kernel.errors import AlreadyExists, NotFound, Unavailable
from clary.kernel.names import parse_arn
from clary.kernel.resource import Query
from clary.monitoring.channels import CHANNEL, Channel

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from clary.kernel.names import Ref
    from clary.kernel.resource import Resource

DRIFTED = "whole_weight"
SCHEDULE = "abalone-demo-data-quality"
_ENDPOINT, _CHANNEL = "abalone-demo", "retrain"
_GRAMS = 200
"""The data has weights in units of 200 g."""
_REQUESTS = 200
_LONGEST_S, _LOOK_S = 60.0, 0.1


def watch(session: Any, run: Any) -> None:
    """Make the registered model live, ask it with a column that drifts, and show what follows.

    Parameters
    ----------
    session
        The open home.
    run
        An execution of the pipeline, which has registered a version.
    """
    clary, out = importlib.import_module("clary"), console()
    version = parse_arn(run["register-AbaloneModels"].made)
    approved = {"ModelApprovalStatus": "Approved"}
    session.platform.models.update_package(version, approved, actor=session.actor)
    scored = run["score"].result()
    asked = scored.drop(columns="rings")
    usual = scored[["rings", *asked.columns]]
    endpoint = _deployed(clary, f"{version.name}/{version.version}")
    try:
        out.print(f"endpoint            {endpoint.name}, of the version, now approved")
        monitor = _monitor(clary, session, endpoint, clary.monitoring.baseline(usual))
        _ask(session, endpoint, asked)
        out.print(f"asked               {_REQUESTS} times, {DRIFTED} in grams by mistake")
        began = now()
        look = monitor.run()
        monitor.stop()
    finally:
        endpoint.delete()
    found = monitor.explain(DRIFTED)
    [cause] = found.causes
    out.print(f"monitor             {look.status}: {len(look.violations)} of {monitor.name}")
    out.print(f"  {DRIFTED:<17} {cause.said[0]}", soft_wrap=True)
    for rows in cause.rows[:1]:
        [first, *_] = rows.examples
        out.print(f"                    {rows.count} of {rows.of} rows {rows.what}")
        out.print(f"                    such as {first.value} in request {first.event_id}")
    retrained = _retrained(session, run.ref, began)
    out.print(f"retrained           {retrained.ref.name}, started by itself: {retrained.status}\n")


def _deployed(clary: Any, model: str) -> Any:
    try:
        return clary.endpoints.deploy(model, _ENDPOINT, capture=True)
    except AlreadyExists:  # a demo before this one was killed
        return clary.endpoints.get(_ENDPOINT).update(model, capture=True)


def _monitor(clary: Any, session: Any, endpoint: Any, usual: Any) -> Any:
    """Make the schedule anew, so that what it finds is new, and let it start the pipeline."""
    with contextlib.suppress(NotFound):
        clary.monitoring.get(SCHEDULE).delete()
    channel = Channel("pipeline", "AbalonePipeline", schedules=SCHEDULE, actor=session.actor)
    with contextlib.suppress(AlreadyExists):
        session.platform.monitoring.channels.add(session.ref(CHANNEL, _CHANNEL), channel)
    return clary.monitoring.schedule(endpoint, usual, every="24h", name=SCHEDULE)


def _ask(session: Any, endpoint: Any, animals: Any) -> None:
    """Ask row by row, then let what was captured be stored."""
    wrong = animals.assign(**{DRIFTED: animals[DRIFTED] * _GRAMS}).head(_REQUESTS)
    for row in wrong.to_numpy():
        endpoint.predict(row.tolist())
    session.platform.captures.close()


def _retrained(session: Any, first: Ref, began: datetime) -> Resource:
    """Wait for the execution that the alert starts, and for its end."""
    pipeline = first.sibling("pipeline", first.name.partition("/")[0])
    query = Query("pipeline-execution", parent=pipeline, created_after=began, limit=1)
    until = time.monotonic() + _LONGEST_S
    while time.monotonic() < until:
        found: Sequence[Resource] = session.platform.store.select(query).items
        if found and found[0].status not in {"Executing", "Stopping"}:
            return found[0]
        time.sleep(_LOOK_S)
    raise Unavailable(f"no execution of {pipeline} has ended within {_LONGEST_S:g} s")
