"""Requests to parameters and results to responses, for every protocol, driven by the models."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from clary.doors.wire import cbor_codec, form_codec, json_codec, model, xml_codec
from clary.doors.wire.errors import QUERY_WORDS
from clary.doors.wire.message import Response
from clary.doors.wire.rest_codec import RestCodec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clary.doors.wire.errors import WireError
    from clary.doors.wire.message import Request
    from clary.doors.wire.model import Operation, Service


class Codec(Protocol):
    """One service's way of writing requests and responses."""

    def decode(
        self, operation: Operation, request: Request, labels: Mapping[str, str]
    ) -> dict[str, Any]:
        """Read a request's members; ``labels`` are the path's. Raises Mismatch."""

    def encode(self, operation: Operation, result: Mapping[str, Any], request_id: str) -> Response:
        """Write a result."""


class JsonCodec:
    """The json protocol: everything in one JSON document."""

    def __init__(self, service: Service) -> None:
        self._reader = json_codec.JsonReader(service.shapes)
        self._writer = json_codec.JsonWriter(service.shapes)
        self._content_type = f"application/x-amz-json-{service.json_version}"

    def decode(
        self, operation: Operation, request: Request, labels: Mapping[str, str]
    ) -> dict[str, Any]:
        """Read a request's members. Raises Mismatch."""
        del labels
        if operation.input is None:
            return {}
        body = b"".join(request.body)
        result: dict[str, Any] = self._reader.reader(operation.input)(
            json_codec.parse(body) if body else {}
        )
        return result

    def encode(self, operation: Operation, result: Mapping[str, Any], request_id: str) -> Response:
        """Write a result."""
        headers = {"x-amzn-RequestId": request_id, "Content-Type": self._content_type}
        if operation.output is None:
            return Response(200, headers)
        document = self._writer.writer(operation.output)(result)
        return Response(200, headers, msgspec.json.encode(document))


class QueryCodec:
    """The query protocol: a form in, XML out."""

    def __init__(self, service: Service) -> None:
        self._reader = form_codec.FormReader(service.shapes)
        self._writer = xml_codec.XmlWriter(service.shapes)
        self._namespace = service.namespace

    def decode(
        self, operation: Operation, request: Request, labels: Mapping[str, str]
    ) -> dict[str, Any]:
        """Read a request's members. Raises Mismatch."""
        del labels
        if operation.input is None:
            return {}
        form = form_codec.parse(b"".join(request.body) or request.query.encode())
        result: dict[str, Any] = self._reader.read(operation.input, form)
        return result

    def encode(self, operation: Operation, result: Mapping[str, Any], request_id: str) -> Response:
        """Write a result."""
        headers = {"x-amzn-RequestId": request_id, "Content-Type": "text/xml"}
        tag = f"{operation.name}Response"
        inner = b""
        if operation.output is not None:
            wrapper = operation.output_wrapper or f"{operation.name}Result"
            inner = self._writer.element({"shape": operation.output}, wrapper, result)
        metadata = f"<RequestId>{request_id}</RequestId>"
        body = (
            f'<{tag} xmlns="{self._namespace}">'.encode()
            + inner
            + f"<ResponseMetadata>{metadata}</ResponseMetadata></{tag}>".encode()
        )
        return Response(200, headers, body)


@functools.cache
def codec(name: str, protocol: str = "") -> Codec:
    """Return the codec of a service, in one of its protocols or else its own."""
    service = model.service(name)
    match protocol or service.protocol:
        case model.CBOR:
            return cbor_codec.CborCodec(service)
        case "json":
            return JsonCodec(service)
        case "query":
            return QueryCodec(service)
    return RestCodec(service)


def encode_error(
    error: WireError,
    name: str,
    operation: Operation | None,
    request_id: str,
    protocol: str = "",
) -> Response:
    """Write an error as a service's protocol writes errors."""
    service = model.service(name)
    declared = operation.errors.get(error.code) if operation else None
    status = declared or error.status
    match protocol or service.protocol:
        case model.CBOR:
            return cbor_codec.error_response(
                error, status, request_id, _query_words(error, service, status)
            )
        case "json" | "rest-json":
            return _json_error(error, service, status, request_id)
        case "query":
            return _query_error(error, service, status, request_id)
    return _xml_error(error, status, request_id)


def _query_words(error: WireError, service: Service, status: int) -> dict[str, str]:
    """Name the error as the query protocol did, where the service once spoke it."""
    if not service.query_compatible:
        return {}
    fault = "Sender" if status < 500 else "Receiver"
    word = QUERY_WORDS.get((service.name, error.code), error.code)
    return {"x-amzn-query-error": f"{word};{fault}"}


def _json_error(error: WireError, service: Service, status: int, request_id: str) -> Response:
    rest = service.protocol == "rest-json"
    content_type = "json" if rest else f"x-amz-json-{service.json_version}"
    headers = {
        "x-amzn-RequestId": request_id,
        "x-amzn-ErrorType": error.code,
        "Content-Type": f"application/{content_type}",
        **error.headers,
        **_query_words(error, service, status),
    }
    document = {
        "__type": error.code,
        "message": error.message,
        "Message": error.message,
        **error.members,
    }
    return Response(status, headers, msgspec.json.encode(document))


def _query_error(error: WireError, service: Service, status: int, request_id: str) -> Response:
    fault = "Sender" if status < 500 else "Receiver"
    text = (
        f'<ErrorResponse xmlns="{service.namespace}"><Error><Type>{fault}</Type>{_inner(error)}'
        f"</Error><RequestId>{request_id}</RequestId></ErrorResponse>"
    )
    headers = {"x-amzn-RequestId": request_id, "Content-Type": "text/xml"}
    return Response(status, headers | error.headers, text.encode("utf-8", "replace"))


def _xml_error(error: WireError, status: int, request_id: str) -> Response:
    text = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Error>{_inner(error)}<RequestId>{request_id}</RequestId></Error>"
    )
    headers = {"x-amz-request-id": request_id, "Content-Type": "application/xml"}
    return Response(status, headers | error.headers, text.encode("utf-8", "replace"))


def _inner(error: WireError) -> str:
    members = {"Code": error.code, "Message": error.message, **error.members}
    return "".join(f"<{key}>{xml_codec.escape(str(text))}</{key}>" for key, text in members.items())
