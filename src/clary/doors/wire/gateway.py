"""One request in, one response out: find, authenticate, decode, validate, call, encode."""

from __future__ import annotations

import logging
import time
import uuid
import zlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from clary.doors.wire import model, operations, routing, sigv4
from clary.doors.wire.authentication import Authenticator
from clary.doors.wire.call import Call
from clary.doors.wire.codec import codec, encode_error
from clary.doors.wire.errors import WireError, translate
from clary.doors.wire.scalars import Mismatch
from clary.doors.wire.validation import validator
from clary.kernel.errors import ClaryError, NotSupported

if TYPE_CHECKING:
    from collections.abc import Iterable

    from clary.doors.wire.codec import Codec
    from clary.doors.wire.message import Request, Response
    from clary.doors.wire.model import Operation
    from clary.doors.wire.routing import Route
    from clary.platform import Platform

_LARGEST_DOCUMENT = 16 << 20
_REST_JSON = "sagemaker-runtime"
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Place:
    """What is known so far of a request being handled: errors are written by it."""

    service: str
    operation: Operation | None = None
    protocol: str = ""
    actor: str = "-"

    def __str__(self) -> str:
        return f"{self.service}:{self.operation.name if self.operation else '?'}"


class Gateway:
    """Answers AWS requests from a platform."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._offered = operations.registry()
        self.authenticator = Authenticator(
            platform.governance, required=platform.config.authenticate
        )
        self._strict = platform.config.strict
        self._region = platform.config.region

    def handle(self, request: Request) -> Response:
        """Answer a request; every failure becomes an error in the service's own words."""
        started = time.perf_counter()
        request_id = str(uuid.uuid4())
        place = _Place(_guess_service(request))
        try:
            response = self._answer(request, place, request_id)
        except Exception as failure:
            error = _wire_error(failure, place, request_id)
            response = encode_error(
                error, place.service, place.operation, request_id, place.protocol
            )
        took_ms = (time.perf_counter() - started) * 1000
        _log.info("%s %s %s %d %.1f ms", request_id, place.actor, place, response.status, took_ms)
        return response

    def _answer(self, request: Request, place: _Place, request_id: str) -> Response:
        claim = sigv4.read_claim(request)
        scope = claim.service if claim else None
        if not _may_stream(request, scope):
            request = replace(request, body=(_read_all(request.body),))
        if place.service == "s3" and scope not in (None, *model.SERVICES):
            place.service = _REST_JSON  # what most services that are not offered speak
        place.service = routing.choose_service(request, scope)
        place.protocol = routing.spoken(model.service(place.service), request)
        identity = self.authenticator.identify(request, claim, place.service)
        place.actor = identity.name
        route = routing.find_operation(model.service(place.service), request)
        place.operation = route.operation
        function = self._offered.get((place.service, route.operation.name))
        if function is None:
            raise NotSupported(
                f"clary does not offer {place}", hint=f"see {routing.COVERAGE} for what it offers"
            )
        if place.service == "s3":
            request = replace(request, body=self.authenticator.open_body(request, claim, identity))
        spoken = codec(place.service, place.protocol)
        call = Call(
            platform=self._platform,
            account=identity.account,
            region=(claim.region if claim else "") or self._region,
            actor=identity.principal_arn,
            params=self._decode(request, route, spoken),
            request_id=request_id,
            identity=identity,
            trace=request.headers.get("traceparent", ""),
        )
        return spoken.encode(route.operation, function(call) or {}, request_id)

    def _decode(self, request: Request, route: Route, spoken: Codec) -> dict[str, object]:
        operation = route.operation
        if not model.service(operation.service).streams(operation):
            request = replace(request, body=(_read_all(request.body),))
        if operation.compressed and request.headers.get("content-encoding") == "gzip":
            request = replace(request, body=(_unzipped(b"".join(request.body)),))
        params = spoken.decode(operation, request, route.labels)
        validator(operation.service, strict=self._strict).validate(operation, params)
        return params


def _guess_service(request: Request) -> str:
    if "x-amz-target" in request.headers:
        return "sagemaker"
    return "sts" if _is_form(request) else "s3"


def _is_form(request: Request) -> bool:
    content_type = request.headers.get("content-type", "")
    return request.path == "/" and "x-www-form-urlencoded" in content_type


def _may_stream(request: Request, scope: str | None) -> bool:
    return scope in (None, "s3") and "x-amz-target" not in request.headers and not _is_form(request)


def _read_all(pieces: Iterable[bytes]) -> bytes:
    held: list[bytes] = []
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > _LARGEST_DOCUMENT:
            raise _too_large()
        held.append(piece)
    return held[0] if len(held) == 1 else b"".join(held)


def _unzipped(body: bytes) -> bytes:
    reader = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        whole = reader.decompress(body, _LARGEST_DOCUMENT + 1)
    except zlib.error as error:
        raise Mismatch(f"The body is not gzip: {error}") from None
    if len(whole) > _LARGEST_DOCUMENT:
        raise _too_large()
    return whole


def _too_large() -> WireError:
    return WireError(
        "RequestEntityTooLarge", f"The request's body is over {_LARGEST_DOCUMENT} bytes", 413
    )


def _wire_error(failure: Exception, place: _Place, request_id: str) -> WireError:
    if isinstance(failure, WireError):
        return failure
    if isinstance(failure, ClaryError):
        return translate(failure, place.service, place.operation)
    if isinstance(failure, Mismatch):
        return _serialization(failure, place.service)
    if isinstance(failure, RecursionError):
        return _serialization(Mismatch("The request is nested too deeply"), place.service)
    _log.error("%s %s failed", request_id, place, exc_info=failure)
    code = "InternalError" if place.service == "s3" else "InternalFailure"
    message = f"clary failed; its log says why under the request id {request_id}"
    return WireError(code, message, 500)


def _serialization(mismatch: Mismatch, service: str) -> WireError:
    if service == "s3":
        return WireError(
            "MalformedXML" if mismatch.in_document else "InvalidArgument", str(mismatch)
        )
    return WireError(
        "MalformedInput" if service in ("sts", "iam") else "SerializationException", str(mismatch)
    )
