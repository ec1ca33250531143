"""Queues and their messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from clary.doors.wire.errors import WireError
from clary.doors.wire.listing import answer
from clary.doors.wire.waiting import RECEIVERS
from clary.governance.presence import find
from clary.kernel.errors import ClaryError, InvalidInput
from clary.kernel.names import Ref, arn
from clary.kernel.resource import Query
from clary.queues.model import (
    QUEUE,
    Attribute,
    Draft,
    check_name,
    from_url,
    md5,
    md5_of_attributes,
    settings_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from clary.doors.wire.call import Call
    from clary.kernel.ports import JsonObject
    from clary.kernel.resource import Resource
    from clary.queues.model import Message, Received

_ALL = "All"
_LARGEST_BATCH = 10


def create_queue(call: Call) -> JsonObject:
    """Make a queue."""
    ref = Ref(call.account, call.region, QUEUE, call.params["QueueName"])
    call.platform.queues.create(
        ref, call.params.get("Attributes", {}), actor=call.actor, tags=call.params.get("tags")
    )
    return {"QueueUrl": _url(call, ref)}


def delete_queue(call: Call) -> JsonObject:
    """Remove a queue with its messages."""
    call.platform.queues.delete(_queue(call), actor=call.actor)
    return {}


def get_queue_url(call: Call) -> JsonObject:
    """Say where a queue is."""
    owner = call.params.get("QueueOwnerAWSAccountId", call.account)
    name = check_name(call.params["QueueName"])
    ref = from_url(f"http://any/{owner}/{name}", account=call.account, region=call.region)
    call.platform.queues.get(ref)
    return {"QueueUrl": _url(call, ref)}


def list_queues(call: Call) -> JsonObject:
    """List queues by name."""
    query = Query(
        QUEUE,
        call.account,
        call.region,
        name_prefix=call.params.get("QueueNamePrefix", ""),
        sort_by="name",
        descending=False,
        limit=call.params.get("MaxResults", 1000),
        token=call.params.get("NextToken", ""),
    )
    return _urls(call, "QueueUrls", query)


def list_dead_letter_source_queues(call: Call) -> JsonObject:
    """List the queues whose dead letters come to this one."""
    ref = _queue(call)
    call.platform.queues.get(ref)
    found = call.platform.queues.sources(ref)
    return {"queueUrls": [_url(call, one.ref) for one in found]}


def _urls(call: Call, member: str, query: Query) -> JsonObject:
    page = call.platform.queues.list(query)
    found = answer(member, (), page.token)
    return {**found, member: [_url(call, one.ref) for one in page.items]}


def get_queue_attributes(call: Call) -> JsonObject:
    """Describe a queue."""
    ref = _queue(call)
    queue = call.platform.queues.get(ref)
    names = call.params.get("AttributeNames", [])
    found = {**_settings(queue), **_facts(queue)}
    if {_ALL, *_COUNTED} & set(names):
        counts = call.platform.queues.counts(ref)
        found |= {name: str(getattr(counts, of)) for name, of in _COUNTED.items()}
    return {"Attributes": {k: v for k, v in found.items() if _ALL in names or k in names}}


_COUNTED = {
    "ApproximateNumberOfMessages": "visible",
    "ApproximateNumberOfMessagesNotVisible": "hidden",
    "ApproximateNumberOfMessagesDelayed": "delayed",
}


def _settings(queue: Resource) -> dict[str, str]:
    rules = settings_of(queue)
    found = {
        name: str(getattr(rules, member))
        for member, name in zip(
            rules.__struct_fields__, rules.__struct_encode_fields__, strict=True
        )
    }
    return {name: value for name, value in found.items() if value}


def _facts(queue: Resource) -> dict[str, str]:
    return {
        "QueueArn": arn(queue.ref),
        "CreatedTimestamp": str(int(queue.created_at.timestamp())),
        "LastModifiedTimestamp": str(int(queue.modified_at.timestamp())),
        "SqsManagedSseEnabled": "false",
    }


def set_queue_attributes(call: Call) -> JsonObject:
    """Change a queue's attributes."""
    call.platform.queues.update(_queue(call), call.params["Attributes"], actor=call.actor)
    return {}


def purge_queue(call: Call) -> JsonObject:
    """Remove a queue's messages."""
    call.platform.queues.purge(_queue(call), actor=call.actor)
    return {}


def tag_queue(call: Call) -> JsonObject:
    """Set a queue's tags."""
    call.platform.queues.tag(_queue(call), call.params["Tags"], actor=call.actor)
    return {}


def untag_queue(call: Call) -> JsonObject:
    """Remove tags of a queue."""
    gone = dict.fromkeys(call.params["TagKeys"])
    call.platform.queues.tag(_queue(call), gone, actor=call.actor)
    return {}


def list_queue_tags(call: Call) -> JsonObject:
    """List a queue's tags."""
    return {"Tags": dict(call.platform.queues.tags(_queue(call)))}


def send_message(call: Call) -> JsonObject:
    """Send a message."""
    return _send(call, _queue(call), call.params)


def send_message_batch(call: Call) -> JsonObject:
    """Send up to ten messages; each succeeds or fails for itself."""
    ref = _queue(call)
    return _batch(call, lambda entry: _send(call, ref, entry))


def receive_message(call: Call) -> JsonObject:
    """Receive messages, waiting for the first as long as asked."""
    with RECEIVERS.take() as seated:
        found = call.platform.queues.messages.receive(
            _queue(call),
            limit=call.params.get("MaxNumberOfMessages", 1),
            wait_s=call.params.get("WaitTimeSeconds") if seated else 0,
            hidden_s=call.params.get("VisibilityTimeout"),
        )
    return {"Messages": [_message(call, one) for one in found]} if found else {}


