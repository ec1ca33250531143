"""Executions: each looks once at a window, by a processing job, whatever dies when.

An execution waits until it is claimed, finds what there is to look at, and makes its job in the
transaction that says so; the job's end wakes it, and it reads what the job reports.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from clary.endpoints.model import ENDPOINT
from clary.jobs.contract import join_uri, split_uri
from clary.jobs.model import ENDED as JOB_ENDED
from clary.jobs.model import read as read_job
from clary.kernel.clock import now
from clary.kernel.codec import plain, to_json
from clary.kernel.errors import ClaryError, Conflict, NotFound, Unavailable
from clary.kernel.resource import Event, Link, existing
from clary.monitoring import inputs, requests
from clary.monitoring.baselines import Baselines
from clary.monitoring.definitions import named
from clary.monitoring.model import (
    ENDED,
    EXECUTION,
    VIOLATED,
    Execution,
    body,
    changed,
    definition_ref,
    execution,
)
from clary.monitoring.plans import Plan
from clary.monitoring.windows import Window, offset, window

if TYPE_CHECKING:
    import threading
    from datetime import datetime

    from clary.jobs.service import Jobs
    from clary.kernel.names import Ref
    from clary.kernel.ports import MetadataStore, ObjectStore, Transaction
    from clary.kernel.resource import Resource
    from clary.monitoring.alerts import Alerts
    from clary.monitoring.inputs import Data
    from clary.monitoring.reports import Reports
    from clary.monitoring.requests import Definition

_log = logging.getLogger(__name__)
_LONGEST = 1024
_LOOK_AGAIN = timedelta(seconds=30)
"""A job's end wakes its execution; this is for one that vanished."""
_JOB_STATUS = {"Stopped": "Stopped", "Failed": "Failed"}


@dataclass(frozen=True, slots=True)
class Tools:
    """What executions work with."""

    store: MetadataStore
    objects: ObjectStore
    jobs: Jobs


