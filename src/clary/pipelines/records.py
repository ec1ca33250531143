"""What is written down about an execution and its steps: rows, kept results, journal lines."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from clary.kernel.clock import now
from clary.kernel.codec import plain
from clary.kernel.resource import Event, Resource
from clary.pipelines.cache import Results
from clary.pipelines.retries import next_try
from clary.pipelines.state import WAITING, Run, name_of, outcome, row_ref

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from clary.kernel.ports import Transaction
    from clary.kernel.steps import StepResult
    from clary.pipelines.starts import Start

_WHOLE_REASON = 1300


def begun(run: Run, start: Start, result: StepResult, at: datetime) -> Resource:
    """Write the row of a step that has begun at a moment, and may have ended already."""
    step = start.step
    row = start.before or Resource(
        row_ref(run.execution.ref, step.name), {}, at, at, "", run.execution.ref
    )
    body = {
        **{name: row.body[name] for name in ("tried",) if name in row.body},
        **start.kept,
        "type": step.type,
        "display_name": step.document.get("DisplayName") or "",
        "description": step.document.get("Description") or "",
        "arguments": start.run.arguments,
        **({} if start.run.step is step.document else {"settled": dict(start.run.step)}),
        "attempt": start.run.attempt,
        "job": plain(result.job),
        "ended_at": None,
        **outcome(result),
    }
    new = replace(row, status=result.status, body=body)
    return new if result.status == "Executing" else after(run, new, result)


def after(run: Run, row: Resource, result: StepResult) -> Resource:
    """Say what becomes of a step that has ended: it may wait to be tried again."""
    if result.status == "Stopped" and not run.stopping:
        reason = result.reason or "it was stopped, though the execution was not"
        result = replace(result, status="Failed", reason=reason)
    at = now()
    body = {
        **row.body,
        **outcome(result),
        "metadata": {**row.body.get("metadata", {}), **plain(result.metadata)},
        "ended_at": plain(at),
    }
    step = run.steps[row.ref.name.rpartition("/")[2]]
    if result.status == "Failed" and not run.halted:
        tried = row.body.get("tried", {})
        again = next_try(step.policies, result.error, tried=tried, started_at=row.created_at, at=at)
        if again is not None:
            policy, due_at = again
            body |= {"tried": {**tried, policy: tried.get(policy, 0) + 1}, "job": None}
            body |= {"due_at": plain(due_at), "ended_at": None}
            return replace(row, status=WAITING, body=body)
    return replace(row, status=result.status, body=body)


def keep(run: Run, row: Resource, made: Mapping[str, str] | None, transaction: Transaction) -> None:
    """Keep a step's result for later executions; ``made`` is None when it is not to be kept."""
    if made is not None:
        ref = Results.ref(run.execution.ref, name_of(row), row.body["key"])
        Results.keep(transaction, ref, row, made)


def finish(run: Run, execution: Resource, transaction: Transaction) -> Resource:
    """Record the end of an execution."""
    failed = [(name, row) for name, row in run.rows.items() if row.status == "Failed"]
    reason = "; ".join(f"Step {name} failed: {row.body['reason']}" for name, row in failed)
    status = "Stopped" if run.stopping else "Failed" if failed else "Succeeded"
    body = {**execution.body, "reason": reason[:_WHOLE_REASON]}
    ended = transaction.update(replace(execution, status=status, body=body))
    transaction.append(event(run, ended))
    return ended


def event(run: Run, changed: Resource, at: datetime | None = None) -> Event:
    """Write the journal line of a change, of now unless a moment is given."""
    words = {"Executing": "started", "Stopping": "stop-requested", WAITING: "retried-later"}
    word = words.get(changed.status, changed.status.lower())
    detail: dict[str, Any] = {}
    if changed.body["reason"]:
        detail["reason"] = changed.body["reason"]
    if source := changed.body.get("cached_from"):
        detail["cached_from"] = source
    actor = run.execution.body["actor"]
    return Event(at or now(), actor, f"{changed.ref.kind}.{word}", changed.ref, detail)
