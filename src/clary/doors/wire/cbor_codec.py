"""The smithy-rpc-v2-cbor protocol: the operation in the path, one CBOR item each way."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from clary.doors.wire import cbor
from clary.doors.wire.json_codec import JsonReader, JsonWriter
from clary.doors.wire.message import Response
from clary.doors.wire.scalars import Mismatch, read_time, show

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clary.doors.wire.errors import WireError
    from clary.doors.wire.json_codec import Convert
    from clary.doors.wire.message import Request
    from clary.doors.wire.model import Operation, Service, ShapeDocument

_HEADERS = {"smithy-protocol": "rpc-v2-cbor", "Content-Type": "application/cbor"}


class CborCodec:
    """One service's documents as CBOR."""

    def __init__(self, service: Service) -> None:
        self._reader = _Reader(service.shapes)
        self._writer = _Writer(service.shapes)

    def decode(
        self, operation: Operation, request: Request, labels: Mapping[str, str]
    ) -> dict[str, Any]:
        """Read a request's members. Raises Mismatch."""
        del labels
        if operation.input is None:
            return {}
        body = b"".join(request.body)
        result: dict[str, Any] = self._reader.reader(operation.input)(
            cbor.loads(body) if body else {}
        )
        return result

    def encode(self, operation: Operation, result: Mapping[str, Any], request_id: str) -> Response:
        """Write a result."""
        headers = {"x-amzn-RequestId": request_id, **_HEADERS}
        if operation.output is None:
            return Response(200, headers)
        document = self._writer.writer(operation.output)(result)
        return Response(200, headers, cbor.dumps(document))


def error_response(
    error: WireError, status: int, request_id: str, headers: Mapping[str, str]
) -> Response:
    """Write an error."""
    document = {"__type": error.code, "message": error.message, **error.members}
    every = {"x-amzn-RequestId": request_id, **_HEADERS, **headers, **error.headers}
    return Response(status, every, cbor.dumps(document))


class _Reader(JsonReader):
    """Reads blobs as bytes, and times as tagged or plain numbers."""

    def _compile(self, shape: ShapeDocument) -> Convert:
        match shape["type"]:
            case "blob":
                return _blob
            case "timestamp":
                return _time
        return super()._compile(shape)


class _Writer(JsonWriter):
    """Leaves bytes, numbers and moments to CBOR, which has words for all of them."""

    def _compile(self, shape: ShapeDocument) -> Convert:
        match shape["type"]:
            case "blob":
                return lambda value: value.encode() if isinstance(value, str) else value
            case "timestamp":
                return _time
            case "float" | "double":
                return float
        return super()._compile(shape)


def _blob(value: Any) -> bytes:
    if not isinstance(value, bytes):
        raise Mismatch(f"Expected bytes, not {show(repr(value))}")
    return value


def _time(value: Any) -> datetime:
    return value if isinstance(value, datetime) else read_time(value)
