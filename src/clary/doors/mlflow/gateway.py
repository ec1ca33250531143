"""One MLflow request in, one response out: authenticate, find the endpoint, read, call, write."""

from __future__ import annotations

import json
import logging
import re
import time
import urllib.parse
from typing import TYPE_CHECKING, Any

from clary.doors.mlflow import artifacts, experiments, logged_models, logs, registry, runs
from clary.doors.mlflow.authentication import Authenticator
from clary.doors.mlflow.calls import Call, from_query, read
from clary.doors.mlflow.errors import MlflowError, translate
from clary.doors.wire.errors import WireError
from clary.doors.wire.message import Response
from clary.kernel.codec import from_json, to_json
from clary.kernel.errors import ClaryError, InvalidInput, LimitExceeded
from clary.kernel.names import Ref

if TYPE_CHECKING:
    from collections.abc import Iterable

    from clary.doors.mlflow.calls import Endpoint
    from clary.doors.wire.message import Request
    from clary.kernel.ports import JsonObject
    from clary.platform import Platform

VERSION = "3.17.2"
"""The MLflow whose protocol this is; what is not offered of it is refused as no endpoint."""
_LARGEST_DOCUMENT = 16 << 20
_MOST_FIELDS = 1_000
_TRACKING = "/api/2.0/mlflow/"
_ARTIFACTS = "/api/2.0/mlflow-artifacts/"
_OURS = ("/api/2.0/mlflow/", "/api/2.0/mlflow-artifacts/", "/api/3.0/mlflow/")
_OPEN = {"/health": b"OK", "/version": VERSION.encode()}
_INFO = {
    "store_type": "clary",
    "workspaces_enabled": False,
    "trace_archival_enabled": False,
    "multipart_uploads_enabled": False,
    "multipart_downloads_enabled": False,
}
_SIGNED = ("aws4-hmac-sha256", "aws ")
_SIGNED_QUERY = re.compile(r"(?:^|&)(?:X-Amz-Signature|Signature)=")
_LISTED: dict[str, Endpoint] = {
    **experiments.ENDPOINTS,
    **runs.ENDPOINTS,
    **logs.ENDPOINTS,
    **artifacts.ENDPOINTS,
    **logged_models.ENDPOINTS,
    **registry.ENDPOINTS,
}
ENDPOINTS = {name: endpoint for name, endpoint in _LISTED.items() if "{" not in name}
_PATTERNS = [
    (re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(name))), endpoint)
    for name, endpoint in _LISTED.items()
    if "{" in name
]
_log = logging.getLogger(__name__)


def is_ours(request: Request) -> bool:
    """Say whether a request is MLflow's and not one of S3 on a bucket that is called so."""
    path = request.path
    if not (path.startswith(_OURS) or path in _OPEN):
        return False
    signed = request.headers.get("authorization", "").lower().startswith(_SIGNED)
    return not signed and not _SIGNED_QUERY.search(request.query)


class Gateway:
    """Answers MLflow's clients from a platform."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        config = platform.config
        self._authenticator = Authenticator(
            platform.governance, region=config.region, required=config.authenticate
        )

    def handle(self, request: Request) -> Response:
        """Answer a request; every failure becomes an error in MLflow's words."""
        started = time.perf_counter()
        try:
            response = self._answer(request)
        except Exception as failure:
            response = _failed(failure, request)
        took_ms = (time.perf_counter() - started) * 1000
        place = f"mlflow {request.method} {request.path[:200]!r}"
        _log.info("%s %d %.1f ms", place, response.status, took_ms)
        return response

    def _answer(self, request: Request) -> Response:
        if request.path in _OPEN and request.method in ("GET", "HEAD"):
            return Response(200, {"Content-Type": "text/plain"}, _OPEN[request.path])
        identity, region = self._authenticator.identify(request.headers)
        near = Ref(identity.account, region, "", "")
        call = Call(self._platform, near, identity.principal_arn)
        if request.path.startswith(_ARTIFACTS):
            return _artifact(call, request)
        if (request.method, request.path) == ("GET", "/api/3.0/mlflow/server-info"):
            return _document(_INFO)
        (kind, function), labels = _endpoint(request)
        return _document(function(call, read(kind, {**_given(request, kind), **labels})))


def _artifact(call: Call, request: Request) -> Response:
    service, _, rest = request.path.removeprefix(_ARTIFACTS).partition("/")
    path = urllib.parse.unquote(rest, errors="strict")
    match request.method, service:
        case "GET", "artifacts" if not path:
            kind, function = artifacts.LISTING
            return _document(function(call, read(kind, _given(request, kind))))
        case "GET", "artifacts":
            return artifacts.download(call, path)
        case "PUT", "artifacts":
            return artifacts.upload(call, path, request.body)
        case "DELETE", "artifacts":
            return artifacts.delete(call, path)
        case ("POST", "mpu") | ("GET", "presigned"):
            return artifacts.refuse_parts()
    raise _unknown(request)


def _endpoint(request: Request) -> tuple[Endpoint, JsonObject]:
    name = f"{request.method} {request.path.removeprefix(_TRACKING)}"
    if found := ENDPOINTS.get(name):
        return found, {}
    for pattern, endpoint in _PATTERNS:
        if match := pattern.fullmatch(name):
            labels = match.groupdict().items()
            return endpoint, {key: urllib.parse.unquote(text) for key, text in labels}
    raise _unknown(request)


def _unknown(request: Request) -> MlflowError:
    problem = f"clary does not offer {request.method} {request.path[:200]}"
    return MlflowError("ENDPOINT_NOT_FOUND", problem, 404)


def _given(request: Request, kind: Any) -> JsonObject:
    if request.method == "GET":
        try:
            query = urllib.parse.parse_qs(
                request.query, keep_blank_values=True, max_num_fields=_MOST_FIELDS
            )
        except ValueError:
            legal = f"at most {_MOST_FIELDS} fields"
            raise InvalidInput("", "the query has too many", legal=legal) from None
        return from_query(kind, query)
    body = _whole(request.body)
    document = from_json(body, field="") if body.strip() else {}
    if not isinstance(document, dict):
        raise InvalidInput("", "the request is no JSON object", legal="an object")
    return document


def _whole(pieces: Iterable[bytes]) -> bytes:
    held: list[bytes] = []
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > _LARGEST_DOCUMENT:
            raise LimitExceeded(f"the request is over {_LARGEST_DOCUMENT} bytes")
        held.append(piece)
    return b"".join(held)


def _document(value: JsonObject) -> Response:
    return Response(200, {"Content-Type": "application/json"}, to_json(value))


def _failed(failure: Exception, request: Request) -> Response:
    retry = {}
    match failure:
        case MlflowError():
            error = failure
        case ClaryError():
            error = translate(failure)
            retry = {"Retry-After": "1"} if failure.retryable else {}
        case WireError():
            error = MlflowError("BAD_REQUEST", failure.message, 400)
        case UnicodeDecodeError() | RecursionError():
            error = MlflowError("BAD_REQUEST", "the request cannot be read", 400)
        case _:
            place = f"{request.method} {request.path[:200]!r}"
            _log.error("mlflow %s failed", place, exc_info=failure)
            error = MlflowError("INTERNAL_ERROR", "clary failed; its log says why", 500)
    body = json.dumps({"error_code": error.code, "message": error.message}).encode()
    return Response(error.status, {"Content-Type": "application/json", **retry}, body)
