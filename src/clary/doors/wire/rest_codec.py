"""Where REST protocols put members: path, query, headers, and the body in JSON or XML."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import parse_qsl, unquote

import msgspec

from clary.doors.wire import event_stream, json_codec, xml_codec
from clary.doors.wire.message import Response
from clary.doors.wire.scalars import TEXT_READERS, Mismatch, read_blob, text_writer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from clary.doors.wire.message import Request
    from clary.doors.wire.model import Operation, Service, ShapeDocument

_MOST_FIELDS = 1000
# Names of S3's documents, which its model leaves to each client.
_S3_ROOTS = {
    "ListBuckets": "ListAllMyBucketsResult",
    "ListObjects": "ListBucketResult",
    "ListObjectsV2": "ListBucketResult",
    "ListObjectVersions": "ListVersionsResult",
    "ListMultipartUploads": "ListMultipartUploadsResult",
    "ListParts": "ListPartsResult",
    "CreateMultipartUpload": "InitiateMultipartUploadResult",
    "CompleteMultipartUpload": "CompleteMultipartUploadResult",
    "DeleteObjects": "DeleteResult",
}
_S3_NAMESPACE = {"uri": "http://s3.amazonaws.com/doc/2006-03-01/"}
# S3 answers these with the member itself as the document.
_S3_UNWRAPPED = {"GetBucketLocation": "LocationConstraint"}


def parse_query(query: str) -> dict[str, list[str]]:
    """Read a query string. Raises Mismatch."""
    try:
        pairs = parse_qsl(
            query, keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS
        )
    except ValueError as error:
        raise Mismatch(f"The query string is malformed: {error}") from None
    found: dict[str, list[str]] = {}
    for key, value in pairs:
        found.setdefault(key, []).append(value)
    return found


class Documents(Protocol):
    """The body's format."""

    content_type: str

    def read(self, shape: str, body: bytes) -> dict[str, Any]:
        """Read a body as a shape. Raises Mismatch."""

    def write(self, reference: ShapeDocument, tag: str, value: Any) -> bytes:
        """Write a value as a body."""


class JsonDocuments:
    """Bodies of rest-json."""

    content_type = "application/json"

    def __init__(self, service: Service) -> None:
        self._reader = json_codec.JsonReader(service.shapes)
        self._writer = json_codec.JsonWriter(service.shapes)

    def read(self, shape: str, body: bytes) -> dict[str, Any]:
        """Read a body as a shape. Raises Mismatch."""
        result: dict[str, Any] = self._reader.reader(shape)(json_codec.parse(body))
        return result

    def write(self, reference: ShapeDocument, tag: str, value: Any) -> bytes:
        """Write a value as a body; JSON needs no tag."""
        del tag
        return msgspec.json.encode(self._writer.writer(reference["shape"])(value))


class XmlDocuments:
    """Bodies of rest-xml."""

    content_type = "application/xml"

    def __init__(self, service: Service) -> None:
        self._reader = xml_codec.XmlReader(service.shapes)
        self._writer = xml_codec.XmlWriter(service.shapes)

    def read(self, shape: str, body: bytes) -> dict[str, Any]:
        """Read a body as a shape. Raises Mismatch."""
        result: dict[str, Any] = self._reader.reader(shape)(xml_codec.parse(body))
        return result

    def write(self, reference: ShapeDocument, tag: str, value: Any) -> bytes:
        """Write a value as a body."""
        return self._writer.document(reference, tag, value)


