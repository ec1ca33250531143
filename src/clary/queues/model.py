"""Queues and messages: attributes, limits, names and sums, in SQS's words."""

from __future__ import annotations

import hashlib
import re
import struct
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec

from clary.kernel.codec import build, from_json
from clary.kernel.errors import InvalidInput, NotFound, NotSupported
from clary.kernel.names import Ref, parse_arn

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clary.kernel.resource import Resource

QUEUE = "queue"
MESSAGE = "queue-message"
LARGEST_BYTES = 1 << 20
_NAME = re.compile(r"[A-Za-z0-9_-]{1,80}")
_URL = re.compile(r"https?://[^/]+/([0-9]{12})/([^/]+)/?")
_NOT_TEXT = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_TYPE = re.compile(r"(String|Number|Binary)(\.[A-Za-z0-9_.-]+)?")
_NOT_OFFERED = {
    "FifoQueue": "queues of strict order",
    "ContentBasedDeduplication": "queues of strict order",
    "DeduplicationScope": "queues of strict order",
    "FifoThroughputLimit": "queues of strict order",
    "KmsMasterKeyId": "encrypted queues",
    "KmsDataKeyReusePeriodSeconds": "encrypted queues",
    "SqsManagedSseEnabled": "encrypted queues",
}
_MOST_ATTRIBUTES = 10

State = Literal["Visible", "Delayed", "Hidden"]


class Settings(msgspec.Struct, frozen=True, rename="pascal", forbid_unknown_fields=True):
    """A queue's attributes; times in seconds, sizes in bytes."""

    delay_seconds: Annotated[int, msgspec.Meta(ge=0, le=900)] = 0
    maximum_message_size: Annotated[int, msgspec.Meta(ge=1024, le=LARGEST_BYTES)] = LARGEST_BYTES
    message_retention_period: Annotated[int, msgspec.Meta(ge=60, le=1_209_600)] = 345_600
    receive_message_wait_time_seconds: Annotated[int, msgspec.Meta(ge=0, le=20)] = 0
    visibility_timeout: Annotated[int, msgspec.Meta(ge=0, le=43_200)] = 30
    policy: str = ""
    redrive_policy: str = ""
    redrive_allow_policy: str = ""

    @property
    def redrive(self) -> Redrive | None:
        """Where messages go that are received too often."""
        if not self.redrive_policy:
            return None
        document = from_json(self.redrive_policy, field="RedrivePolicy")
        return build(Redrive, document, field="RedrivePolicy")


class Redrive(msgspec.Struct, frozen=True, rename="camel"):
    """A queue's dead-letter queue, and how often a message is tried."""

    dead_letter_target_arn: str
    max_receive_count: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 10

    @property
    def target(self) -> Ref:
        """The dead-letter queue. Raises InvalidInput."""
        field = "RedrivePolicy.deadLetterTargetArn"
        ref = parse_arn(self.dead_letter_target_arn, field=field)
        if ref.kind != QUEUE:
            raise InvalidInput(field, f"{self.dead_letter_target_arn!r} is no queue")
        return ref


class Attribute(msgspec.Struct, frozen=True, rename="pascal", omit_defaults=True):
    """A message's attribute; binary values are bytes."""

    data_type: str
    string_value: str | None = None
    binary_value: bytes | None = None


class Message(msgspec.Struct, frozen=True, omit_defaults=True):
    """The body of a message's resource.

    Parameters
    ----------
    text
        What was sent.
    sender
        Who sent it.
    sent_at
        When; a dead letter keeps its own.
    visible_at
        From when on it may be received.
    received
        How often it was.
    receipt
        The word that its last receiver removes it with.
    source
        ARN of the queue that a dead letter comes from.
    """

    text: str
    sender: str
    sent_at: datetime
    visible_at: datetime
    attributes: dict[str, Attribute] = {}
    trace: str = ""
    received: int = 0
    first_received_at: datetime | None = None
    receipt: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class Draft:
    """A message to send."""

    text: str
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    delay_s: int | None = None
    trace: str = ""


@dataclass(frozen=True, slots=True)
class Received:
    """A message in somebody's hands."""

    id: str
    handle: str
    message: Message


@dataclass(frozen=True, slots=True)
class Counts:
    """How many messages a queue holds."""

    visible: int = 0
    hidden: int = 0
    delayed: int = 0


