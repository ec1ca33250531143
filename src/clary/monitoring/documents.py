"""The public documents of monitoring: what Describe and List answer, in SageMaker's words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from clary.kernel.names import arn
from clary.monitoring import model

if TYPE_CHECKING:
    from clary.kernel.ports import JsonObject
    from clary.kernel.resource import Resource

_CONFIG = "MonitoringScheduleConfig"


def definition(found: Resource) -> JsonObject:
    """Write a Describe…JobDefinition document."""
    return {
        **found.body["request"],
        "JobDefinitionName": found.ref.name,
        "JobDefinitionArn": arn(found.ref),
        "CreationTime": found.created_at,
    }


def definition_summary(found: Resource) -> JsonObject:
    """Write an element of List…JobDefinitions."""
    return {
        "MonitoringJobDefinitionName": found.ref.name,
        "MonitoringJobDefinitionArn": arn(found.ref),
        "CreationTime": found.created_at,
        "EndpointName": found.body["endpoint"],
    }


def schedule(found: Resource, last: Resource | None) -> JsonObject:
    """Write the DescribeMonitoringSchedule document; ``last`` is the newest execution."""
    value = model.schedule(found)
    return {
        **_named(found, value),
        "MonitoringScheduleConfig": value.request[_CONFIG],
        **({"LastMonitoringExecutionSummary": execution(last)} if last else {}),
    }


def schedule_summary(found: Resource) -> JsonObject:
    """Write an element of ListMonitoringSchedules."""
    value = model.schedule(found)
    named = {"MonitoringJobDefinitionName": value.definition} if value.definition else {}
    return {**_named(found, value), **named}


def execution(found: Resource) -> JsonObject:
    """Write an element of ListMonitoringExecutions."""
    value = model.execution(found)
    document: dict[str, Any] = {
        "MonitoringScheduleName": value.schedule,
        "ScheduledTime": value.scheduled_at,
        "CreationTime": found.created_at,
        "LastModifiedTime": found.modified_at,
        "MonitoringExecutionStatus": found.status,
        "ProcessingJobArn": arn(value.job) if value.job else None,
        "EndpointName": value.endpoint or None,
        "FailureReason": value.reason or None,
        "MonitoringJobDefinitionName": value.definition or None,
        "MonitoringType": value.type,
    }
    return {name: given for name, given in document.items() if given is not None}


def _named(found: Resource, value: model.Schedule) -> JsonObject:
    return {
        "MonitoringScheduleName": found.ref.name,
        "MonitoringScheduleArn": arn(found.ref),
        "MonitoringScheduleStatus": found.status,
        "MonitoringType": value.type,
        "CreationTime": found.created_at,
        "LastModifiedTime": found.modified_at,
        **({"EndpointName": value.endpoint} if value.endpoint else {}),
    }