def delete_message(call: Call) -> JsonObject:
    """Remove a message that was received."""
    call.platform.queues.messages.remove(_queue(call), call.params["ReceiptHandle"])
    return {}


def delete_message_batch(call: Call) -> JsonObject:
    """Remove up to ten messages."""
    ref = _queue(call)
    messages = call.platform.queues.messages

    def remove(entry: JsonObject) -> JsonObject:
        messages.remove(ref, entry["ReceiptHandle"])
        return {}

    return _batch(call, remove)


def change_message_visibility(call: Call) -> JsonObject:
    """Let a message be received again later or sooner."""
    params = call.params
    messages = call.platform.queues.messages
    messages.hide(_queue(call), params["ReceiptHandle"], params["VisibilityTimeout"])
    return {}


def change_message_visibility_batch(call: Call) -> JsonObject:
    """Do so for up to ten messages."""
    ref = _queue(call)
    messages = call.platform.queues.messages

    def hide(entry: JsonObject) -> JsonObject:
        messages.hide(ref, entry["ReceiptHandle"], entry.get("VisibilityTimeout", 0))
        return {}

    return _batch(call, hide)


def _queue(call: Call) -> Ref:
    return from_url(call.params["QueueUrl"], account=call.account, region=call.region)


def _url(call: Call, ref: Ref) -> str:
    config = call.platform.config
    there = find(config.home)
    endpoint = there.endpoint if there else f"http://{config.host}:{config.port}"
    return f"{endpoint}/{ref.account}/{ref.name}"


def _send(call: Call, ref: Ref, entry: JsonObject) -> JsonObject:
    for member in ("MessageGroupId", "MessageDeduplicationId"):
        if member in entry:
            legal = "queues of strict order, which are not offered"
            raise InvalidInput(member, "is only for queues of strict order", legal=legal)
    attributes = _attributes(entry.get("MessageAttributes", {}))
    trace = _attributes(entry.get("MessageSystemAttributes", {})).get("AWSTraceHeader")
    draft = Draft(
        entry["MessageBody"],
        attributes,
        entry.get("DelaySeconds"),
        trace.string_value or "" if trace else "",
    )
    sent = call.platform.queues.messages.send(ref, draft, actor=call.actor)
    return {
        "MessageId": sent,
        "MD5OfMessageBody": md5(draft.text),
        "MD5OfMessageAttributes": md5_of_attributes(attributes) or None,
        "MD5OfMessageSystemAttributes": trace and md5_of_attributes({"AWSTraceHeader": trace}),
    }


def _attributes(given: JsonObject) -> dict[str, Attribute]:
    return {
        name: Attribute(one["DataType"], one.get("StringValue"), one.get("BinaryValue"))
        for name, one in given.items()
    }


def _message(call: Call, received: Received) -> JsonObject:
    message = received.message
    asked = call.params.get("MessageAttributeNames", [])
    attributes = {name: one for name, one in message.attributes.items() if _is_asked(name, asked)}
    wanted = {
        *call.params.get("AttributeNames", []),
        *call.params.get("MessageSystemAttributeNames", []),
    }
    system = {k: v for k, v in _system(message).items() if v and wanted & {_ALL, k}}
    return {
        "MessageId": received.id,
        "ReceiptHandle": received.handle,
        "Body": message.text,
        "MD5OfBody": md5(message.text),
        "Attributes": system or None,
        "MessageAttributes": {name: _attribute(one) for name, one in attributes.items()} or None,
        "MD5OfMessageAttributes": md5_of_attributes(attributes) or None,
    }


def _is_asked(name: str, asked: list[str]) -> bool:
    return any(
        word in (_ALL, ".*", name) or (word.endswith(".*") and name.startswith(word[:-1]))
        for word in asked
    )


def _system(message: Message) -> dict[str, str]:
    return {
        "SenderId": message.sender,
        "SentTimestamp": _milliseconds(message.sent_at),
        "ApproximateReceiveCount": str(message.received),
        "ApproximateFirstReceiveTimestamp": _milliseconds(message.first_received_at),
        "AWSTraceHeader": message.trace,
        "DeadLetterQueueSourceArn": message.source,
    }


def _milliseconds(at: datetime | None) -> str:
    return str(int(at.timestamp() * 1000)) if at else ""


def _attribute(one: Attribute) -> dict[str, Any]:
    return {
        "DataType": one.data_type,
        "StringValue": one.string_value,
        "BinaryValue": one.binary_value,
    }


def _batch(call: Call, do: Callable[[JsonObject], JsonObject]) -> JsonObject:
    entries = call.params["Entries"]
    ids = [entry["Id"] for entry in entries]
    if not entries:
        raise WireError("EmptyBatchRequest", "There must be at least one entry in the batch")
    if len(entries) > _LARGEST_BATCH:
        message = f"{len(entries)} entries in the batch; legal: at most {_LARGEST_BATCH}"
        raise WireError("TooManyEntriesInBatchRequest", message)
    if len(set(ids)) < len(ids):
        raise WireError("BatchEntryIdsNotDistinct", "Two entries of the batch have the same Id")
    done: JsonObject = {"Successful": [], "Failed": []}
    for entry in entries:
        try:
            done["Successful"].append({"Id": entry["Id"], **do(entry)})
        except InvalidInput as error:
            done["Failed"].append(_failure(entry, "InvalidParameterValue", error))
        except ClaryError as error:
            if error.retryable:
                raise
            done["Failed"].append(_failure(entry, "MessageNotInflight", error))
    return done


def _failure(entry: JsonObject, code: str, error: ClaryError) -> JsonObject:
    return {"Id": entry["Id"], "Code": code, "Message": error.message, "SenderFault": True}