def settings(attributes: Mapping[str, Any]) -> Settings:
    """Read a queue's attributes, values as texts.

    Raises
    ------
    InvalidInput
        One is unknown or out of its bounds.
    NotSupported
        One asks for what is not offered: strict order, encryption.
    """
    for name, value in attributes.items():
        if name in _NOT_OFFERED and value not in ("", "false"):
            raise NotSupported(f"{name}: {_NOT_OFFERED[name]} are not offered")
    offered = {name: value for name, value in attributes.items() if name not in _NOT_OFFERED}
    found = build(Settings, offered, field="Attributes")
    if found.redrive is not None:
        _ = found.redrive.target
    return found


def settings_of(queue: Resource) -> Settings:
    """Read a stored queue's attributes."""
    return settings(queue.body["attributes"])


def check_name(name: str) -> str:
    """Refuse a name that no queue can have. Raises InvalidInput, NotSupported."""
    if name.endswith(".fifo"):
        raise NotSupported(f"{name}: {_NOT_OFFERED['FifoQueue']} are not offered")
    if not _NAME.fullmatch(name):
        legal = "1 to 80 letters, digits, - and _"
        raise InvalidInput("QueueName", f"{name!r:.100}", legal=legal)
    return name


def from_url(url: str, *, account: str, region: str, field: str = "QueueUrl") -> Ref:
    """Read a queue's URL; of its host nothing is taken.

    Raises
    ------
    InvalidInput
        It is no such URL.
    NotFound
        It is another account's.

    Examples
    --------
    >>> url = "https://sqs.us-east-1.amazonaws.com/123456789012/callbacks"
    >>> str(from_url(url, account="123456789012", region="us-east-1"))
    'queue callbacks'
    """
    match = _URL.fullmatch(url)
    if match is None:
        legal = "like http://<host>/<account>/<queue>"
        raise InvalidInput(field, f"{url!r:.200} is no queue's URL", legal=legal)
    if match[1] != account:
        raise NotFound(f"the queue {url}")
    return Ref(account, region, QUEUE, match[2])


def check_draft(draft: Draft, limit_bytes: int) -> None:
    """Refuse a message that cannot be sent.

    Raises
    ------
    InvalidInput
        It is empty, too long, or holds characters that are no text; or an attribute is wrong.
    """
    if wrong := _NOT_TEXT.search(draft.text):
        raise InvalidInput("MessageBody", f"the character {wrong[0]!a} is no text")
    if len(draft.attributes) > _MOST_ATTRIBUTES:
        problem = f"{len(draft.attributes)} of them"
        raise InvalidInput("MessageAttributes", problem, legal=f"at most {_MOST_ATTRIBUTES}")
    for name, attribute in draft.attributes.items():
        _check_attribute(f"MessageAttributes.{name}", attribute)
    size = size_bytes(draft)
    if not draft.text or size > limit_bytes:
        raise InvalidInput("MessageBody", f"{size} bytes", legal=f"1 to {limit_bytes} bytes")
    if draft.delay_s is not None and not 0 <= draft.delay_s <= 900:
        raise InvalidInput("DelaySeconds", f"{draft.delay_s}", legal="0 to 900")


def _check_attribute(place: str, attribute: Attribute) -> None:
    if not _TYPE.fullmatch(attribute.data_type):
        raise InvalidInput(
            f"{place}.DataType", f"{attribute.data_type!r:.100}", legal="String, Number, Binary"
        )
    binary = attribute.data_type.startswith("Binary")
    value = attribute.binary_value if binary else attribute.string_value
    if not value:
        member = "BinaryValue" if binary else "StringValue"
        raise InvalidInput(f"{place}.{member}", "is missing or empty")


def size_bytes(draft: Draft) -> int:
    """Count what a message's size is measured by: its text and its attributes."""
    return len(draft.text.encode()) + sum(
        len(name.encode()) + len(one.data_type) + len(_value(one))
        for name, one in draft.attributes.items()
    )


def _value(attribute: Attribute) -> bytes:
    if attribute.data_type.startswith("Binary"):
        return attribute.binary_value or b""
    return (attribute.string_value or "").encode()


def md5(text: str) -> str:
    """Sum up a message's text, as its sender compares it."""
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def md5_of_attributes(attributes: Mapping[str, Attribute]) -> str:
    """Sum up attributes, by name: lengths (4 bytes) and bytes of name, type and value.

    A byte before the value says whether it is text (1) or binary (2). Empty without attributes.
    """
    if not attributes:
        return ""
    total = hashlib.md5(usedforsecurity=False)
    for name, one in sorted(attributes.items()):
        binary = one.data_type.startswith("Binary")
        for part in (name.encode(), one.data_type.encode()):
            total.update(struct.pack("!I", len(part)) + part)
        value = _value(one)
        total.update((b"\2" if binary else b"\1") + struct.pack("!I", len(value)) + value)
    return total.hexdigest()