class Executions:
    """The worker's handler of executions, and their verbs."""

    def __init__(self, tools: Tools, reports: Reports, alerts: Alerts) -> None:
        self._tools = tools
        self._alerts = alerts
        self._baselines = Baselines(tools.store)
        self._reports = reports

    def get(self, ref: Ref) -> Resource:
        """Read an execution. Raises NotFound."""
        return existing(self._tools.store.get, ref)

    def stop(self, ref: Ref, *, actor: str) -> None:
        """Ask an execution and its job to end; nothing happens when it has."""
        with self._tools.store.begin() as change:
            found = existing(change.get, ref)
            if found.status in ENDED:
                return
            value = changed(execution(found), stop_asked=True)
            change.update(replace(found, status="Stopping", body=body(value)))
            change.append(Event(now(), actor, f"{EXECUTION}.stopping", ref))
            change.wake(ref)
        self._stop_job(value, actor)

    def run(self, resource: Resource, stopping: threading.Event) -> datetime | None:
        """Go on with an execution; returns when to look again."""
        del stopping
        if resource.status in ENDED:
            return None
        value = execution(resource)
        if value.job is None:
            if value.stop_asked:
                return self._end(resource, value, "Stopped")
            return self._begin(resource, value)
        return self._watch(resource, value, value.job)

    def _begin(self, resource: Resource, value: Execution) -> datetime | None:
        """Find what there is to look at, and make the job; or say why there is none."""
        try:
            plan = self._plan(resource.ref, value)
            data = self._data(plan)
            value = changed(value, start=plan.window.start, end=plan.window.end)
            if not data:
                return self._end(resource, value, "Completed", f"No data from {plan.window}")
            labels = self._labels(plan)
            plan = replace(
                plan,
                execution=value,
                data=self._manifests(plan, "data", data),
                labels=self._manifests(plan, "labels", labels),
            )
            request = plan.request()
            self._tools.jobs.check(plan.job, request)
        except (Conflict, Unavailable):
            raise
        except ClaryError as error:
            return self._end(resource, value, "Failed", error.message)
        value = changed(value, job=plan.job, output=plan.output)
        with self._tools.store.begin() as change:
            change.update(replace(resource, status="InProgress", body=body(value)))
            self._tools.jobs.create(
                plan.job, request, actor=value.actor, transaction=change, parent=resource.ref
            )
            for link in self._links(resource.ref, plan):
                change.link(link)
            change.append(
                Event(now(), value.actor, f"{EXECUTION}.inprogress", resource.ref, _detail(value))
            )
        return now() + _LOOK_AGAIN

    def _plan(self, ref: Ref, value: Execution) -> Plan:
        definition = self._definition(ref, value)
        constraints, statistics = self._baselines.uris(ref, value.type, definition.baseline_config)
        return Plan(
            ref,
            value,
            definition,
            _window(value, definition),
            constraints=constraints,
            statistics=statistics,
        )

    def _definition(self, ref: Ref, value: Execution) -> Definition:
        if not value.definition:
            return requests.inline(value.config)
        return named(self._tools.store.get, definition_ref(ref, value.type, value.definition))

    def _data(self, plan: Plan) -> list[Data]:
        watched, objects = plan.definition.watched, self._tools.objects
        if watched.endpoint_name:
            endpoint = plan.ref.sibling(ENDPOINT, watched.endpoint_name)
            return inputs.captures(objects, self._tools.store.get, endpoint, plan.window)
        side = "output" if plan.execution.type in {"ModelQuality", "ModelBias"} else "input"
        uri = watched.data_captured_destination_s3_uri
        return inputs.batches(objects, uri, side, plan.window)

    def _labels(self, plan: Plan) -> list[Data]:
        uri = plan.definition.job_input.ground_truth_s3_input.s3_uri
        if not uri:
            return []
        return inputs.labels(self._tools.objects, uri, plan.window, plan.execution.scheduled_at)

    def _manifests(self, plan: Plan, name: str, data: list[Data]) -> tuple[str, ...]:
        """Write down what is looked at, beside the reports; the same again changes nothing."""
        made = []
        for number, one in enumerate(data, start=1):
            uri = join_uri(plan.output, "inputs", f"{name}-{number}.manifest")
            bucket, key = split_uri(uri, field="MonitoringOutputConfig")
            self._tools.objects.put(bucket, key, [to_json(one.manifest)])
            made.append(uri)
        return tuple(made)

    @staticmethod
    def _links(ref: Ref, plan: Plan) -> list[Link]:
        links = [Link(ref, "Produced", plan.job, "job")]
        if plan.execution.endpoint:
            endpoint = ref.sibling(ENDPOINT, plan.execution.endpoint)
            links.append(Link(endpoint, "ContributedTo", ref, "endpoint"))
        return links

    def _watch(self, resource: Resource, value: Execution, job: Ref) -> datetime | None:
        try:
            found = self._tools.jobs.get(job)
        except NotFound as error:
            return self._end(resource, value, "Failed", error.message)
        if found.status not in JOB_ENDED:
            if value.stop_asked:
                self._stop_job(value, value.actor)
            return now() + _LOOK_AGAIN
        state = read_job(found)
        if found.status != "Completed":
            return self._end(resource, value, _JOB_STATUS[found.status], state.failure)
        listed = self._reports.violations(value.output)
        value = changed(value, violations=None if listed is None else len(listed))
        self._reports.publish(resource.ref, value)
        violated = value.violations or state.exit_message.startswith(VIOLATED)
        status = VIOLATED if violated else "Completed"
        return self._end(resource, value, status, found=listed or [])

    def _stop_job(self, value: Execution, actor: str) -> None:
        if value.job is None:
            return
        try:
            self._tools.jobs.stop(value.job, actor=actor)
        except (Conflict, NotFound):
            return  # it has ended

    def _end(
        self,
        resource: Resource,
        value: Execution,
        status: str,
        reason: str = "",
        *,
        found: list[dict[str, Any]] | None = None,
    ) -> datetime | None:
        """Write down how it ended, and let its schedule go on."""
        value = changed(value, reason=reason[:_LONGEST])
        with self._tools.store.begin() as change:
            change.update(replace(resource, status=status, body=body(value)))
            if found is not None:
                self._alerts.settle(change, resource.ref, value, found)
            self._tell(change, resource, value, status)
            if resource.parent is not None:
                change.wake(resource.parent)
        return None

    @staticmethod
    def _tell(change: Transaction, resource: Resource, value: Execution, status: str) -> None:
        action = f"{EXECUTION}.{status.lower()}"
        change.append(Event(now(), value.actor, action, resource.ref, _detail(value)))


def _window(value: Execution, definition: Definition) -> Window:
    """Say which stretch of time is looked at; the input's offsets move one nobody chose."""
    watched, at = definition.watched, value.scheduled_at
    start, end = value.start or at, value.end or at
    if watched.start_time_offset and not value.fixed:
        start = at + offset(watched.start_time_offset, field="StartTimeOffset")
    if watched.end_time_offset and not value.fixed:
        end = at + offset(watched.end_time_offset, field="EndTimeOffset")
    return window(start, end, field="StartTimeOffset")


def _detail(value: Execution) -> dict[str, Any]:
    """Write what the journal says of an execution."""
    known = {
        "schedule": value.schedule,
        "type": value.type,
        "endpoint": value.endpoint,
        "scheduled_at": value.scheduled_at,
        "start": value.start,
        "end": value.end,
        "output": value.output,
        "violations": value.violations,
        "reason": value.reason,
    }
    document: dict[str, Any] = plain({k: v for k, v in known.items() if v not in (None, "")})
    return document
