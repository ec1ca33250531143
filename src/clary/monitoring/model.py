"""The nouns of monitoring: definitions of jobs, schedules, and their executions."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct, structs

from clary.kernel.codec import build, plain
from clary.kernel.names import Ref

if TYPE_CHECKING:
    from clary.kernel.ports import JsonObject
    from clary.kernel.resource import Resource

SCHEDULE = "monitoring-schedule"
EXECUTION = "monitoring-execution"
"""Named ``<schedule>/<scheduled time>-<uid of the schedule>``; its parent is the schedule."""
Type = Literal["DataQuality", "ModelQuality", "ModelBias", "ModelExplainability"]
DEFINITIONS: dict[Type, str] = {
    "DataQuality": "data-quality-job-definition",
    "ModelQuality": "model-quality-job-definition",
    "ModelBias": "model-bias-job-definition",
    "ModelExplainability": "model-explainability-job-definition",
}
"""The kind of the job definitions of each type."""
ENDED = frozenset({"Completed", "CompletedWithViolations", "Failed", "Stopped"})
"""The statuses of executions in which nothing happens any more."""
VIOLATED = "CompletedWithViolations"


class Schedule(Struct, frozen=True):
    """The body of a schedule.

    Parameters
    ----------
    request
        The create request, verbatim but for its tags; an update replaces its configuration.
    actor
        Who made it.
    uid
        Random; tells apart schedules that had the same name.
    type, definition, endpoint
        What it monitors: the type, the name of its job definition (empty: it brings its own) and
        of its endpoint (empty: batches).
    handled
        Up to when occurrences have become executions.
    last
        Name of the newest execution; empty: there was none yet.
    datapoints, period
        Its alert: so many violated executions of the last so many.
    alert_changed_at
        When they were set.
    """

    request: dict[str, Any]
    actor: str
    uid: str
    type: Type
    handled: datetime
    definition: str = ""
    endpoint: str = ""
    last: str = ""
    datapoints: int = 1
    period: int = 1
    alert_changed_at: datetime | None = None


class Execution(Struct, frozen=True, omit_defaults=True):
    """The body of an execution.

    Parameters
    ----------
    schedule
        The name of its schedule.
    actor
        Who made the schedule, or asked for this execution.
    type, definition, endpoint
        As in the schedule.
    scheduled_at
        The moment it is the execution of.
    start, end
        What it looks at: from ``start`` on, before ``end``.
    fixed
        That was chosen, and the input's offsets do not move it.
    config
        The job definition that the schedule brings; empty: it names one.
    job
        Its processing job, once there is one.
    output
        ``s3://`` URI of the folder of its reports.
    violations
        How many its report lists; None: there is no report.
    reason
        Why it failed, or why there was nothing to look at.
    stop_asked
        It is to end without a job.
    """

    schedule: str
    actor: str
    type: Type
    scheduled_at: datetime
    definition: str = ""
    endpoint: str = ""
    start: datetime | None = None
    end: datetime | None = None
    fixed: bool = False
    config: dict[str, Any] = {}
    job: Ref | None = None
    output: str = ""
    violations: int | None = None
    reason: str = ""
    stop_asked: bool = False


def schedule(resource: Resource) -> Schedule:
    """Read a schedule's body."""
    return build(Schedule, resource.body)


def execution(resource: Resource) -> Execution:
    """Read an execution's body."""
    return build(Execution, resource.body)


def body(value: Schedule | Execution) -> JsonObject:
    """Write a body; null members that lists filter on are absent."""
    document: JsonObject = plain(value)
    return document


def changed(value: Execution, **members: Any) -> Execution:
    """Return an execution with some members replaced."""
    return structs.replace(value, **members)


def definition_ref(near: Ref, of: Type, name: str) -> Ref:
    """Name a job definition."""
    return near.sibling(DEFINITIONS[of], name)
