"""What is told of an asynchronous request that has ended, and to whom.

There is no SNS here. A topic's ARN stands for the queue of the same name, as if that queue were
subscribed to it: it gets the envelope that SNS would send. The journal has every end too, so that
rules of EventBridge reach pipelines, functions and webhooks.
"""

from __future__ import annotations

import re
import uuid
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from clary.kernel.codec import to_json
from clary.kernel.errors import InvalidInput, NotFound
from clary.queues.model import QUEUE, Draft

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from clary.kernel.names import Ref
    from clary.kernel.ports import JsonObject, Transaction
    from clary.kernel.resource import Resource
    from clary.queues.messages import Messages

SUCCESS, ERROR = "SUCCESS_NOTIFICATION_TOPIC", "ERROR_NOTIFICATION_TOPIC"
LONGEST_RESPONSE = 128_000
"""Bytes of an answer that go along with its notification."""
_TOPIC = re.compile(r"arn:aws[a-z-]*:sns:([a-z0-9-]*):([0-9]{12}):([A-Za-z0-9_.-]+)")


class Notification(Struct, frozen=True, rename="pascal"):
    """``NotificationConfig``: topics, and which of them get the answers themselves."""

    success_topic: str = ""
    error_topic: str = ""
    include_inference_response_in: tuple[str, ...] = ()


def queue_of(topic: str, near: Ref, *, field: str) -> Ref:
    """Say which queue a topic stands for.

    Raises
    ------
    InvalidInput
        It is no topic's ARN, or one of another account or region; names ``field``.
    """
    match = _TOPIC.fullmatch(topic)
    if match is None:
        raise InvalidInput(field, f"{topic!r} is not the ARN of a topic")
    region, account, name = match.groups()
    if (account, region) != (near.account, near.region):
        legal = f"a topic of account {near.account} in {near.region}"
        raise InvalidInput(field, f"{topic!r} lies elsewhere", legal=legal)
    return near.sibling(QUEUE, name)


def check(get: Callable[[Ref], Resource | None], near: Ref, wanted: Notification) -> None:
    """Refuse topics that nobody hears: each must have its queue.

    Raises InvalidInput.
    """
    for field, topic in (
        ("SuccessTopic", wanted.success_topic),
        ("ErrorTopic", wanted.error_topic),
    ):
        place = f"AsyncInferenceConfig.OutputConfig.NotificationConfig.{field}"
        if topic and get(queue_of(topic, near, field=place)) is None:
            name = queue_of(topic, near, field=place).name
            problem = f"{topic!r} stands for the queue {name}, which does not exist"
            raise InvalidInput(place, problem, hint=f"create the SQS queue {name} first")


def document(  # noqa: PLR0913 - the members of one document
    endpoint: Ref,
    asked: JsonObject,
    *,
    received_at: datetime,
    ended_at: datetime,
    inference_id: str,
    failure: str | None,
    response: JsonObject,
) -> JsonObject:
    """Write what is told, in SageMaker's words.

    Parameters
    ----------
    endpoint
        Who was asked.
    asked
        The InvokeEndpointAsync document.
    received_at, ended_at, inference_id
        Of the request.
    failure
        Why it has failed; None: it has not.
    response
        ``responseParameters``: content type, and where the answer is.
    """
    told: dict[str, Any] = {
        "awsRegion": endpoint.region,
        "eventTime": _stamp(ended_at),
        "receivedTime": _stamp(received_at),
        "invocationStatus": "Completed" if failure is None else "Failed",
        "requestParameters": {
            "contentType": asked.get("ContentType", ""),
            "endpointName": endpoint.name,
            "inputLocation": asked.get("InputLocation", ""),
        },
        "responseParameters": response,
        "inferenceId": inference_id,
        "eventVersion": "1.0",
        "eventSource": "aws:sagemaker",
        "eventName": "InferenceResult",
    }
    return told if failure is None else {**told, "failureReason": failure}


def tell(
    messages: Messages, topic: str, told: JsonObject, near: Ref, *, transaction: Transaction
) -> str:
    """Send a notification to a topic's queue; says why it could not be sent, or nothing."""
    envelope = {
        "Type": "Notification",
        "MessageId": str(uuid.uuid4()),
        "TopicArn": topic,
        "Message": to_json(told).decode(),
        "Timestamp": told["eventTime"],
    }
    try:
        queue = queue_of(topic, near, field="topic")
        draft = Draft(to_json(envelope).decode())
        messages.send(queue, draft, actor="clary", transaction=transaction)
    except (NotFound, InvalidInput) as error:
        return error.message
    return ""


def _stamp(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z"
