"""A pipeline step as a row of a table; the demo shows it too, which needs no platform."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


def step_row(step: Mapping[str, Any]) -> dict[str, Any]:
    """Say what a step was, how long it took and what it made."""
    reused = step.get("CacheHitResult") or step.get("SelectiveExecutionResult")
    metadata = step.get("Metadata") or {}
    kind, made = next(iter(metadata.items()), ("", {}))
    start, end = step.get("StartTime"), step.get("EndTime")
    return {
        "step": step["StepName"],
        "type": kind,
        "status": step["StepStatus"],
        "seconds": round((end - start).total_seconds(), 1) if start and end else None,
        "attempts": step.get("AttemptCount", 1),
        "reused from": reused["SourcePipelineExecutionArn"].rpartition("/")[2] if reused else "",
        "made": _made(made) or step.get("FailureReason", ""),
    }


def _made(made: dict[str, Any]) -> str:
    if "Arn" in made:
        return str(made["Arn"]).rpartition(":")[2].partition("/")[2]
    return str(made.get("Outcome") or made.get("ErrorMessage") or "")
