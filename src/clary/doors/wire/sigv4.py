"""AWS signatures: version 4 in a header or a query, and S3's version 2 query."""

from __future__ import annotations

import functools
import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, quote

from clary.doors.wire import sigv2
from clary.doors.wire.errors import WireError

if TYPE_CHECKING:
    from clary.doors.wire.message import Request

ALGORITHM = "AWS4-HMAC-SHA256"
UNSIGNED = "UNSIGNED-PAYLOAD"
SKEW = timedelta(minutes=15)
_LONGEST_EXPIRY_S = 604_800
_STAMP = "%Y%m%dT%H%M%SZ"
_REGION = re.compile(r"[a-z0-9-]{1,63}")  # it becomes a part of every name


@dataclass(frozen=True, slots=True)
class Claim:
    """What a request says of who signed it, before anything is proven.

    Parameters
    ----------
    kind
        ``header`` or ``query`` (version 4), or ``query2`` (S3's version 2).
    access_key_id, token
        The key, and the session token of short-lived keys.
    stamp
        When it was signed, as ``20240131T235959Z``; empty for ``query2``.
    region, service
        The credential scope; empty and ``s3`` for ``query2``.
    headers
        Names of the signed headers.
    expires
        When a presigned request ends; None for ``header``.
    """

    kind: str
    access_key_id: str
    signature: str
    token: str | None = None
    stamp: str = ""
    region: str = ""
    service: str = "s3"
    headers: tuple[str, ...] = ()
    expires: datetime | None = None

    @property
    def scope(self) -> str:
        """The credential scope without the key."""
        return f"{self.stamp[:8]}/{self.region}/{self.service}/aws4_request"


def read_claim(request: Request) -> Claim | None:
    """Read what a request says of its signature; None when it has none.

    Raises
    ------
    WireError
        The signature's parts are incomplete or malformed.
    """
    authorization = request.headers.get("authorization")
    if authorization is not None:
        return _from_header(request, authorization)
    if "X-Amz-Signature=" in request.query:
        return _from_query(request)
    if "Signature=" in request.query and "AWSAccessKeyId=" in request.query:
        return _from_query2(request)
    return None


def _malformed(problem: str) -> WireError:
    return WireError("IncompleteSignature", f"The request's signature {problem}", 400)


def _from_header(request: Request, authorization: str) -> Claim:
    algorithm, _, rest = authorization.partition(" ")
    if algorithm != ALGORITHM:
        raise _malformed(f"is of kind {algorithm[:40]!r}; legal: {ALGORITHM}")
    parts = dict(part.strip().partition("=")[::2] for part in rest.split(","))
    try:
        credential, signed = parts["Credential"], parts["SignedHeaders"]
        signature = parts["Signature"]
    except KeyError as missing:
        raise _malformed(f"lacks {missing}") from None
    key, date, region, service = _credential(credential)
    stamp = _header_stamp(request)
    if stamp[:8] != date:
        raise _malformed(f"has the date {date} in its credential but was made at {stamp}")
    return Claim(
        "header",
        key,
        signature,
        token=request.headers.get("x-amz-security-token"),
        stamp=stamp,
        region=region,
        service=service,
        headers=_signed_headers(signed),
    )


def _credential(text: str) -> tuple[str, str, str, str]:
    parts = text.rsplit("/", 4)
    if len(parts) != 5 or parts[4] != "aws4_request" or not all(parts):
        raise _malformed(
            f"names the credential {text[:200]!r}; legal: KEY/DATE/REGION/SERVICE/aws4_request"
        )
    if not _REGION.fullmatch(parts[2]):
        legal = "at most 63 lowercase letters, digits and '-'"
        raise _malformed(f"names the region {parts[2][:64]!r}; legal: {legal}")
    return parts[0], parts[1], parts[2], parts[3]


def _signed_headers(text: str) -> tuple[str, ...]:
    names = tuple(text.lower().split(";"))
    if "host" not in names:
        raise _malformed("does not cover the header 'host'")
    return names


def _header_stamp(request: Request) -> str:
    if stamp := request.headers.get("x-amz-date"):
        return stamp
    try:
        return parsedate_to_datetime(request.headers["date"]).astimezone(UTC).strftime(_STAMP)
    except (KeyError, ValueError):
        raise _malformed("has no date; legal: the header X-Amz-Date or Date") from None


def _parameters(request: Request) -> dict[str, str]:
    try:
        parsed = parse_qs(request.query, keep_blank_values=True, max_num_fields=1000)
    except ValueError:
        raise _malformed("is in a query string that cannot be read") from None
    return {key: values[0] for key, values in parsed.items()}