class RestCodec:
    """Decodes and encodes the operations of a REST service."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._shapes = service.shapes
        self._documents: Documents = (
            JsonDocuments(service) if service.protocol == "rest-json" else XmlDocuments(service)
        )

    def decode(
        self, operation: Operation, request: Request, labels: Mapping[str, str]
    ) -> dict[str, Any]:
        """Read a request's members. Raises Mismatch."""
        if operation.input is None:
            return {}
        shape = self._shapes[operation.input]
        result = dict(self._bound(shape, request, labels))
        try:
            return result | self._in_body(operation.input, shape, request)
        except Mismatch as mismatch:
            mismatch.in_document = True
            raise

    def _in_body(self, name: str, shape: ShapeDocument, request: Request) -> dict[str, Any]:
        if payload := shape.get("payload"):
            value = self._payload(shape["members"][payload], request)
            return {} if value is None else {payload: value}
        body = b"".join(request.body)
        return self._documents.read(name, body) if body else {}

    def _bound(
        self, shape: ShapeDocument, request: Request, labels: Mapping[str, str]
    ) -> Iterator[tuple[str, Any]]:
        query = parse_query(request.query)
        readers: Mapping[str, Callable[[str, ShapeDocument], Any]] = {
            "uri": lambda key, member: self._label(labels[key], member),
            "querystring": lambda key, member: self._queried(query, key, member, shape),
            "header": lambda key, member: self._header(request.headers.get(key.lower()), member),
            "headers": lambda key, _: _prefixed(request.headers, key.lower()),
        }
        for name, member in shape["members"].items():
            location = member.get("location")
            if location is not None:
                try:
                    value = readers[location](member.get("locationName", name), member)
                except Mismatch as mismatch:
                    mismatch.path.append(name)
                    raise
                if value is not None:
                    yield name, value

    def _kind(self, member: ShapeDocument) -> str:
        kind: str = self._shapes[member["shape"]]["type"]
        return kind

    def _label(self, raw: str, member: ShapeDocument) -> Any:
        try:
            text = unquote(raw, errors="strict")
        except UnicodeDecodeError:
            raise Mismatch("The path is not UTF-8") from None
        return TEXT_READERS[self._kind(member)](text)

    def _queried(
        self,
        query: Mapping[str, list[str]],
        key: str,
        member: ShapeDocument,
        parent: ShapeDocument,
    ) -> Any:
        shape = self._shapes[member["shape"]]
        if shape["type"] == "map":
            taken = {other.get("locationName") for other in parent["members"].values()}
            several = self._kind(shape["value"]) == "list"
            return {
                name: values if several else values[0]
                for name, values in query.items()
                if name not in taken
            }
        if key not in query:
            return None
        if shape["type"] == "list":
            return [TEXT_READERS[self._kind(shape["member"])](text) for text in query[key]]
        return TEXT_READERS[shape["type"]](query[key][0])

    def _header(self, raw: str | None, member: ShapeDocument) -> Any:
        if raw is None:
            return None
        if member.get("jsonvalue"):
            return json_codec.parse(read_blob(raw))
        shape = self._shapes[member["shape"]]
        if shape["type"] == "list":
            return [part.strip() for part in raw.split(",")]
        return TEXT_READERS[shape["type"]](raw)

    def _payload(self, member: ShapeDocument, request: Request) -> Any:
        kind = self._kind(member)
        if kind == "blob" and member.get("streaming"):
            return request.body
        body = b"".join(request.body)
        if kind == "blob":
            return body
        if kind == "string":
            try:
                return body.decode()
            except UnicodeDecodeError:
                raise Mismatch("The body is not UTF-8") from None
        return self._documents.read(member["shape"], body) if body else None

    def encode(self, operation: Operation, result: Mapping[str, Any], request_id: str) -> Response:
        """Write a result."""
        name = "x-amz-request-id" if self._service.name == "s3" else "x-amzn-RequestId"
        response = Response(operation.status, {name: request_id})
        if operation.output is None:
            return response
        shape = self._shapes[operation.output]
        if "ContentRange" in result:
            response.status = 206
        in_body = False
        for key, member in shape["members"].items():
            if "location" not in member:
                in_body = True
            elif (value := result.get(key)) is not None:
                self._bind(response, member, member.get("locationName", key), value)
        if payload := shape.get("payload"):
            self._write_payload(response, shape["members"][payload], result.get(payload))
        elif in_body:
            self._write_document(response, operation, result)
        return response

    def _bind(self, response: Response, member: ShapeDocument, key: str, value: Any) -> None:
        match member["location"]:
            case "header":
                response.headers[key] = self._header_text(member, value)
            case "headers":
                response.headers.update({f"{key}{name}": text for name, text in value.items()})
            case "statusCode":
                response.status = value

    def _header_text(self, member: ShapeDocument, value: Any) -> str:
        if member.get("jsonvalue"):
            return base64.b64encode(msgspec.json.encode(value)).decode()
        shape = self._shapes[member["shape"]]
        if shape["type"] == "list":
            return ",".join(map(str, value))
        form = shape.get("timestampFormat") or member.get("timestampFormat") or "rfc822"
        return text_writer(shape["type"], form)(value)

    def _write_payload(self, response: Response, member: ShapeDocument, value: Any) -> None:
        if value is None:
            return
        if self._shapes[member["shape"]].get("eventstream"):
            response.headers["Content-Type"] = event_stream.CONTENT_TYPE
            response.body = event_stream.encode(value, self._shapes, member["shape"])
            return
        if self._kind(member) in ("blob", "string"):
            response.body = value.encode() if isinstance(value, str) else value
            return
        tag = member.get("locationName") or member["shape"]
        self._write(response, member, tag, value)

    def _write_document(
        self, response: Response, operation: Operation, result: Mapping[str, Any]
    ) -> None:
        name = operation.output or ""
        reference: ShapeDocument = {"shape": name}
        tag = self._shapes[name].get("locationName") or name
        value: Any = result
        if self._service.name == "s3":
            reference["xmlNamespace"] = _S3_NAMESPACE
            tag = _S3_ROOTS.get(operation.name, tag)
            if inner := _S3_UNWRAPPED.get(operation.name):
                reference["shape"] = self._shapes[name]["members"][inner]["shape"]
                tag, value = inner, result.get(inner) or ""
        self._write(response, reference, tag, value)

    def _write(self, response: Response, reference: ShapeDocument, tag: str, value: Any) -> None:
        response.headers["Content-Type"] = self._documents.content_type
        response.body = self._documents.write(reference, tag, value)


def _prefixed(headers: Mapping[str, str], prefix: str) -> dict[str, str] | None:
    found = {
        name[len(prefix) :]: value for name, value in headers.items() if name.startswith(prefix)
    }
    return found or None
