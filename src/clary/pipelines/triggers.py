"""The journal's lines as the events that SageMaker sends, told to the rules."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from clary.kernel.codec import plain
from clary.kernel.names import Ref, arn
from clary.pipelines.rules import Happening

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from clary.kernel.ports import JsonObject, MetadataStore, Transaction
    from clary.kernel.resource import Event, Resource
    from clary.pipelines.rules import Rules

    Documents = Mapping[str, Callable[[Resource], JsonObject]]

SOURCE = "aws.sagemaker"
_ALARM = "alarm"
_EXECUTION, _STEP = "pipeline-execution", "pipeline-step"
_REQUEST = "async-invocation"
_KINDS = {
    "training-job": "SageMaker Training Job State Change",
    "processing-job": "SageMaker Processing Job State Change",
    "transform-job": "SageMaker Transform Job State Change",
    "hyper-parameter-tuning-job": "SageMaker HyperParameter Tuning Job State Change",
    "model": "SageMaker Model State Change",
    "model-package": "SageMaker Model Package State Change",
    "endpoint": "SageMaker Endpoint State Change",
    _REQUEST: "SageMaker Asynchronous Inference Result",
    _EXECUTION: "SageMaker Model Building Pipeline Execution Status Change",
    _STEP: "SageMaker Model Building Pipeline Execution Step Status Change",
    _ALARM: "CloudWatch Alarm State Change",
}
_SOURCES = {_ALARM: "aws.cloudwatch"}
_DEPLOYMENTS = {"endpoint.advanced": "SageMaker Endpoint Deployment State Change"}
"""Lines that tell of something else than their resource's own state."""
_JOBS = {
    "training-job": "TrainingJob",
    "processing-job": "ProcessingJob",
    "transform-job": "TransformJob",
    "hyper-parameter-tuning-job": "HyperParameterTuningJob",
}
_JOB_STATUS = {
    "created": "InProgress",
    "advanced": "InProgress",
    "stopping": "Stopping",
    "completed": "Completed",
    "failed": "Failed",
    "stopped": "Stopped",
}
"""What a job's status was when the line was written; it may have moved on since."""
_STATUS = {
    "created": "Executing",
    "started": "Executing",
    "retried": "Executing",
    "stop-requested": "Stopping",
    "succeeded": "Succeeded",
    "failed": "Failed",
    "stopped": "Stopped",
}
_WORD = re.compile(r"(?<=[a-z])(?=[A-Z])")
_BEFORE = {"Executing": "Starting", "Stopping": "Executing"}


class Triggers:
    """Follows the journal and tells the rules of it; a ``kernel.journal.Follower``.

    Parameters
    ----------
    store
        Where the journal is.
    rules
        Who is told.
    documents
        The describe document of a kind's resource, which its events have as detail.
    """

    name = "triggers"

    def __init__(self, store: MetadataStore, rules: Rules, documents: Documents) -> None:
        self._store = store
        self._rules = rules
        self._documents = documents

    def follow(self, events: Sequence[Event], transaction: Transaction) -> None:
        """Tell the rules of the next lines, in the transaction that moves on."""
        ours = [one for one in events if one.ref.kind in _KINDS]
        places = {(one.ref.account, one.ref.region) for one in ours}
        heard = {place for place in places if self._rules.listen(*place)}
        told = [
            found
            for one in ours
            if (one.ref.account, one.ref.region) in heard
            if (found := self._happening(one, transaction))
        ]
        if told:
            self._rules.tell(told, transaction)

    def _happening(self, event: Event, transaction: Transaction) -> Happening | None:
        ref = event.ref
        resource = transaction.get(ref)
        if ref.kind in (_EXECUTION, _STEP):
            detail = _of_pipeline(event, resource)
        elif ref.kind in (_REQUEST, _ALARM):
            detail = _of_line(event)
        elif ref.kind == "endpoint":
            detail = self._of_endpoint(event, resource)
        else:
            detail = self._of_other(event, resource)
        if detail is None:
            return None
        return Happening(
            account=ref.account,
            region=ref.region,
            source=_SOURCES.get(ref.kind, SOURCE),
            kind=_DEPLOYMENTS.get(event.action, _KINDS[ref.kind]),
            detail=detail,
            resources=_resources(ref),
            at=event.at,
            id=f"{event.id:032x}",
        )

    def _of_endpoint(self, event: Event, resource: Resource | None) -> JsonObject:
        """Write the describe document with the status of the line, in the events' spelling."""
        status = _WORD.sub("_", event.detail.get("status", "")).upper()
        told = {"EndpointStatus": status} if status else {}
        if resource is None:
            return {"EndpointName": event.ref.name, "EndpointArn": arn(event.ref), **told}
        document = _stamped(self._documents[event.ref.kind](resource))
        return {**document, **told, "Tags": dict(self._store.tags(event.ref))}

    def _of_other(self, event: Event, resource: Resource | None) -> JsonObject | None:
        """Write the describe document; what is gone has its name only."""
        describe = self._documents.get(event.ref.kind)
        job = _JOBS.get(event.ref.kind)
        status = _JOB_STATUS.get(event.action.rpartition(".")[2])
        if job is not None and (status is None or resource is None):
            return None
        if resource is None or describe is None:
            return {"Arn": arn(event.ref)}
        detail = _stamped(describe(resource)) | ({f"{job}Status": status} if job else {})
        if event.ref.kind == "model-package":
            later = self._store.events(after=event.id, ref=event.ref)
            for line in reversed(later):  # it may have been changed since
                detail |= line.detail.get("before") or {}
        return {name: value for name, value in detail.items() if value is not None}