def _from_query(request: Request) -> Claim:
    parts = _parameters(request)
    try:
        algorithm, stamp = parts["X-Amz-Algorithm"], parts["X-Amz-Date"]
        seconds = int(parts["X-Amz-Expires"])
        signed, signature = parts["X-Amz-SignedHeaders"], parts["X-Amz-Signature"]
        key, date, region, service = _credential(parts["X-Amz-Credential"])
    except (KeyError, ValueError) as problem:
        raise _malformed(f"lacks {problem}") from None
    if algorithm != ALGORITHM or stamp[:8] != date or not 0 < seconds <= _LONGEST_EXPIRY_S:
        raise _malformed(
            f"has a wrong algorithm, date or expiry; legal: {ALGORITHM},"
            f" the credential's date, 1 to {_LONGEST_EXPIRY_S} s"
        )
    return Claim(
        "query",
        key,
        signature,
        token=parts.get("X-Amz-Security-Token"),
        stamp=stamp,
        region=region,
        service=service,
        headers=_signed_headers(signed),
        expires=_moment(stamp) + timedelta(seconds=seconds),
    )


def _from_query2(request: Request) -> Claim:
    parts = _parameters(request)
    try:
        expires = datetime.fromtimestamp(int(parts["Expires"]), UTC)
        key, signature = parts["AWSAccessKeyId"], parts["Signature"]
    except (KeyError, ValueError, OverflowError, OSError) as problem:
        raise _malformed(f"lacks {problem}") from None
    token = parts.get("x-amz-security-token")
    return Claim("query2", key, signature, token=token, expires=expires)


@functools.lru_cache(maxsize=256)
def _moment(stamp: str) -> datetime:
    try:
        return datetime.strptime(stamp, _STAMP).replace(tzinfo=UTC)
    except ValueError:
        raise _malformed(f"has the date {stamp[:40]!r}; legal: 20240131T235959Z") from None


def check_time(claim: Claim, at: datetime) -> None:
    """Refuse a claim that is not of this time.

    Raises
    ------
    WireError
        It has expired, or was made more than 15 minutes before or after ``at``.
    """
    if claim.expires is not None and at > claim.expires:
        raise WireError("AccessDenied", "Request has expired", 403)
    if claim.kind == "query2":
        return
    made = _moment(claim.stamp)
    if made - at > SKEW or (claim.expires is None and at - made > SKEW):
        raise WireError(
            "RequestTimeTooSkewed",
            f"The request was signed at {claim.stamp}, but it is now {at.strftime(_STAMP)};"
            " they may differ by 15 minutes",
            403,
        )


def verify(request: Request, claim: Claim, secret_key: str, payload: str) -> bool:
    """Say whether the claim's signature is the request's.

    Parameters
    ----------
    payload
        The hash of the body, or the words that stand for it.
    """
    if claim.kind == "query2":
        expected = sigv2.signature(request, secret_key)
    else:
        text = string_to_sign(claim, canonical_request(request, claim, payload))
        expected = sign(signing_key(secret_key, claim), text)
    return hmac.compare_digest(expected.encode(), claim.signature.encode())


def signing_key(secret_key: str, claim: Claim) -> bytes:
    """Derive the key of a claim's day, region and service."""
    return _signing_key(secret_key, claim.stamp[:8], claim.region, claim.service)


@functools.lru_cache(maxsize=256)
def _signing_key(secret_key: str, date: str, region: str, service: str) -> bytes:
    key = f"AWS4{secret_key}".encode()
    for part in (date, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def sign(key: bytes, text: str) -> str:
    """Return the signature of a string to sign, hex."""
    return hmac.digest(key, text.encode(), "sha256").hex()


def string_to_sign(claim: Claim, canonical: str) -> str:
    """Return what is signed for a canonical request."""
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    return f"{ALGORITHM}\n{claim.stamp}\n{claim.scope}\n{digest}"


def canonical_request(request: Request, claim: Claim, payload: str) -> str:
    """Write a request in the one form that both sides sign."""
    headers = [
        f"{name}:{' '.join(request.headers.get(name, '').split())}\n" for name in claim.headers
    ]
    path = request.path if claim.service == "s3" else _normal_path(request.path)
    lines = (
        request.method,
        path,
        _canonical_query(request.query),
        "".join(headers),
        ";".join(claim.headers),
        payload,
    )
    return "\n".join(lines)


def _normal_path(path: str) -> str:
    kept: list[str] = []
    for part in path.split("/"):
        if part == "..":
            del kept[-1:]
        elif part not in ("", "."):
            kept.append(part)
    tail = "/" if kept and path.endswith("/") else ""
    return quote(f"/{'/'.join(kept)}{tail}", safe="/~")


def _canonical_query(query: str) -> str:
    pairs = (part.partition("=") for part in query.split("&") if part)
    kept = sorted((name, value) for name, _, value in pairs if name != "X-Amz-Signature")
    return "&".join(f"{name}={value}" for name, value in kept)
