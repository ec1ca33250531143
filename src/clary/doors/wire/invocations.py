"""Inference requests that are answered on the event loop, because that takes microseconds.

What is not plain, small and answered by a compiled model takes the ordinary way through the
gateway, which says the same in every case. So does libsvm, of which a few bytes are many numbers.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from clary.doors.wire import model
from clary.doors.wire.at_once import Callers, head, request_id
from clary.doors.wire.codec import encode_error
from clary.doors.wire.errors import translate
from clary.endpoints.invocations import Invocation
from clary.endpoints.model import ENDPOINT
from clary.kernel.errors import ModelFailed
from clary.kernel.names import Ref

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from clary.doors.wire.authentication import Authenticator
    from clary.doors.wire.message import Response
    from clary.endpoints.invocations import Reply
    from clary.platform import Platform

BEFORE, BEHIND = b"/endpoints/", b"/invocations"
SMALL = 16 << 10
_SERVICE = "sagemaker-runtime"
_LONGEST_VALUE = 64
_HEADERS = {
    b"x-amzn-sagemaker-target-variant": "variant",
    b"x-amzn-sagemaker-inference-id": "inference_id",
    b"x-amzn-sagemaker-custom-attributes": "custom_attributes",
    b"traceparent": "trace",
}
_ELSEWHERE = (b"x-amzn-sagemaker-", b"x-amz-decoded")
"""Headers that begin so and are none of the above make a request special."""
_REASONS = {200: "OK", 204: "No Content", 424: "Failed Dependency"}


class Invocations:
    """Answers ``POST /endpoints/<name>/invocations`` where that can be done at once."""

    def __init__(self, platform: Platform, authenticator: Authenticator) -> None:
        self._serving = platform.serving
        self._callers = Callers(platform, authenticator, _SERVICE, is_path_enough=True)
        self._operation = model.service(_SERVICE).operations["InvokeEndpoint"]
        self._refs: dict[tuple[bytes, str, str], Ref] = {}

    def answer(
        self, url: bytes, headers: Sequence[tuple[bytes, bytes]], body: bytes
    ) -> tuple[bytes, bytes] | None:
        """Answer a request: the head, up to but without its last line, and the body.

        None when it is to go the ordinary way; then nothing has happened.

        Parameters
        ----------
        url
            Path and query, as they came.
        headers
            Names in lower case.
        """
        began = time.perf_counter()
        given = dict(headers)
        if len(given) != len(headers):
            return None
        members = _members(given)
        where = None if members is None else self._callers.where("POST", url, given, body)
        if members is None or where is None:
            return None
        invocation = Invocation(self._ref(url[len(BEFORE) : -len(BEHIND)], *where), body, **members)
        target = self._serving.find(invocation)
        if target is None or not target.quick(len(body)) or "libsvm" in invocation.content_type:
            return None
        named = request_id()
        try:
            reply = self._serving.answer(target, invocation, began)
        except ModelFailed as error:
            wire_error = translate(error, _SERVICE, self._operation)
            return _error(encode_error(wire_error, _SERVICE, self._operation, named))
        return _success(reply, target.variant, named)

    def _ref(self, name: bytes, account: str, region: str) -> Ref:
        key = (name, account, region)
        found = self._refs.get(key)
        if found is None:
            if len(self._refs) >= 1024:  # names that clients make up must not fill the memory
                self._refs.clear()
            found = self._refs[key] = Ref(account, region, ENDPOINT, name.decode("latin-1"))
        return found


def _members(given: Mapping[bytes, bytes]) -> dict[str, Any] | None:
    """Read the headers of the operation; None when one is special."""
    members: dict[str, Any] = {
        "content_type": given.get(b"content-type", b"").decode("latin-1"),
        "accept": given.get(b"accept", b"").decode("latin-1"),
    }
    for name, value in given.items():
        if name in _HEADERS:
            text = value.decode("latin-1")
            if not 0 < len(text) <= _LONGEST_VALUE or not (text.isascii() and text.isprintable()):
                return None
            members[_HEADERS[name]] = text
        elif name.startswith(_ELSEWHERE):
            return None
    return members


def _success(reply: Reply, variant: str, named: str) -> tuple[bytes, bytes]:
    body = reply.body if isinstance(reply.body, bytes) else b"".join(reply.body)
    headers = {
        "x-amzn-requestid": named,
        "x-amzn-invoked-production-variant": variant,
        "content-type": reply.content_type,
    }
    if reply.custom_attributes:
        headers["x-amzn-sagemaker-custom-attributes"] = reply.custom_attributes
    return head("200 OK", headers, len(body)), body


def _error(response: Response) -> tuple[bytes, bytes]:
    body = response.body if isinstance(response.body, bytes) else b"".join(response.body)
    headers = {name.lower(): value for name, value in response.headers.items()}
    status = f"{response.status} {_REASONS.get(response.status, '')}"
    return head(status, headers, len(body)), body
