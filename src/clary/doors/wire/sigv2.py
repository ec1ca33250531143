"""S3's signature version 2 of presigned queries, which older SDKs still make by default."""

from __future__ import annotations

import base64
import hmac
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote

if TYPE_CHECKING:
    from clary.doors.wire.message import Request

_HEADERS = ("content-md5", "content-type")
_SUBRESOURCES = frozenset(
    (
        "accelerate",
        "acl",
        "analytics",
        "cors",
        "defaultObjectAcl",
        "delete",
        "inventory",
        "lifecycle",
        "location",
        "logging",
        "metrics",
        "notification",
        "object-lock",
        "partNumber",
        "policy",
        "replication",
        "requestPayment",
        "restore",
        "response-cache-control",
        "response-content-disposition",
        "response-content-encoding",
        "response-content-language",
        "response-content-type",
        "response-expires",
        "select",
        "select-type",
        "storageClass",
        "tagging",
        "torrent",
        "uploadId",
        "uploads",
        "versionId",
        "versions",
        "website",
    )
)


def signature(request: Request, secret_key: str) -> str:
    """Return the signature that a presigned request should have, base64."""
    text = string_to_sign(request)
    return base64.b64encode(hmac.digest(secret_key.encode(), text.encode(), "sha1")).decode()


def string_to_sign(request: Request) -> str:
    """Write a request in the one form that both sides sign.

    Headers that were signed come as such, or moved to the query with the signature.
    """
    query = dict(parse_qsl(request.query, keep_blank_values=True))
    sent = dict(request.headers) | {
        name: text for name, text in query.items() if name in _HEADERS or name.startswith("x-amz-")
    }
    lines = [request.method, *(sent.get(name, "") for name in _HEADERS), query.get("Expires", "")]
    lines += [f"{name}:{sent[name].strip()}" for name in sorted(sent) if name.startswith("x-amz-")]
    pairs = (part.partition("=") for part in request.query.split("&"))
    named = sorted(
        (name, f"{name}{mark}{unquote(value)}")
        for name, mark, value in pairs
        if name in _SUBRESOURCES
    )
    resource = "&".join(text for _, text in named)
    lines.append(f"{request.path}?{resource}" if resource else request.path)
    return "\n".join(lines)
