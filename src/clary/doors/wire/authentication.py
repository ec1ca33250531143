"""Who a request comes from, and a body that is what was signed."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from clary.doors.wire import sigv4
from clary.doors.wire.chunked import ChunkedBody, ChunkSigner
from clary.doors.wire.errors import WireError
from clary.governance.model import CredentialsExpired
from clary.kernel.clock import now
from clary.kernel.errors import Forbidden

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from clary.doors.wire.message import Request
    from clary.doors.wire.sigv4 import Claim
    from clary.governance.model import Identity
    from clary.governance.service import Governance

_SHA256 = re.compile(r"[0-9a-f]{64}")
_SIGNED_CHUNKS = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
_STREAMING = {
    _SIGNED_CHUNKS: True,
    f"{_SIGNED_CHUNKS}-TRAILER": True,
    "STREAMING-UNSIGNED-PAYLOAD-TRAILER": False,
}
# code and HTTP status by kind of service: S3, query protocol, JSON protocols
_MISSING = {
    "s3": ("AccessDenied", 403),
    "query": ("MissingAuthenticationToken", 403),
    "json": ("MissingAuthenticationToken", 400),
}
_UNKNOWN = {
    "s3": ("InvalidAccessKeyId", 403),
    "query": ("InvalidClientTokenId", 403),
    "json": ("UnrecognizedClientException", 400),
}
_EXPIRED = {
    "s3": ("ExpiredToken", 400),
    "query": ("ExpiredToken", 403),
    "json": ("ExpiredTokenException", 400),
}
_WRONG = {
    "s3": ("SignatureDoesNotMatch", 403),
    "query": ("SignatureDoesNotMatch", 403),
    "json": ("InvalidSignatureException", 400),
}


def _kind(service: str) -> str:
    if service == "s3":
        return "s3"
    return "query" if service in ("sts", "iam") else "json"


def _refusal(words: dict[str, tuple[str, int]], service: str, message: str) -> WireError:
    code, status = words[_kind(service)]
    return WireError(code, message, status)


class Authenticator:
    """Verifies signatures against the platform's keys.

    Parameters
    ----------
    required
        False: nobody is refused; a known key still says who it is, everybody else is the owner.
    """

    def __init__(self, governance: Governance, *, required: bool) -> None:
        self._governance = governance
        self._required = required

    def identify(self, request: Request, claim: Claim | None, service: str) -> Identity:
        """Say who signed a request; verifies the signature when that is required.

        Raises
        ------
        WireError
            There is no signature, or it is unknown, expired or wrong; in the service's words.
        """
        if not self._required:
            if "origin" in request.headers:
                raise _refusal(_MISSING, service, "No web page may use a server without keys")
            return self._guess(claim)
        if claim is None:
            raise _refusal(_MISSING, service, "The request has no signature")
        sigv4.check_time(claim, now())
        identity = self._known(claim, service)
        if service == "s3" and claim.kind != "query2":
            _check_coverage(request, claim)
        payload = _payload(request, claim, service)
        if not sigv4.verify(request, claim, identity.secret_key, payload):
            raise _refusal(
                _WRONG,
                service,
                "The request signature we calculated does not match the signature you provided;"
                " check the secret key, and that nothing between changed the request",
            )
        return identity

    def _guess(self, claim: Claim | None) -> Identity:
        if claim is not None:
            try:
                return self._governance.authenticate(claim.access_key_id, claim.token)
            except Forbidden:
                pass
        return self._governance.owner

    def _known(self, claim: Claim, service: str) -> Identity:
        try:
            return self._governance.authenticate(claim.access_key_id, claim.token)
        except CredentialsExpired as error:
            raise _refusal(_EXPIRED, service, error.message) from None
        except Forbidden as error:
            message = f"{error.message}; {error.hint}" if error.hint else error.message
            raise _refusal(_UNKNOWN, service, message) from None

    def open_body(
        self, request: Request, claim: Claim | None, identity: Identity
    ) -> Iterable[bytes]:
        """Return the content of an S3 body: unframed, and checked against what was signed.

        Raises
        ------
        WireError
            The kind of body is not offered; while iterating: it is not what was signed.
        """
        words = request.headers.get("x-amz-content-sha256", "")
        if words in _STREAMING:
            signed = _STREAMING[words] and self._required and claim is not None
            signer = (
                ChunkSigner(claim, sigv4.signing_key(identity.secret_key, claim))
                if signed and claim is not None
                else None
            )
            return _unframe(request, signer)
        if words.startswith("STREAMING-"):
            legal = ", ".join(_STREAMING)
            raise WireError(
                "NotImplemented", f"clary does not read {words[:80]}; legal: {legal}", 501
            )
        return DigestedBody(request.body, words) if _SHA256.fullmatch(words) else request.body


def _unframe(request: Request, signer: ChunkSigner | None) -> ChunkedBody:
    announced = request.headers.get("x-amz-trailer", "").lower().split(",")
    length = request.headers.get("x-amz-decoded-content-length")
    if length is not None and not (length.isascii() and length.isdigit() and len(length) < 16):
        raise WireError("InvalidArgument", f"X-Amz-Decoded-Content-Length is {length[:40]!r}")
    return ChunkedBody(
        request.body,
        signer,
        announced=[name.strip() for name in announced if name.strip()],
        length=None if length is None else int(length),
    )


def _check_coverage(request: Request, claim: Claim) -> None:
    loose = [
        name
        for name in request.headers
        if name.startswith("x-amz-")
        and name != "x-amz-content-sha256"
        and name not in claim.headers
    ]
    if loose:
        raise WireError(
            "AccessDenied",
            f"There were headers present in the request which were not signed: {', '.join(loose)}",
            403,
        )


def _payload(request: Request, claim: Claim, service: str) -> str:
    if service != "s3":
        digest = hashlib.sha256()
        for piece in request.body:
            digest.update(piece)
        return digest.hexdigest()
    words = request.headers.get("x-amz-content-sha256")
    if words is None:
        if claim.kind == "header":
            raise WireError("InvalidRequest", "Missing required header: x-amz-content-sha256")
        return sigv4.UNSIGNED
    if words == sigv4.UNSIGNED or words in _STREAMING or _SHA256.fullmatch(words):
        return words
    raise WireError(
        "InvalidArgument",
        "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, a SHA-256 in hex, or one of "
        + ", ".join(_STREAMING),
    )


class DigestedBody:
    """A body whose SHA-256 was signed; iterating raises WireError at its end when it differs."""

    def __init__(self, pieces: Iterable[bytes], sha256: str) -> None:
        self._pieces = pieces
        self._sha256 = sha256

    def __iter__(self) -> Iterator[bytes]:
        """Yield the content."""
        digest = hashlib.sha256()
        for piece in self._pieces:
            digest.update(piece)
            yield piece
        if digest.hexdigest() != self._sha256:
            raise WireError(
                "XAmzContentSHA256Mismatch",
                "The provided 'x-amz-content-sha256' header does not match what was computed.",
            )