def _of_line(event: Event) -> JsonObject | None:
    """Give what the line itself holds: of an alarm, only that its state has changed."""
    if event.ref.kind == _ALARM and event.action != "alarm.state-changed":
        return None
    return dict(event.detail) or None


def _of_pipeline(event: Event, resource: Resource | None) -> JsonObject | None:
    word = event.action.rpartition(".")[2]
    if word not in _STATUS or resource is None:
        return None
    status = _STATUS[word]
    pipeline, execution, *step = event.ref.name.split("/")
    ref, body = event.ref, resource.body
    detail: JsonObject = {
        "pipelineArn": arn(ref.sibling("pipeline", pipeline)),
        "pipelineExecutionArn": arn(ref.sibling(_EXECUTION, f"{pipeline}/{execution}")),
    }
    ended = status in ("Succeeded", "Failed", "Stopped")
    started, at = _second(resource.created_at), _second(event.at)
    before = "Executing" if ended else _BEFORE[status]
    if not step:
        return detail | {
            "pipelineExecutionDisplayName": body.get("display_name", ""),
            "pipelineExecutionDescription": body.get("description", ""),
            "currentPipelineExecutionStatus": status,
            "previousPipelineExecutionStatus": before,
            "executionStartTime": started,
            **({"executionEndTime": at} if ended else {}),
        }
    return detail | {
        "stepName": step[0],
        "stepType": body.get("type", ""),
        "currentStepStatus": status,
        "previousStepStatus": before,
        "stepStartTime": started,
        **({"stepEndTime": at} if ended else {}),
        **({"failureReason": event.detail["reason"]} if "reason" in event.detail else {}),
        "metadata": _camel(body.get("metadata") or {}),
    }


def _camel(metadata: Mapping[str, Any]) -> JsonObject:
    """Write a step's metadata as the events have it: ``{"processingJob": {"arn": …}}``."""
    return {
        name[:1].lower() + name[1:]: _camel(value) if isinstance(value, dict) else value
        for name, value in metadata.items()
    }


def _stamped(document: JsonObject) -> JsonObject:
    """Write times as the events have them: in milliseconds since 1970."""
    stamped: JsonObject = {
        name: int(value.timestamp() * 1000) if isinstance(value, datetime) else value
        for name, value in document.items()
    }
    written: JsonObject = plain(stamped)
    return written


def _resources(ref: Ref) -> list[str]:
    if ref.kind == _REQUEST:
        return [arn(ref.sibling("endpoint", ref.name.partition("/")[0]))]
    if ref.kind != _STEP:
        return [arn(ref)]
    pipeline, execution, _ = ref.name.split("/")
    return [
        arn(ref.sibling("pipeline", pipeline)),
        arn(ref.sibling(_EXECUTION, f"{pipeline}/{execution}")),
    ]


def _second(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
