"""What asynchronous requests and their endpoints' configurations carry, typed."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Annotated, Any

from msgspec import Meta, Struct, field

from clary.endpoints import body
from clary.endpoints.notifications import ERROR, LONGEST_RESPONSE, SUCCESS, Notification
from clary.jobs.contract import join_uri, split_uri
from clary.kernel.codec import build
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from clary.endpoints.invocations import Reply
    from clary.kernel.names import Ref
    from clary.kernel.ports import JsonObject
    from clary.kernel.resource import Resource

LARGEST_BODY = 128_000
"""Bytes of an input that comes with its request."""
LARGEST_INPUT = 1 << 30
"""Bytes of an input in S3; as much memory is needed to send it to its worker."""
LIMITS = {"timeout_s": 3600.0, "body_bytes": float(LARGEST_INPUT)}
"""What fleets of asynchronous endpoints allow."""


class AsyncRequest(Struct, frozen=True, rename="pascal"):
    """What InvokeEndpointAsync carries."""

    endpoint_name: str
    content_type: str = ""
    accept: str = ""
    custom_attributes: str = ""
    inference_id: str = ""
    input_location: str = ""
    s3_output_path_extension: str = field(default="", name="S3OutputPathExtension")
    filename: str = ""
    request_ttl_seconds: Annotated[int, Meta(ge=60, le=21_600)] = field(
        default=21_600, name="RequestTTLSeconds"
    )
    invocation_timeout_seconds: Annotated[int, Meta(ge=1, le=3600)] = 900
    body: bytes = b""


class Places(Struct, frozen=True):
    """Where an answer goes: S3 URIs; empty: nowhere."""

    output: str = ""
    failure: str = ""

    def response(self, reply: Reply, *, failed: bool) -> JsonObject:
        """Write ``responseParameters`` of a notification."""
        where = {"failureLocation": self.failure} if failed else {"outputLocation": self.output}
        return {"contentType": reply.content_type, **where}


class Output(Struct, frozen=True, rename="pascal"):
    """Where answers go."""

    s3_output_path: str = ""
    s3_failure_path: str = ""
    notification_config: Notification = Notification()


class Client(Struct, frozen=True, rename="pascal"):
    """How many requests an instance may have at once; ours take one at a time."""

    max_concurrent_invocations_per_instance: Annotated[int, Meta(ge=1, le=1000)] = 1


class AsyncConfig(Struct, frozen=True, rename="pascal"):
    """``AsyncInferenceConfig``."""

    output_config: Output
    client_config: Client = Client()

    def places(self, request: AsyncRequest, uid: str) -> Places:
        """Say where the answer of a request goes."""
        output = self.output_config
        name = request.filename or f"{uid}.out"
        stem, dot, ending = name.rpartition(".")
        failed = f"{stem}-error{dot}{ending}" if dot else f"{name}-error"
        below = [part for part in (request.s3_output_path_extension.strip("/"),) if part]
        return Places(
            join_uri(output.s3_output_path, *below, name) if output.s3_output_path else "",
            join_uri(output.s3_failure_path, *below, failed) if output.s3_failure_path else "",
        )

    def notification(
        self, told: JsonObject, reply: Reply, *, failed: bool
    ) -> tuple[str, JsonObject]:
        """Say which topic is told, and what: with the answer, where that is wanted."""
        wanted = self.output_config.notification_config
        topic = wanted.error_topic if failed else wanted.success_topic
        included = (ERROR if failed else SUCCESS) in wanted.include_inference_response_in
        if not included or len(reply.body) > LONGEST_RESPONSE:  # type: ignore[arg-type]  # whole
            return topic, told
        answer = base64.b64encode(reply.body).decode()  # type: ignore[arg-type]  # whole
        response = {**told["responseParameters"], "body": answer}
        return topic, {**told, "responseParameters": response}


def read(request: JsonObject) -> AsyncRequest:
    """Read an InvokeEndpointAsync document.

    Raises
    ------
    InvalidInput
        A member is malformed, or not exactly one of InputLocation and Body is given.
    """
    fields: dict[str, Any] = dict(request)
    payload = fields.pop("Body", b"")
    view = build(AsyncRequest, fields)
    whole = payload if isinstance(payload, bytes) else b"".join(payload)
    if bool(view.input_location) == bool(whole):
        legal = "either InputLocation or Body"
        raise InvalidInput("InputLocation", "not exactly one of both is given", legal=legal)
    if len(whole) > LARGEST_BODY:
        raise InvalidInput("Body", f"{len(whole)} bytes", legal=f"at most {LARGEST_BODY}")
    if view.input_location:
        split_uri(view.input_location, field="InputLocation")
    if ".." in view.s3_output_path_extension.split("/"):
        raise InvalidInput("S3OutputPathExtension", "it leaves the output path")
    return AsyncRequest(**{**{name: getattr(view, name) for name in _FIELDS}, "body": whole})


_FIELDS = AsyncRequest.__struct_fields__


def config(document: JsonObject) -> AsyncConfig:
    """Read an ``AsyncInferenceConfig``. Raises InvalidInput."""
    read_config = build(AsyncConfig, document, field="AsyncInferenceConfig")
    output = read_config.output_config
    for member, uri in (
        ("S3OutputPath", output.s3_output_path),
        ("S3FailurePath", output.s3_failure_path),
    ):
        if uri:
            split_uri(uri, field=f"AsyncInferenceConfig.OutputConfig.{member}")
    if not output.s3_output_path and not output.notification_config.success_topic:
        problem = "missing: the answers would go nowhere"
        raise InvalidInput("AsyncInferenceConfig.OutputConfig.S3OutputPath", problem)
    return read_config


def config_of(endpoint: Resource | None, ref: Ref) -> AsyncConfig:
    """Say where an endpoint in service puts its answers.

    Raises
    ------
    InvalidInput
        There is none of this name, or it is not asynchronous.
    """
    served = body.read(endpoint).served if endpoint else None
    if served is None:
        raise InvalidInput("", f"Endpoint {ref.name} of account {ref.account} not found.")
    document = served.document.get("AsyncInferenceConfig")
    if document is None:
        raise InvalidInput(
            "",
            f"Endpoint {ref.name} is not asynchronous.",
            hint="invoke it by InvokeEndpoint, or give it an AsyncInferenceConfig",
        )
    return config(document)
